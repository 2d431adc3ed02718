"""Releases: aggregates that leave the store, as pure values. Reading the store and sealing the ledger is done above.

The way of a release: :func:`~consentprofile.release.spec.read_spec`, the ledger's answer if the question was answered
before, :func:`~consentprofile.release.spec.check_period`, a measure, :func:`~consentprofile.release.summed.protected`,
:func:`~consentprofile.release.writers.render`, the ledger entry, the folder.
"""
