"""What a changed purpose means: each of its elements is narrower, wider, or the same for everybody.

A purpose is compared as it is declared, every kind of event by its name: where it collects ``"*"``, a new kind is more
than was consented to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from consentprofile.model.change import NARROWING, NEUTRAL, REFUSED, WIDENING, PolicyChange, all_of, counted, quoted
from consentprofile.model.declaration import PRECISIONS, Declaration, declared
from consentprofile.model.policy import EnumField, Policy, Purpose, ReleaseRules


class _At(NamedTuple):
    """The purpose whose elements are compared."""

    purpose: str

    def more(self, element: str, words: str) -> PolicyChange:
        """More is allowed."""
        return PolicyChange(WIDENING, f"purposes.{self.purpose}.{element}", words, self.purpose)

    def less(self, element: str, words: str) -> PolicyChange:
        """Less is allowed."""
        return PolicyChange(NARROWING, f"purposes.{self.purpose}.{element}", words, self.purpose)

    def changed(self, element: str, words: str, *, wider: bool) -> PolicyChange:
        """One of the two."""
        return self.more(element, words) if wider else self.less(element, words)


def purpose_changes(accepted: Sequence[Policy], new: Policy) -> Iterator[PolicyChange]:
    """Every change of a purpose from the last of the ``accepted`` policies to ``new``, and those that come and go."""
    old = accepted[-1]
    for name, purpose in new.purposes.items():
        where = f"purposes.{name}"
        if name in old.purposes:
            yield from _purpose(accepted, new, old.purposes[name], purpose)
        elif any(name in policy.purposes for policy in accepted):
            words = "it has ended, and the consents to it are over; a purpose that begins anew has a new name"
            yield PolicyChange(REFUSED, where, words)
        else:
            yield PolicyChange(NEUTRAL, where, "a new purpose, to which nobody has consented yet")
    for name in old.purposes:
        if name not in new.purposes:
            words = "the purpose ends, and every consent to it: nothing is recorded or read, the keys are destroyed"
            yield PolicyChange(NARROWING, f"purposes.{name}", words, name)


def _purpose(accepted: Sequence[Policy], new: Policy, before: Purpose, after: Purpose) -> Iterator[PolicyChange]:
    at, name, old = _At(after.name), after.name, accepted[-1]
    if before.title != after.title:
        yield at.more("title", f"people are told {quoted(after.title)} instead of {quoted(before.title)}")
    if before.dpv != after.dpv:
        yield at.more("dpv", f"the purpose is {after.dpv} instead of {before.dpv}")
    if before.notice != after.notice:
        yield _asked_under((*accepted, new), f"purposes.{name}.notice", before.notice, after.notice)
    if before.evidence_months != after.evidence_months:
        words = (
            f"the proof of decisions is kept {counted(after.evidence_months, 'month')} instead of "
            f"{before.evidence_months:,} after they end; it is proof, and not what was consented to"
        )
        yield PolicyChange(NEUTRAL, f"purposes.{name}.evidence", words)
    holds, would = declared(old, name), declared(new, name)
    yield from _kept(at, holds, would, _told(old, new, name))
    yield from _used(at, holds, would)


def _asked_under(policies: Sequence[Policy], where: str, before: str, after: str) -> PolicyChange:
    orders = [list(policy.notices) for policy in policies]
    if any(before in order and after in order and order.index(after) < order.index(before) for order in orders):
        words = f"consent is asked for under notice {after}, which is older than {before}"
        return PolicyChange(REFUSED, where, words)
    words = (
        f"consent is asked for under notice {after} instead of {before}; what was consented to before goes on as it is"
    )
    return PolicyChange(NEUTRAL, where, words)


def _told(old: Policy, new: Policy, purpose: str) -> frozenset[tuple[str, str]]:
    """The values that both policies have, in fields of events that the purpose collects."""
    collected = declared(old, purpose).fields.keys() | declared(new, purpose).fields.keys()
    carried = {
        field for policy in (old, new) for kind in policy.kind_list if kind.name in collected for field in kind.fields
    }
    pairs = [
        {(field.name, value) for field in policy.field_list if isinstance(field, EnumField) for value in field.values}
        for policy in (old, new)
    ]
    return frozenset(pair for pair in pairs[0] & pairs[1] if pair[0] in carried)


def _kept(at: _At, old: Declaration, new: Declaration, told: frozenset[tuple[str, str]]) -> Iterator[PolicyChange]:
    for text in _beyond(new.fields, old.fields):
        yield at.more("collect", f"it keeps {text}")
    for text in _beyond(old.fields, new.fields):
        yield at.less("collect", f"it does not keep {text} any more, and what is stored of that goes")
    for field, value in sorted((old.withheld - new.withheld) & told):
        yield at.more("sensitive", f"it takes events with {quoted(value)} as {quoted(field)}, which it never did")
    for field, value in sorted((new.withheld - old.withheld) & told):
        words = f"it takes no events with {quoted(value)} as {quoted(field)} any more, and those that show it go"
        yield at.less("sensitive", words)
    if old.precision != new.precision:
        words = f"times are kept to the {new.precision}, not to the {old.precision}"
        yield at.changed("precision", words, wider=PRECISIONS.index(new.precision) < PRECISIONS.index(old.precision))
    for element, unit, before, after in (
        ("keep", "event", old.keep, new.keep),
        ("retention", "month", old.retention_months, new.retention_months),
        ("lifetime", "day", old.lifetime_days, new.lifetime_days),
        ("grace", "day", old.grace_days, new.grace_days),
    ):
        if before != after:
            yield at.changed(element, f"{counted(after, unit)} instead of {before:,}", wider=after > before)


def _used(at: _At, old: Declaration, new: Declaration) -> Iterator[PolicyChange]:
    for role in sorted(new.readers - old.readers):
        yield at.more("readers", f"{quoted(role)} may read profiles")
    for role in sorted(old.readers - new.readers):
        yield at.less("readers", f"{quoted(role)} may not read profiles any more")
    yield from _release(at, old.release, new.release)
    if old.gpc_objects != new.gpc_objects:
        words = f"Global Privacy Control is {'an objection' if new.gpc_objects else 'no objection any more'}"
        yield at.changed("gpc_objects", words, wider=old.gpc_objects)
    for reason in sorted(old.reasons - new.reasons):
        words = f"it does not switch {quoted(at.purpose)} off any more"
        yield PolicyChange(WIDENING, f"suppression.{reason}", words, at.purpose)
    for reason in sorted(new.reasons - old.reasons):
        yield PolicyChange(NARROWING, f"suppression.{reason}", f"it switches {quoted(at.purpose)} off, too", at.purpose)


def _beyond(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """What ``one`` keeps beyond the ``other``: whole kinds of events, and fields of kinds that both have."""
    whole = [kind for kind in one if kind not in other]
    if whole:
        yield f"events of the {'kind' if len(whole) == 1 else 'kinds'} {all_of(whole)}"
    parts: dict[tuple[str, ...], list[str]] = {}
    for kind, fields in one.items():
        beyond = tuple(sorted(fields - other.get(kind, fields)))
        if beyond:
            parts.setdefault(beyond, []).append(kind)
    for names, kinds in parts.items():
        yield f"{all_of(names)} of {all_of(kinds)}"


def _release(at: _At, old: ReleaseRules | None, new: ReleaseRules | None) -> Iterator[PolicyChange]:
    if old is None or new is None:
        if new is not None:
            yield at.more("release", f"numbers about at least {new.min_accounts:,} people may leave")
        if old is not None:
            yield at.less("release", "nothing leaves in aggregate any more")
        return
    for element, unit, before, after in (
        ("min_accounts", "account", old.min_accounts, new.min_accounts),
        ("round_to", "account", old.round_to, new.round_to),
        ("cadence", "day", old.cadence_days, new.cadence_days),
    ):
        if before != after:
            yield at.changed(
                f"release.{element}", f"{counted(after, unit)} instead of {before:,}", wider=after < before
            )
    for element, what, had, has in (
        ("epsilon_per_year", "a privacy budget of", old.epsilon_per_year, new.epsilon_per_year),
        ("rho_per_year", "a privacy budget of rho", old.rho_per_year, new.rho_per_year),
        ("delta_per_year", "a delta of", old.delta_per_year, new.delta_per_year),
    ):
        once, now = had or 0.0, has or 0.0
        if once != now:
            yield at.changed(f"release.{element}", f"{what} {now:.12g} a year instead of {once:.12g}", wider=now > once)
    if old.asks_approval != new.asks_approval:
        words = f"releases {'need' if new.asks_approval else 'do not need'} the approval of an officer"
        yield at.changed("release.approval", words, wider=old.asks_approval)
