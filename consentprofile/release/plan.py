"""``release plan``: what a release would cost and how well it would be protected, never its figures.

Most of a plan follows from the specification and the policy alone. How many cells would be suppressed follows from
people, and a plan has no entry in the ledger: told exactly, it could be asked again and again, with one cell and ever
other filters, until it had told what no release would. So it is told of what the release would publish (the ledger
applied; under the policy's own minimum, so that no row of ever stricter minimums spells out the figures), to the
nearest quarter, and not at all for fewer than eight cells. What is left: that some cell, nobody is told which, has
risen over the threshold or fallen below it, where that moves the share over the middle between two quarters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from consentprofile.release.dp.manifest import GUARANTEE
from consentprofile.release.dp.plan import PlannedNoise
from consentprofile.release.figures import COMMON
from consentprofile.release.kept import LedgerCell
from consentprofile.release.manifest import HEURISTIC
from consentprofile.release.period import instant
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import largest_error, step

FEWEST_CELLS: Final = 8
"""For fewer cells than these nothing is said of how many would be suppressed."""


class ReleasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a release would be.

    Its cost is the (question, period) itself, which is answered once; the next period is due after ``cadence_days``.
    ``suppressed_about`` is the share of cells without a figure, in percent, to the nearest quarter (0, 25, 50, 75,
    100), or None where that is not told. Figures of ``figure`` (``accounts``, or what is added up) are multiples of
    ``round_to`` and off by at most ``largest_error``. What is asked is told as in
    :class:`~consentprofile.release.figures.Figures`; ``digest`` is the SHA-256 of the canonical specification, hex:
    what an officer approves. ``approved`` is None where nobody has to, for the policy does not ask for it or the
    question was answered before: by the release whose number is ``answered_by``.

    With differential privacy (``noise`` says what that costs) there is no minimum and no rounding, nothing is
    suppressed, and ``largest_error`` is what figures are off by at most 95 times in 100.
    """

    measure: str
    purpose: str
    since: str
    until: str
    where: dict[str, tuple[str, ...]]
    terms: dict[str, object]
    columns: tuple[str, ...]
    cells: int
    cells_per_account: int
    min_accounts: int
    figure: str
    round_to: int
    largest_error: int
    cadence_days: int
    guarantee: str
    suppressed_about: int | None
    digest: str
    approved: bool | None = None
    answered_by: int | None = None
    noise: PlannedNoise | None = None


def plan(spec: ReleaseSpec, settled: Sequence[LedgerCell]) -> ReleasePlan:
    """The plan of a release whose cells :func:`~consentprofile.release.summed.protected` has settled."""
    part = spec.measure.parts[0]
    return _planned(
        spec,
        min_accounts=spec.min_accounts,
        round_to=step(spec.rules, part),
        largest_error=largest_error(spec.rules, part),
        suppressed_about=_share(sum(cell.value is None for cell in settled), len(settled)),
    )


def plan_noisy(spec: ReleaseSpec, noise: PlannedNoise) -> ReleasePlan:
    """The plan of a release with differential privacy: of the specification alone, for nobody is counted."""
    interval = noise.figures[0].interval
    return _planned(spec, min_accounts=0, round_to=1, largest_error=interval, suppressed_about=None, noise=noise)


def _planned(
    spec: ReleaseSpec,
    *,
    min_accounts: int,
    round_to: int,
    largest_error: int,
    suppressed_about: int | None,
    noise: PlannedNoise | None = None,
) -> ReleasePlan:
    return ReleasePlan(
        measure=spec.measure.name,
        purpose=spec.purpose,
        since=instant(spec.period.since),
        until=instant(spec.period.until),
        where=dict(spec.where),
        terms={name: term for name, term in msgspec.to_builtins(spec.terms).items() if name not in COMMON},
        columns=spec.columns,
        cells=spec.rows,
        cells_per_account=spec.bound,
        min_accounts=min_accounts,
        figure=spec.measure.parts[0].name,
        round_to=round_to,
        largest_error=largest_error,
        cadence_days=spec.rules.cadence_days,
        guarantee=HEURISTIC if noise is None else GUARANTEE,
        suppressed_about=suppressed_about,
        noise=noise,
        digest=spec.digest.hex(),
    )


def _share(suppressed: int, cells: int) -> int | None:
    return None if cells < FEWEST_CELLS else 25 * round(4 * suppressed / cells)
