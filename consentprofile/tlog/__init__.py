"""The primitives of the transparency log, pure: no I/O, no clock, no randomness. One file for each specification.

Verifying either returns or raises: :class:`~consentprofile.errors.ProofRefused` for what does not hold or is not
written canonically. Private keys never enter; who signs hands in a function.
"""
