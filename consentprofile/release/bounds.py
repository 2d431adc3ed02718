"""What figures can be bounded to by somebody who knows how they hang together: linear programming, by HiGHS.

A *world* is a table of exact numbers that agrees with everything that is known: with the interval that each published
figure stands for, and with every relation between rows. Two worlds in which a hidden row differs by ``width`` show that
nobody can bound it more narrowly. They are shown, not argued: each world that counts here is a solution that was found,
in whole accounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.errors import UnsupportedEnvironment

if TYPE_CHECKING:
    import highspy
    import numpy as np
    from numpy.typing import NDArray

    Solution = NDArray[np.float64]

EXACT: Final = 1e-6
"""Numbers of accounts that are no further apart are equal: the solver counts in floating point."""

DIRECTIONS: Final = 12
"""In how many directions a world in whole accounts is looked for where the first has fractions of them.

What is not found then counts as none, which hides more than has to be, and never less."""

_DUAL: Final = 1
_OPTIONS: Final[dict[str, bool | int | str]] = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",  # each question goes on where the last one ended: only what is asked for changes
    "simplex_strategy": _DUAL,
}


class Interval(NamedTuple):
    """What is known of a row, bounds included; ``inf`` where nothing is."""

    low: float
    high: float


class Relation(NamedTuple):
    """What is known of several rows together: ``low`` ≤ the sum of ``terms`` (place of the row, factor) ≤ ``high``.

    ``by_figures``: it is known from their figures, so only as long as these are shown.
    """

    low: float
    high: float
    terms: tuple[tuple[int, float], ...]
    by_figures: bool = False


class Worlds:
    """Every table that agrees with what is ``known`` of each row and with the ``relations`` between them.

    Numbers are in the unit of the rows; ``unit`` is what the solver counts in, so that its numbers stay small. With a
    unit of 1 they are accounts, and no world has a fraction of one. The exact table is among the worlds, as long as
    what is known is true. Raises :class:`UnsupportedEnvironment` without the extra ``release``.

    A question costs two linear programs over all rows at most, none where worlds found before answer it.
    """

    def __init__(self, known: Iterable[Interval], relations: Iterable[Relation], *, unit: int = 1) -> None:
        self._unit = unit
        self._whole = unit == 1
        known = list(known)
        # No world needs numbers beyond all that is known together, and a solver needs an end.
        self._far = 1000.0 + 2 * sum(abs(end) for interval in known for end in interval if math.isfinite(end))
        self._known = [self._counted(interval) for interval in known]
        self._relations = [one._replace(low=one.low / unit, high=one.high / unit) for one in relations]
        self._solver = _solver(self._known, self._relations)
        self._hidden: set[int] = set()
        self.programs = 0
        """How many linear programs have been solved."""
        self._least: Solution | None = None
        self._most: Solution | None = None
        """The least and the most of each row in the worlds found so far."""

    def hide(self, place: int, known: Interval) -> None:
        """From now on the figure of a row is not shown, and no more than this is ``known`` of the row itself.

        Whoever knows less excludes no world: those found so far remain.
        """
        self._hidden.add(place)
        self._know(place, known)

    def show(self, place: int, known: Interval) -> None:
        """Undo :meth:`hide`: this is ``known`` again, and whatever figures tell together."""
        self._hidden.discard(place)
        self._know(place, known)
        self._least = self._most = None

    def _know(self, place: int, known: Interval) -> None:
        self._known[place] = self._counted(known)
        self._solver.changeColBounds(place, *self._known[place])
        for number, relation in enumerate(self._relations):
            if relation.by_figures and any(place == row for row, _ in relation.terms):
                shown = self._hidden.isdisjoint(row for row, _ in relation.terms)
                low, high = (relation.low, relation.high) if shown else (-math.inf, math.inf)
                self._solver.changeRowBounds(number, low, high)

    def differs(self, place: int, width: float) -> bool:
        """Whether a row differs by at least ``width`` between two worlds. False where no two could be found."""
        width = width / self._unit - EXACT
        for sense in (1, -1):
            if self._seen(place) < width:
                self._extreme(place, sense)
        return self._seen(place) >= width

    def _counted(self, interval: Interval) -> Interval:
        return Interval(max(interval.low, -self._far) / self._unit, min(interval.high, self._far) / self._unit)

    def _seen(self, place: int) -> float:
        """How far apart the row is in the worlds found so far."""
        return -1.0 if self._least is None or self._most is None else float(self._most[place] - self._least[place])

    def _extreme(self, place: int, sense: int) -> None:
        """Find a world in which the row is least (1) or most (-1)."""
        import numpy as np

        self._solver.changeColCost(place, float(sense))
        found = self._run()
        self._solver.changeColCost(place, 0.0)
        if found is not None and self._whole and not _is_whole(found):
            inside = math.ceil(found[place] - EXACT) if sense > 0 else math.floor(found[place] + EXACT)
            found = self._in_whole_accounts(place, inside, found)
        if found is not None:
            self._least = found if self._least is None else np.minimum(self._least, found)
            self._most = found if self._most is None else np.maximum(self._most, found)

    def _in_whole_accounts(self, place: int, value: int, broken: Solution) -> Solution | None:
        """A world of whole accounts in which the row has this ``value``: corners near the ``broken`` one are tried."""
        import numpy as np

        self._solver.changeColBounds(place, value, value)
        found: Solution | None = broken
        for direction in range(DIRECTIONS):
            rows = np.flatnonzero(np.abs(broken - np.rint(broken)) > EXACT).astype(np.int32)
            costs = np.random.default_rng(direction).integers(-50, 51, len(rows)).astype(np.float64)
            self._solver.changeColsCost(len(rows), rows, costs)
            found = self._run()
            self._solver.changeColsCost(len(rows), rows, np.zeros(len(rows)))
            if found is None or _is_whole(found):
                break
            broken, found = found, None
        self._solver.changeColBounds(place, *self._known[place])
        return found

    def _run(self) -> Solution | None:
        """The solver's solution, if it has found one."""
        import highspy
        import numpy as np

        self.programs += 1
        self._solver.run()
        if self._solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        return np.array(self._solver.getSolution().col_value)


def _is_whole(found: Solution) -> bool:
    import numpy as np

    return bool(np.abs(found - np.rint(found)).max() <= EXACT)


def _solver(known: Sequence[Interval], relations: Sequence[Relation]) -> highspy.Highs:
    try:
        import highspy
    except ImportError:
        raise UnsupportedEnvironment(
            "margins need highspy; install the extra: pip install 'consentprofile[release]'"
        ) from None
    import numpy as np

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(known), len(relations)
    model.col_cost_ = np.zeros(len(known))
    model.col_lower_ = np.array([interval.low for interval in known])
    model.col_upper_ = np.array([interval.high for interval in known])
    model.row_lower_ = np.array([relation.low for relation in relations])
    model.row_upper_ = np.array([relation.high for relation in relations])
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.cumsum([0, *(len(relation.terms) for relation in relations)], dtype=np.int32)
    model.a_matrix_.index_ = np.array([place for one in relations for place, _ in one.terms], dtype=np.int32)
    model.a_matrix_.value_ = np.array([factor for one in relations for _, factor in one.terms])
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in _OPTIONS.items():
        solver.setOptionValue(option, value)
    solver.passModel(model)
    return solver
