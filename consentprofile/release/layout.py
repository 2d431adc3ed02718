"""Laying out: the events of a batch of accounts as the columns that measures work on.

They come from blocks that were read at once (:mod:`consentprofile.release.columns`), or event by event from whatever
had to be read by itself. Both ways lead to the same columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from consentprofile.errors import CorruptRecord
from consentprofile.model.event import Recorded, Value
from consentprofile.model.policy import EnumField, Policy
from consentprofile.release.columns import MISFIT, MISSING, MOST, Columns
from consentprofile.release.measures.measure import KIND, Events
from consentprofile.release.spec import Dimension, ReleaseSpec

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers

NOWHERE: Final = -1
"""The place of a value that the specification does not list, and of a field that an event does not have."""


class Layout:
    """What a specification reads of events: codes of words, and numbers."""

    def __init__(self, spec: ReleaseSpec) -> None:
        self._spec = spec
        self._codes = tuple(spec.words)
        self._values = tuple(name for name in spec.measure.fields if name not in spec.words)
        self._places: Mapping[str, Mapping[object, int]] = {
            name: {value: place for place, value in enumerate(values)} for name, values in spec.words.items()
        }
        self._positions: dict[bytes, _Positions] = {}

    def fields(self, policy: Policy) -> Sequence[int]:
        """The positions in ``policy`` of the fields that are read."""
        return tuple(self._of(policy).fields.values())

    # ---- from blocks read at once ----------------------------------------------------------------

    def read(self, columns: Columns, account: Numbers, policy: Policy) -> Events:
        """The events of blocks that name ``policy``; ``account`` is the account of each event, rising.

        Raises :class:`CorruptRecord` for positions that the policy does not have.
        """
        import numpy as np

        spec, positions = self._spec, self._of(policy)
        codes = {
            name: _looked_up(positions.places[name], self._column(columns, positions, name)) for name in self._codes
        }
        values = {name: self._column(columns, positions, name) for name in self._values}
        kept = (columns.at >= spec.period.since) & (columns.at < spec.period.until)
        for name, allowed in spec.where:
            let_through = np.zeros(len(spec.words[name]) + 1, dtype=bool)  # the last element is that of NOWHERE
            let_through[[self._places[name][value] for value in allowed]] = True
            kept &= let_through[codes[name]]
        for column in values.values():
            kept &= column != MISSING
        if not kept.all():
            chosen = np.flatnonzero(kept)
            columns = columns._replace(at=columns.at[chosen], id=columns.id[chosen])
            account = account[chosen]
            codes = {name: column[chosen] for name, column in codes.items()}
            values = {name: column[chosen] for name, column in values.items()}
        order = _order(account, columns, spec.period.until)
        if order is not None:
            columns = columns._replace(at=columns.at[order])
            codes = {name: column[order] for name, column in codes.items()}
            values = {name: column[order] for name, column in values.items()}
        return Events(account, columns.at, self._cell(codes, columns.at), codes, values)

    @staticmethod
    def _column(columns: Columns, positions: _Positions, name: str) -> Numbers:
        return columns.kind if name == KIND else columns.fields[positions.fields[name]]

    def _of(self, policy: Policy) -> _Positions:
        found = self._positions.get(policy.digest)
        if found is None:
            found = self._positions[policy.digest] = _Positions(policy, self._places, self._values)
        return found

    # ---- from events, one by one -----------------------------------------------------------------

    def lay_out(self, accounts: Iterable[tuple[int, Iterable[Recorded]]]) -> Events:
        """The events of accounts, by rising number, those of each in order of (time, id)."""
        import numpy as np

        since, until = self._spec.period.since, self._spec.period.until
        owners: list[int] = []
        times: list[int] = []
        rows: list[tuple[int, ...]] = []
        met: dict[tuple[str, tuple[tuple[str, Value], ...]], tuple[int, ...] | None] = {}
        for account, events in accounts:
            for event in events:
                if since <= event.at < until:
                    said = event.kind, event.fields
                    if said not in met:
                        met[said] = self._row(event)
                    row = met[said]
                    if row is not None:
                        owners.append(account)
                        times.append(event.at)
                        rows.append(row)
        width = len(self._codes) + len(self._values)
        table = np.array(rows, dtype=np.int64).reshape(len(rows), width)
        at = np.array(times, dtype=np.int64)
        columns = {name: table[:, place] for place, name in enumerate((*self._codes, *self._values))}
        codes = {name: columns[name] for name in self._codes}
        values = {name: columns[name] for name in self._values}
        return Events(np.array(owners, dtype=np.int64), at, self._cell(codes, at), codes, values)

    def _row(self, event: Recorded) -> tuple[int, ...] | None:
        """The codes and values of an event, or None where a filter or a missing number leaves it out.

        A value that is no longer declared has no place. Raises :class:`CorruptRecord` for a number that no field has.
        """
        said: dict[str, Value] = {**dict(event.fields), KIND: event.kind}
        if any(said.get(name) not in allowed for name, allowed in self._spec.where):
            return None
        numbers = [
            number
            for name in self._values
            if isinstance(number := said.get(name), int) and not isinstance(number, bool)
        ]
        if len(numbers) < len(self._values):
            return None
        if any(not MISSING <= number <= MOST for number in numbers):
            raise CorruptRecord(MISFIT)
        return (*(self._places[name].get(said.get(name), NOWHERE) for name in self._codes), *numbers)

    # ---- both ------------------------------------------------------------------------------------

    def _cell(self, codes: Mapping[str, Numbers], at: Numbers) -> Numbers:
        """The place of each event among the combinations of the dimensions, -1 where it has none."""
        import numpy as np

        cell = np.zeros(len(at), dtype=np.int64)
        for dimension in self._spec.dimensions:
            place = _place(dimension, self._spec.words, codes, at)
            cell = np.where((cell < 0) | (place < 0), NOWHERE, cell * len(dimension.values) + place)
        return cell


class _Positions:
    """Where one policy keeps what is read, and which place in the specification each of its words has."""

    def __init__(self, policy: Policy, places: Mapping[str, Mapping[object, int]], values: Iterable[str]) -> None:
        import numpy as np

        declared = {field.name: (position, field) for position, field in enumerate(policy.field_list)}
        self.fields = {name: declared[name][0] for name in (*places, *values) if name != KIND}
        self.places: dict[str, Numbers] = {}
        for name, listed in places.items():
            if name == KIND:
                words = tuple(kind.name for kind in policy.kind_list)
            else:
                field = declared[name][1]
                words = field.values if isinstance(field, EnumField) else ()
            self.places[name] = np.array([*(listed.get(word, NOWHERE) for word in words), NOWHERE], dtype=np.int64)


def _looked_up(places: Numbers, column: Numbers) -> Numbers:
    """The place of each position in ``column``; the last of ``places`` is that of :data:`MISSING`."""
    import numpy as np

    missing = column == MISSING
    if ((column >= len(places) - 1) | (column < 0) & ~missing).any():
        raise CorruptRecord(MISFIT)
    return places[np.where(missing, len(places) - 1, column)]


def _order(account: Numbers, columns: Columns, until: int) -> Numbers | None:
    """What puts events in order of (account, time, id), or None where they are."""
    import numpy as np

    later = (account[1:] > account[:-1]) | (columns.at[1:] > columns.at[:-1])
    if later.all():
        return None
    when = account * until + columns.at
    order = np.argsort(when, kind="stable")
    ordered = when[order]
    if (ordered[1:] == ordered[:-1]).any():
        return np.lexsort((columns.id, when))
    return order


def _place(
    dimension: Dimension, words: Mapping[str, tuple[str, ...]], codes: Mapping[str, Numbers], at: Numbers
) -> Numbers:
    """The place of each event among the values of one dimension, -1 for none."""
    import numpy as np

    if dimension.starts is not None:
        return np.searchsorted(np.array(dimension.starts), at, side="right") - 1
    listed = {value: place for place, value in enumerate(dimension.values)}
    places = np.array([*(listed.get(value, NOWHERE) for value in words[dimension.name]), NOWHERE], dtype=np.int64)
    return places[codes[dimension.name]]
