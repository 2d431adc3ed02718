"""Complementary suppression: what has to be hidden besides, so that no hidden row can be worked out from margins.

Rows that the rules hide stand in lines with rows that are shown: ``total - web - store`` is what ``app`` would have
shown. The audit asks, for each hidden row, how narrowly somebody can bound it who knows all that
:mod:`~consentprofile.release.knowledge` says, which is more than anybody knows. As long as there is a row that he can
bound to fewer than k accounts' worth, one more figure is hidden.

Which one is chosen by the lines alone: first what closes most lines in which a hidden row is left alone, rows before
margins, the last before the first. No figure takes part in the choice, large or small; figures decide only whether the
audit passes. So a figure that is hidden is not known to be the smallest of its line, or any other that would tell it.
Figures that earlier releases have given are known and stay what they are: to hide them would hide nothing. Where only
such figures are left and the audit does not pass, every margin is hidden, and the table is one without margins.

A hidden row stays hidden while others are chosen, and what is known only becomes less, so a row that passed the audit
once has passed it for good. At last each figure that was chosen is shown again where the audit passes without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consentprofile.release.bounds import Worlds
from consentprofile.release.knowledge import Known

MOST_PROGRAMS: Final = 2_000
"""After so many linear programs no more figures are spared: a number of programs, not of seconds, so that every machine
spares the same."""


class Table(NamedTuple):
    """What the choice goes by: what is known of each row, and the lines in which they stand.

    A line has the places of a margin and of the rows that make it up. ``margins`` counts the last rows, which are
    margins; ``levels`` has, for each row, how many columns it sums over.
    """

    rows: Sequence[Known]
    lines: Sequence[tuple[int, ...]]
    levels: Sequence[int]


def complementary(table: Table, worlds: Worlds, width: float) -> frozenset[int]:
    """The places of the rows to hide besides those without a figure.

    ``worlds`` are those that agree with what is shown; they are told what is hidden. Costs two linear programs for each
    hidden row at most, and as many again for each row that is chosen; then up to :data:`MOST_PROGRAMS`.
    """
    choice = _Choice(table, worlds)
    waiting = [place for place, row in enumerate(table.rows) if row.shown is None]
    while waiting:
        if worlds.differs(waiting[0], width):
            waiting.pop(0)
            continue
        chosen = choice.next(waiting[0])
        if not chosen:
            return frozenset(place for place, row in enumerate(table.rows) if table.levels[place] and row.shown)
        waiting += chosen
    choice.spare(width)
    return frozenset(choice.hidden)


class _Choice:
    """What is hidden so far, and what to hide next."""

    def __init__(self, table: Table, worlds: Worlds) -> None:
        self._table = table
        self._worlds = worlds
        self._hidden = {place for place, row in enumerate(table.rows) if row.shown is None}
        self._lines_of: dict[int, list[int]] = {}
        for number, line in enumerate(table.lines):
            for place in line:
                self._lines_of.setdefault(place, []).append(number)
        self._copies: dict[int, list[int]] = {}
        for place, row in enumerate(table.rows):
            if row.shown is not None and row.source is not None:
                self._copies.setdefault(row.source, []).append(place)
        self._chosen: list[int] = []

    @property
    def hidden(self) -> list[int]:
        """The rows that were chosen, and those that show the same figures."""
        return [place for source in self._chosen for place in self._copies[source]]

    def next(self, exposed: int) -> list[int]:
        """Hide the figure that helps an ``exposed`` row most, wherever it is shown; none where there is none."""
        candidates = self._candidates(exposed)
        if not candidates:
            return []
        best = max(candidates, key=lambda place: (self._closed(place), -self._table.levels[place], place))
        self._chosen.append(best)
        self._hide(best)
        return self._copies[best]

    def spare(self, width: float) -> None:
        """Show again what the others have made needless: margins before rows, the first before the last."""
        for source in sorted(self._chosen, key=lambda place: (-self._table.levels[place], place)):
            if self._worlds.programs > MOST_PROGRAMS:
                return
            self._show(source)
            near = sorted(self._hidden, key=lambda place: (place not in set(self._in_lines_with(source)), place))
            if all(self._worlds.differs(place, width) for place in near):
                self._chosen.remove(source)
            else:
                self._hide(source)

    def _hide(self, source: int) -> None:
        for place in self._copies[source]:
            self._worlds.hide(place, self._table.rows[place].hidden)
            self._hidden.add(place)

    def _show(self, source: int) -> None:
        for place in self._copies[source]:
            row = self._table.rows[place]
            self._worlds.show(place, row.shown or row.hidden)
            self._hidden.discard(place)

    def _candidates(self, exposed: int) -> set[int]:
        """The shown figures, of rows of their own, in every line that hangs together with the row by hidden ones."""
        found: set[int] = set()
        reached, ahead = {exposed}, [exposed]
        while ahead:
            for place in self._in_lines_with(ahead.pop()):
                if place not in self._hidden:
                    source = self._table.rows[place].source
                    found |= set() if source is None else {source}
                elif place not in reached:
                    reached.add(place)
                    ahead.append(place)
        return found

    def _in_lines_with(self, place: int) -> Iterable[int]:
        return (other for number in self._lines_of.get(place, ()) for other in self._table.lines[number])

    def _closed(self, source: int) -> int:
        """How many lines would no longer leave a hidden row alone, less those that would begin to."""
        score = 0
        rows = set(self._copies[source])
        for number in {number for place in rows for number in self._lines_of.get(place, ())}:
            line = set(self._table.lines[number])
            before, more = len(line & self._hidden), len(line & rows)
            score += (before == 1) - (before == 0 and more == 1)
        return score
