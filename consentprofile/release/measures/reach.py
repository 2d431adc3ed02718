"""Reach: the accounts with at least one matching event, in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from consentprofile import canonical
from consentprofile.model.event import Recorded
from consentprofile.release.spec import KIND, Key, ReleaseSpec

PSEUDONYM_BYTES: Final = 16

Cells: TypeAlias = Mapping[Key, frozenset[bytes]]
"""The members of every declared cell, empty ones included, in the order of the rows."""


class Reach:
    """Takes one account after the other; memory grows with the memberships, not with the events.

    An account counts at most once in a cell, and in at most ``spec.bound`` cells. Events outside the period, and those
    that lack a field asked for, count nowhere.
    """

    def __init__(self, spec: ReleaseSpec) -> None:
        self._period = spec.period
        self._columns = spec.columns
        self._bound = spec.bound
        filters = {name: frozenset(values) for name, values in spec.where}
        self._kinds = filters.pop(KIND, None)
        self._filters = tuple(filters.items())
        self._needs_fields = bool(filters) or any(name != KIND for name in spec.columns)
        self._cells: dict[Key, set[bytes]] = {key: set() for key in spec.keys}
        self._counted: set[bytes] = set()

    def add(self, pseudonym: bytes, events: Sequence[Recorded]) -> None:
        """Count one account, known by its 16-byte pseudonym, with all of its events, in any order.

        ``ValueError`` for a pseudonym of another length, or one that has been counted: its bound would not hold.
        """
        if len(pseudonym) != PSEUDONYM_BYTES:
            raise ValueError("a pseudonym has 16 bytes")
        if pseudonym in self._counted:
            raise ValueError("an account is counted once, with all of its events")
        keys = {key for event in events if (key := self._key(event)) is not None}
        if not keys:
            return
        self._counted.add(pseudonym)
        for key in keys if len(keys) <= self._bound else self._chosen(pseudonym, keys):
            self._cells[key].add(pseudonym)

    def drop(self, pseudonym: bytes) -> None:
        """Take an account out again, because its key has vanished; one that was not counted is not there to drop."""
        if pseudonym in self._counted:
            self._counted.remove(pseudonym)
            for members in self._cells.values():
                members.discard(pseudonym)

    def cells(self) -> Cells:
        """The members of every declared cell."""
        return {key: frozenset(members) for key, members in self._cells.items()}

    def _key(self, event: Recorded) -> Key | None:
        """The cell that the event belongs to, or None."""
        if not self._period.since <= event.at < self._period.until:
            return None
        if self._kinds is not None and event.kind not in self._kinds:
            return None
        values: dict[str, object] = dict(event.fields) if self._needs_fields else {}
        values[KIND] = event.kind
        for name, allowed in self._filters:
            if values.get(name) not in allowed:
                return None
        key = tuple(str(values.get(name, "")) for name in self._columns)
        # No declared value is the empty text; and a value that is no longer declared has no cell.
        return key if key in self._cells else None

    def _chosen(self, pseudonym: bytes, keys: set[Key]) -> list[Key]:
        """The cells that count for an account with more than the bound.

        By a hash of account and cell, so that no cell is favoured, and the same cells count in the next release: an
        order by name would empty the last cells, a random one would change cells in which nothing happened.
        """
        return sorted(keys, key=lambda key: canonical.digest(pseudonym + canonical.pack(key)))[: self._bound]
