"""The privacy budget of a purpose: what was charged to it, by which release, and what is left.

Every charge has a leaf in the audit log, which says how much; the ledger's sealed entry says for which question. A
charge that either of them knows counts, so nobody gets budget back by losing one of them. Where a restored log has lost
its end, nobody can tell what was charged after it: then all of the budget counts as spent until a year after the log
went on.

What was charged weighs from when its figures were drawn: where a crash lay between, that can be months later. Until
then it weighs from its charge, and the same specification is drawn under it. Once it weighs no more, or once the log
has lost an end in which it may have been answered, it is to be paid for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from consentprofile.errors import BrokenLog, CorruptRecord, InputError, ReleaseRefused
from consentprofile.release.dp.accounting import Currency, Loss, counted_in
from consentprofile.release.dp.budget import HOUR, Charge, affordable_at, left, more_at, spent
from consentprofile.release.dp.entry import ChargedEntry
from consentprofile.release.ledger import Entry, charged
from consentprofile.release.protection import budget as allowed_by
from consentprofile.release.spec import ReleaseSpec
from consentprofile.tlog.leaf import Fact, Leaf, Operation
from consentprofile.usecases.audit import mentioning
from consentprofile.usecases.consent import moment
from consentprofile.usecases.released import entries
from consentprofile.usecases.session import Session

RELEASE, DELTA, SPECIFICATION = "release", "delta", "specification"
_ACTS = (Operation.BUDGET_CHARGED, Operation.RELEASED, Operation.LINEAGE_BEGUN)


class BudgetCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged for one release, in the currency that it asked in, and ``counts`` for in that of the budget.

    ``number`` is that of the release; None where the log has lost its end, and all of the budget counts as spent.
    ``hour`` is when its figures were drawn (when it was charged, where they were not yet), and ``until`` from when on
    it does not weigh any more (aware UTC). ``answered``: figures left the store for it. Where they did not, the same
    specification is answered without another charge.
    """

    number: int | None
    currency: Currency | None
    amount: float
    delta: float
    counts: float
    hour: datetime
    until: datetime
    answered: bool


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of a purpose in ``currency`` (``epsilon`` or ``rho``), and what weighs in it now, oldest first.

    ``spent`` and ``left`` are of ``per_year``, likewise for delta. ``more`` is when some of it comes back (aware UTC),
    None where nothing weighs.
    """

    purpose: str
    currency: Currency
    per_year: float
    spent: float
    left: float
    delta_per_year: float
    delta_spent: float
    delta_left: float
    charges: tuple[BudgetCharge, ...]
    more: datetime | None


def facts(number: int, loss: Loss) -> tuple[Fact, ...]:
    """The facts of the leaf of a charge, but for what it was charged for."""
    return ((RELEASE, number), (loss.currency, loss.amount), (DELTA, loss.delta))


class Charges:
    """The charges to one purpose. Of the log only what was appended since it was last followed is read again."""

    def __init__(self, session: Session, purpose: str) -> None:
        self._session = session
        self._purpose = purpose
        self._next = 0
        self._told: list[Charge] = []
        self._places: dict[int | bytes | None, int] = {}
        """By specification where its last charge stands."""

    def made(self, ledger: Mapping[int, Entry]) -> list[Charge]:
        """Every charge to the purpose, oldest first; ``ledger`` are all of its entries by number.

        Cost: some 0.5 microseconds for each leaf that was not looked at yet. Raises :class:`BrokenLog`.
        """
        self._follow()
        known = {charge.number for charge in self._told}
        kept = [
            Charge(number, entry.charged.second // HOUR * HOUR, entry.charged.loss)
            for number, entry in ledger.items()
            if isinstance(entry, ChargedEntry) and entry.purpose == self._purpose and number not in known
        ]
        return sorted(self._told + kept, key=lambda charge: charge.hour)

    def _follow(self) -> None:
        with self._session.ground.files.reading():
            size = self._session.ground.log.size()
        leaves = list(mentioning(self._session, _ACTS, self._next, size))
        for leaf in leaves:
            specification = dict(leaf.facts).get(SPECIFICATION)
            if leaf.operation == Operation.RELEASED:
                if (place := self._places.get(specification)) is not None:
                    self._told[place] = self._told[place]._replace(hour=leaf.hour * HOUR)
            elif (charge := _charge(leaf, self._purpose)) is not None:
                if leaf.operation == Operation.BUDGET_CHARGED:
                    self._places[specification] = len(self._told)
                self._told.append(charge)
        self._next = size


def unanswered(
    charges: Charges, ledger: Mapping[int, Entry], spec: ReleaseSpec, now: int
) -> tuple[int, ChargedEntry] | None:
    """The number and the entry of the charge that this very specification, not answered yet, can be drawn under.

    None where there is none, where it weighs no more, and where the log has lost an end since: in that end it may have
    been answered, and a second answer is another loss. Raises :class:`BrokenLog`.
    """
    found = charged(ledger, spec)
    if found is None:
        return None
    made = charges.made(ledger)
    mine = max((charge for charge in made if charge.number == found[0]), key=lambda charge: charge.hour)
    lost = any(charge.number is None and charge.hour >= mine.hour for charge in made)
    return None if lost or now >= mine.until else found


def _charge(leaf: Leaf, purpose: str) -> Charge | None:
    """What a leaf says was charged to the purpose; None for nothing."""
    hour = leaf.hour * HOUR
    if leaf.operation == Operation.LINEAGE_BEGUN:
        return Charge(None, hour, None)
    if leaf.purpose != purpose:
        return None
    said = dict(leaf.facts)
    currency: Currency = "epsilon" if "epsilon" in said else "rho"
    number, amount, delta = (said.get(name) for name in (RELEASE, currency, DELTA))
    if not (isinstance(number, int) and isinstance(amount, int) and isinstance(delta, int)):
        raise BrokenLog(f"leaf {leaf.sequence} does not say what was charged", sequence=leaf.sequence)
    return Charge(number, hour, Loss(currency, amount, delta))


def allowed(spec: ReleaseSpec) -> Loss:
    """What the purpose of a specification may lose in a year. Specifications without a budget are refused before."""
    found = allowed_by(spec.rules)
    if found is None:
        raise ReleaseRefused("this purpose has no privacy budget in the policy")
    return found


def disagreements(session: Session) -> Iterator[tuple[int, str]]:
    """Charges that the log or the ledger alone knows, by number, and what is wrong. Either way they count.

    Nothing where log or ledger cannot be read, which is wrong by itself.
    """
    try:
        leaves = [dict(leaf.facts).get(RELEASE) for leaf in mentioning(session, _ACTS[:1])]
        kept = {number for number, entry in entries(session).items() if isinstance(entry, ChargedEntry)}
    except (BrokenLog, CorruptRecord):
        return
    told = {number for number in leaves if isinstance(number, int)}
    yield from ((number, "was charged to a privacy budget, and is not in the ledger") for number in sorted(told - kept))
    yield from ((number, "was charged to a privacy budget, and not in the log") for number in sorted(kept - told))


def require(charges: Charges, spec: ReleaseSpec, asked: Loss, ledger: Mapping[int, Entry], now: int) -> None:
    """Raise :class:`ReleaseRefused` where the budget cannot pay for ``asked`` now, with the date when it can."""
    whole, made = allowed(spec), charges.made(ledger)
    when = affordable_at(whole, asked, made, now)
    if when == now:
        return
    cost, rest = counted_in(asked, whole.currency), left(whole, made, now)
    needs = "" if cost is None else f"; this release costs {_told(cost)}"
    later = "" if when is None else f", and enough of it comes back at {moment(when):%Y-%m-%d %H:%M} UTC"
    raise ReleaseRefused(
        f"the privacy budget of {spec.purpose} has {_told(rest)} left{needs}{later}; "
        f"`consentprofile release budget {spec.purpose}` shows what it was spent on"
    )


def _told(loss: Loss) -> str:
    delta = f" and delta {loss.delta_value:g}" if loss.delta else ""
    return f"{loss.currency} {loss.value:g}{delta}"


def budget(session: Session, purpose: str) -> Budget:
    """The budget of ``purpose`` as it stands now.

    The ledger is opened whole. Raises :class:`UndeclaredPurpose`, :class:`InputError` for a purpose without a budget,
    :class:`BeyondCapability`, :class:`BrokenLog`.
    """
    session.keys.require_officer()
    rules = session.purpose(purpose).release
    whole = None if rules is None else allowed_by(rules)
    if whole is None:
        raise InputError("this purpose has no privacy budget; epsilon_per_year or rho_per_year in the policy gives one")
    with session.ground.writing():
        now, known = session.now(), entries(session)
        made = [charge for charge in Charges(session, purpose).made(known) if now < charge.until]
    gone, rest, more = spent(whole, made, now), left(whole, made, now), more_at(made, now)
    answered = {number for number, entry in known.items() if entry.files}
    return Budget(
        purpose=purpose,
        currency=whole.currency,
        per_year=whole.value,
        spent=gone.value,
        left=rest.value,
        delta_per_year=whole.delta_value,
        delta_spent=gone.delta_value,
        delta_left=rest.delta_value,
        charges=tuple(_public(charge, whole, answered=charge.number in answered) for charge in made),
        more=None if more is None else moment(more),
    )


def _public(charge: Charge, whole: Loss, *, answered: bool) -> BudgetCharge:
    weight = charge.weight(whole)
    loss = charge.loss or weight
    return BudgetCharge(
        number=charge.number,
        currency=None if charge.loss is None else loss.currency,
        amount=loss.value,
        delta=loss.delta_value,
        counts=weight.value,
        hour=moment(charge.hour),
        until=moment(charge.until),
        answered=answered,
    )
