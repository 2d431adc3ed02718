"""The one source of randomness: the operating system's.

Nonces, keys, secrets and ids come from here and from nowhere else. :func:`injected` is the seam through which tests
run published vectors through our own functions; it is the only way to influence a nonce.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_source: Callable[[int], bytes] = os.urandom


def random_bytes(count: int) -> bytes:
    """``count`` fresh random bytes."""
    return _source(count)


@contextmanager
def injected(source: Callable[[int], bytes]) -> Iterator[None]:
    """For tests only: take randomness from ``source`` until the block ends."""
    global _source  # noqa: PLW0603 - the seam is one place on purpose
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
