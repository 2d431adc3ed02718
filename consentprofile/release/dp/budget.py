"""The budget of a purpose: what it may lose in any year, and when there is enough of it again.

A charge weighs for a year, from the hour in which its figures were drawn: the losses of any 365 days add up to no more
than the policy's budget for a year. So an account that is there for several years loses as much in each of them;
what bounds that is the retention of the purpose, for no release is about what is kept no longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consentprofile.release.dp.accounting import Loss, counted_in

YEAR: Final = 365 * 86_400
"""How long a charge weighs, in seconds."""
HOUR: Final = 3_600


class Charge(NamedTuple):
    """What was spent on a release, and when: ``hour`` is the first second of the hour, UTC, in which it was drawn, or
    charged where it was not drawn yet.

    ``number`` is that of the release. A charge without number and loss stands for all that may have been spent until
    then: nobody can tell, because the end of the audit log was lost.
    """

    number: int | None
    hour: int
    loss: Loss | None

    @property
    def until(self) -> int:
        """The first second in which it does not weigh any more."""
        return self.hour + HOUR + YEAR

    def weight(self, allowed: Loss) -> Loss:
        """What it counts for in a budget of ``allowed``: all of it, where it is unknown or cannot be counted in it."""
        counted = None if self.loss is None else counted_in(self.loss, allowed.currency)
        return allowed if counted is None else counted


def spent(allowed: Loss, charges: Iterable[Charge], now: int) -> Loss:
    """What weighs at ``now``. It can be more than what is ``allowed``, where the policy allowed more before."""
    weights = [charge.weight(allowed) for charge in charges if now < charge.until]
    return Loss(allowed.currency, sum(one.amount for one in weights), sum(one.delta for one in weights))


def left(allowed: Loss, charges: Iterable[Charge], now: int) -> Loss:
    """What can be spent at ``now``."""
    gone = spent(allowed, charges, now)
    return Loss(allowed.currency, max(0, allowed.amount - gone.amount), max(0, allowed.delta - gone.delta))


def affordable_at(allowed: Loss, asked: Loss, charges: Sequence[Charge], now: int) -> int | None:
    """The first second from ``now`` on at which ``asked`` can be paid for, if nothing else is; None for never."""
    cost = counted_in(asked, allowed.currency)
    if cost is None or cost.amount > allowed.amount or cost.delta > allowed.delta:
        return None
    for second in sorted({now, *(charge.until for charge in charges if charge.until > now)}):
        rest = left(allowed, charges, second)
        if cost.amount <= rest.amount and cost.delta <= rest.delta:
            return second
    return None


def more_at(charges: Iterable[Charge], now: int) -> int | None:
    """When the next charge stops weighing; None where none weighs."""
    return min((charge.until for charge in charges if charge.until > now), default=None)
