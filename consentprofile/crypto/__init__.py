"""Keys and what is done with them. Raw key bytes, nonces and tags do not leave this package, but for the places that
say so by their names; nothing here reads a file or a database, except the key providers in :mod:`.providers`.
"""
