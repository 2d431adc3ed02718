"""The audit log, read: its leaves, what they say of one account, and what one actor did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from consentprofile.errors import BrokenLog, CorruptRecord
from consentprofile.store.ports import StoredLeaf
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.leaf import Leaf, Operation
from consentprofile.usecases.consent import moment
from consentprofile.usecases.session import Session

PAGE: Final = 2_000

SKIMMED: Final = 5_000
"""Leaves that are looked through under the gate at once for those of some operations."""


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf for people and files: ``hour`` is aware UTC, bytes are hex. It holds no personal data."""

    sequence: int
    hour: datetime
    operation: str
    purpose: str
    role: str
    policy: str
    facts: dict[str, int | str]


def entries(session: Session, start: int = 0) -> Iterator[LogEntry]:
    """The leaves from sequence ``start`` on, in order, read in pages: memory does not grow with the log.

    Raises :class:`BrokenLog` at a leaf that cannot be read.
    """
    while page := page_of(session, start):
        for stored in page:
            yield _public(decode_leaf(stored))
        start = page[-1].sequence + 1


def page_of(session: Session, start: int) -> list[StoredLeaf]:
    """One page of the log from sequence ``start`` on."""
    with session.ground.files.reading():
        return session.ground.log.page(start, PAGE)


def mentioning(
    session: Session, operations: Sequence[Operation], start: int = 0, stop: int | None = None
) -> Iterator[Leaf]:
    """The leaves of these operations from sequence ``start`` to before ``stop``, or to where the log ends, in order.

    Cost: about a microsecond for each leaf of the log. Raises :class:`BrokenLog` at one that cannot be read.
    """
    if stop is None:
        with session.ground.files.reading():
            stop = session.ground.log.size()
    for first in range(start, stop, SKIMMED):
        with session.ground.files.reading():
            page = session.ground.log.mentioning(operations, first, min(first + SKIMMED, stop))
        for stored in page:
            leaf = decode_leaf(stored)
            if leaf.operation in operations:
                yield leaf


def decode_leaf(stored: StoredLeaf) -> Leaf:
    """The leaf behind its stored bytes. Raises :class:`BrokenLog`."""
    try:
        return leaves.decode(stored.body)
    except CorruptRecord:
        raise BrokenLog(f"leaf {stored.sequence} cannot be read", sequence=stored.sequence) from None


def _public(leaf: Leaf) -> LogEntry:
    return LogEntry(
        sequence=leaf.sequence,
        hour=moment(leaf.hour * 3600),
        operation=leaf.operation,
        purpose=leaf.purpose,
        role=leaf.role,
        policy=leaf.policy.hex(),
        facts={name: value.hex() if isinstance(value, bytes) else value for name, value in leaf.facts},
    )
