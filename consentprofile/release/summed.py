"""Threshold protection of a whole release: the rules for each cell, then what margins would tell beside them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from consentprofile.release.bounds import Worlds
from consentprofile.release.cells import Counted
from consentprofile.release.complementary import Table, complementary
from consentprofile.release.kept import Settled
from consentprofile.release.knowledge import Outcome, known, relations
from consentprofile.release.margins import with_margins
from consentprofile.release.measures.measure import UNION
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import Protected, PublishedCell, protect


def protected(
    spec: ReleaseSpec, counted: Counted, earlier: Iterable[Settled], *, min_accounts: int | None = None
) -> Protected:
    """What may leave of what was ``counted``, and what the ledger keeps, margins behind the other rows.

    ``earlier`` are the ledger's releases of the same purpose, oldest first; ``min_accounts`` is the specification's
    unless given. A figure that is hidden because of margins is no figure to the ledger either: whoever asks for that
    row by itself later is not given what was hidden here. Raises :class:`UnsupportedEnvironment` without the extra
    ``release``.
    """
    least = spec.min_accounts if min_accounts is None else min_accounts
    if not spec.margins:
        return protect(counted, spec.rules, earlier, min_accounts=least)
    whole = with_margins(counted, spec.margins, spec.bound)
    by_rules = protect(whole, spec.rules, earlier, min_accounts=least)
    hidden = _hidden(spec, Outcome(whole, by_rules.ledger.cells, [cell.value for cell in by_rules.published]), least)
    kept = tuple(
        msgspec.structs.replace(cell, value=None, accounts=None) if place in hidden else cell
        for place, cell in enumerate(by_rules.ledger.cells)
    )
    shown = tuple(
        PublishedCell(cell.key, None) if place in hidden else cell for place, cell in enumerate(by_rules.published)
    )
    return Protected(ledger=msgspec.structs.replace(by_rules.ledger, cells=kept), published=shown)


def _hidden(spec: ReleaseSpec, outcome: Outcome, min_accounts: int) -> frozenset[int]:
    """The places of the rows that are hidden because of margins."""
    rows = known(outcome, spec.rules, min_accounts)
    if all(row.shown is not None for row in rows):
        return frozenset()
    part = spec.measure.parts[0]
    union = spec.bound if spec.measure.margin == UNION and spec.bound > 1 else None
    least = spec.rules.min_accounts
    between = relations(outcome, spec.margins, rows, least, union=union)
    worlds = Worlds((row.shown or row.hidden for row in rows), between, unit=part.limit)
    base = len(spec.keys)
    lines = [(place, *line) for place, margin in enumerate(spec.margins, base) for line in margin.lines]
    levels = [0] * base + [len(margin.over) for margin in spec.margins]
    return complementary(Table(rows, lines, levels), worlds, (least - 1) * part.span)
