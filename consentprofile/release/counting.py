"""Counting: accounts go in one by one, the members of each cell come out.

Events are laid out in columns for a batch of accounts at a time; measures work on these. Memory grows with the batch
and with the memberships, not with the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from consentprofile import canonical
from consentprofile.errors import UnsupportedEnvironment
from consentprofile.model.event import Recorded, Value
from consentprofile.release.cells import PSEUDONYM_BYTES, Cell, Counted
from consentprofile.release.measures.measure import KIND, Bins, Events, Key
from consentprofile.release.spec import Dimension, ReleaseSpec

if TYPE_CHECKING:
    from consentprofile.release.cells import Places, Pseudonyms
    from consentprofile.release.measures.measure import Numbers

BATCH: Final = 20_000
"""Events laid out at a time; an account is never divided."""

_ORDER: Final = attrgetter("at", "id")


class Counting:
    """Takes one account after the other.

    An account counts at most once in a cell, and in at most ``spec.bound`` cells. Events outside the period, and those
    that lack a field asked for, count nowhere. Raises :class:`UnsupportedEnvironment` without the extra ``release``.
    """

    def __init__(self, spec: ReleaseSpec) -> None:
        _require_numpy()
        self._spec = spec
        self._layout = _Layout(spec)
        self._pseudonyms: list[bytes] = []
        self._counted: set[bytes] = set()
        self._dropped: set[bytes] = set()
        self._before = 0
        """The accounts that were counted with earlier batches."""
        self._bins: list[Bins] = []
        """Those of each batch, accounts by their place in ``_pseudonyms``."""

    def add(self, pseudonym: bytes, events: Iterable[Recorded]) -> None:
        """Count one account, known by its 16-byte pseudonym, with all of its events, in any order.

        ``ValueError`` for a pseudonym of another length, or one that has been counted: its bound would not hold.
        """
        if len(pseudonym) != PSEUDONYM_BYTES:
            raise ValueError("a pseudonym has 16 bytes")
        if pseudonym in self._counted:
            raise ValueError("an account is counted once, with all of its events")
        self._counted.add(pseudonym)
        self._layout.add(len(self._pseudonyms) - self._before, sorted(events, key=_ORDER))
        self._pseudonyms.append(pseudonym)
        if self._layout.events >= BATCH:
            self._count()

    def drop(self, pseudonym: bytes) -> None:
        """Take an account out again, because its key has vanished; one that was not counted is not there to drop."""
        self._dropped.add(pseudonym)

    def counted(self) -> Counted:
        """The members of every declared cell."""
        import numpy as np

        self._count()
        bins = self._kept()
        pseudonyms, place = self._numbered(bins.account)
        # A sort by place, then a stable one by cell: members of each cell rise.
        order = np.argsort(place[bins.account], kind="stable")
        order = order[np.argsort(bins.cell[order], kind="stable")]
        members = place[bins.account[order]]
        amounts = None if bins.amounts is None else tuple(added[order] for added in bins.amounts)
        ends = np.searchsorted(bins.cell[order], np.arange(len(self._spec.keys) + 1)).tolist()
        parts = len(self._spec.measure.parts)
        cells = []
        for number, (key, part) in enumerate(self._spec.cells):
            row = slice(ends[number // parts], ends[number // parts + 1])
            added = None if amounts is None or part.counts else amounts[number % parts][row]
            cells.append(Cell(key, part, members[row], added))
        return Counted(pseudonyms, tuple(cells))

    def _numbered(self, accounts: Numbers) -> tuple[Pseudonyms, Places]:
        """The pseudonyms of ``accounts``, sorted; and the place of each account that was counted among them."""
        import numpy as np

        behind = np.unique(accounts)
        pseudonyms = np.array(self._pseudonyms, dtype=f"S{PSEUDONYM_BYTES}")[behind]
        order = np.argsort(pseudonyms)
        place = np.zeros(len(self._pseudonyms), dtype=np.uint32)
        place[behind[order]] = np.arange(len(behind), dtype=np.uint32)
        return pseudonyms[order], place

    def _count(self) -> None:
        """Count the batch that is laid out."""
        bins = self._bounded(self._spec.measure.bins(self._layout.take()))
        self._bins.append(bins._replace(account=bins.account + self._before))
        self._before = len(self._pseudonyms)

    def _kept(self) -> Bins:
        """The bins of all batches, without the accounts that were dropped."""
        import numpy as np

        gone = np.array([pseudonym in self._dropped for pseudonym in self._pseudonyms], dtype=bool)
        account = np.concatenate([bins.account for bins in self._bins])
        kept = ~gone[account]
        columns = [bins.amounts for bins in self._bins if bins.amounts is not None]
        return Bins(
            account[kept],
            np.concatenate([bins.cell for bins in self._bins])[kept],
            tuple(np.concatenate(column)[kept] for column in zip(*columns, strict=True)) if columns else None,
        )

    def _bounded(self, bins: Bins) -> Bins:
        """Those of ``bins`` that count: of an account with more than the bound, as many as the bound."""
        import numpy as np

        bound = self._spec.bound
        counts = np.bincount(bins.account, minlength=1)
        over = np.flatnonzero(counts > bound)
        if not len(over):
            return bins
        kept = np.ones(len(bins.account), dtype=bool)
        ends = np.cumsum(counts)
        for account in over.tolist():
            begin, end = ends[account] - counts[account], ends[account]
            chosen = _chosen(
                self._pseudonyms[self._before + account], self._spec.keys, bins.cell[begin:end].tolist(), bound
            )
            kept[begin:end] = np.isin(bins.cell[begin:end], chosen)
        amounts = None if bins.amounts is None else tuple(added[kept] for added in bins.amounts)
        return bins._replace(account=bins.account[kept], cell=bins.cell[kept], amounts=amounts)


def _chosen(pseudonym: bytes, keys: Sequence[Key], cells: list[int], bound: int) -> list[int]:
    """The cells that count for an account with more than the bound.

    By a hash of account and cell, so that no cell is favoured, and the same cells count in the next release: an order
    by name would empty the last cells, a random one would change cells in which nothing happened.
    """
    return sorted(cells, key=lambda cell: canonical.digest(pseudonym + canonical.pack(keys[cell])))[:bound]


def _require_numpy() -> None:
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise UnsupportedEnvironment(
            "releases need numpy; install the extra: pip install 'consentprofile[release]'"
        ) from None


class _Layout:
    """Columns of events as they fill up: places in vocabularies, numbers, times."""

    def __init__(self, spec: ReleaseSpec) -> None:
        self._spec = spec
        self._codes = tuple(spec.words)
        self._values = tuple(name for name in spec.measure.fields if name not in spec.words)
        self._places: Mapping[str, Mapping[object, int]] = {
            name: {value: place for place, value in enumerate(values)} for name, values in spec.words.items()
        }
        self._begin()

    def _begin(self) -> None:
        self._account: list[int] = []
        self._at: list[int] = []
        self._rows: list[tuple[int, ...]] = []
        self._known: dict[tuple[str, tuple[tuple[str, Value], ...]], tuple[int, ...] | None] = {}

    @property
    def events(self) -> int:
        """How many are laid out."""
        return len(self._at)

    def add(self, account: int, events: Iterable[Recorded]) -> None:
        """Lay out the events of the account at this place of the batch, those outside the period left out."""
        since, until = self._spec.period.since, self._spec.period.until
        for event in events:
            if since <= event.at < until:
                said = event.kind, event.fields
                if said not in self._known:
                    self._known[said] = self._row(event)
                row = self._known[said]
                if row is not None:
                    self._account.append(account)
                    self._at.append(event.at)
                    self._rows.append(row)

    def _row(self, event: Recorded) -> tuple[int, ...] | None:
        """The codes and values of an event, or None where a filter or a missing number leaves it out.

        A value that is no longer declared has no place.
        """
        said: dict[str, Value] = {**dict(event.fields), KIND: event.kind}
        if any(said.get(name) not in allowed for name, allowed in self._spec.where):
            return None
        numbers = [said.get(name) for name in self._values]
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            return None
        return (
            *(self._places[name].get(said.get(name), -1) for name in self._codes),
            *(number for number in numbers if isinstance(number, int)),
        )

    def take(self) -> Events:
        """The columns, which begin anew."""
        import numpy as np

        width = len(self._codes) + len(self._values)
        rows = np.array(self._rows, dtype=np.int64).reshape(len(self._rows), width)
        at = np.array(self._at, dtype=np.int64)
        columns = {name: rows[:, place] for place, name in enumerate((*self._codes, *self._values))}
        events = Events(
            account=np.array(self._account, dtype=np.int64),
            at=at,
            cell=self._cell(columns, at),
            codes={name: columns[name] for name in self._codes},
            values={name: columns[name] for name in self._values},
        )
        self._begin()
        return events

    def _cell(self, columns: Mapping[str, Numbers], at: Numbers) -> Numbers:
        """The place of each event among the combinations of the dimensions, -1 where it has none."""
        import numpy as np

        cell = np.zeros(len(at), dtype=np.int64)
        for dimension in self._spec.dimensions:
            place = _place(dimension, self._spec.words, columns, at)
            cell = np.where((cell < 0) | (place < 0), -1, cell * len(dimension.values) + place)
        return cell


def _place(
    dimension: Dimension, words: Mapping[str, tuple[str, ...]], columns: Mapping[str, Numbers], at: Numbers
) -> Numbers:
    """The place of each event among the values of one dimension, -1 for none."""
    import numpy as np

    if dimension.starts is not None:
        return np.searchsorted(np.array(dimension.starts), at, side="right") - 1
    listed = {value: place for place, value in enumerate(dimension.values)}
    places = np.array([*(listed.get(value, -1) for value in words[dimension.name]), -1], dtype=np.int64)
    return places[columns[dimension.name]]
