"""The audit log: read it, and verify it by recomputing everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from consentprofile.errors import BrokenLog, CorruptRecord
from consentprofile.store.ports import StoredLeaf
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.leaf import Leaf
from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.usecases.consent import moment
from consentprofile.usecases.session import Session

PAGE: Final = 2_000


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf for people and files: ``hour`` is aware UTC, bytes are hex. It holds no personal data."""

    sequence: int
    hour: datetime
    operation: str
    purpose: str
    role: str
    policy: str
    facts: dict[str, int | str]


class LogHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the log: how many leaves, and the root of the tree over them, hex."""

    size: int
    root: str


def entries(session: Session, start: int = 0) -> Iterator[LogEntry]:
    """The leaves from sequence ``start`` on, in order, read in pages: memory does not grow with the log.

    Raises :class:`BrokenLog` at a leaf that cannot be read.
    """
    while page := _page(session, start):
        for stored in page:
            yield _public(_decode(stored))
        start = page[-1].sequence + 1


def verify(session: Session, progress: Callable[[int], None] | None = None) -> LogHead:
    """Recompute every hash of the log. Raises :class:`BrokenLog` with the first leaf that is wrong.

    Found are leaves that were edited (with or without their stored hash), deleted, inserted, reordered or cut off, as
    long as the tree's frontier was not forged to match. A forger who rewrites the whole log together with its frontier
    is found only by somebody who has seen an earlier root.
    """
    with session.ground.files.reading():
        expected, newest = session.ground.log.head()
    frontier, hour = Frontier(), 0
    while frontier.size < expected.size:
        page = _page(session, frontier.size)
        if not page:
            raise BrokenLog(f"the log has lost its leaves from {frontier.size} on", sequence=frontier.size)
        for stored in page[: expected.size - frontier.size]:
            hour = _verify_leaf(stored, frontier.size, hour)
            frontier.append(leaf_hash(stored.body))
        if progress is not None:
            progress(frontier.size)
    if frontier.hashes != expected.hashes:
        start = _first_difference(frontier, expected)
        raise BrokenLog(
            f"the tree over the log is not the one that was written: a leaf from {start} on was replaced together with "
            "its stored hash",
            sequence=start,
        )
    if hour != newest:
        raise BrokenLog("the tree over the log does not have the hour of its newest leaf", sequence=frontier.size - 1)
    _require_no_more(session, expected.size)
    return LogHead(size=frontier.size, root=frontier.root().hex())


def _page(session: Session, start: int) -> list[StoredLeaf]:
    with session.ground.files.reading():
        return session.ground.log.page(start, PAGE)


def _verify_leaf(stored: StoredLeaf, sequence: int, hour: int) -> int:
    if stored.sequence != sequence:
        raise BrokenLog(f"leaf {sequence} is missing from the log", sequence=sequence)
    if leaf_hash(stored.body) != stored.hash:
        raise BrokenLog(f"leaf {sequence} was edited: it does not have the hash it was written with", sequence=sequence)
    leaf = _decode(stored)
    if leaf.sequence != sequence:
        raise BrokenLog(f"leaf {sequence} stands in the place of another", sequence=sequence)
    if leaf.hour < hour:
        raise BrokenLog(f"leaf {sequence} is earlier than the one before it", sequence=sequence)
    return leaf.hour


def _decode(stored: StoredLeaf) -> Leaf:
    try:
        return leaves.decode(stored.body)
    except CorruptRecord:
        raise BrokenLog(f"leaf {stored.sequence} cannot be read", sequence=stored.sequence) from None


def _first_difference(actual: Frontier, expected: Frontier) -> int:
    """The first leaf of the first perfect subtree that differs."""
    start = 0
    for level in reversed(range(actual.size.bit_length())):
        if actual.size >> level & 1:
            position = (actual.size >> (level + 1)).bit_count()
            if actual.hashes[position] != expected.hashes[position]:
                return start
            start += 1 << level
    return start


def _require_no_more(session: Session, size: int) -> None:
    """Leaves beyond the tree: written by nobody who knew the log, unless another process has appended meanwhile."""
    with session.ground.files.reading():
        if session.ground.log.head()[0].size == size and session.ground.log.page(size, 1):
            raise BrokenLog(f"leaf {size} was added behind the tree's back", sequence=size)


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
