"""What a changed policy means, change by change, in plain words for a privacy officer.

A change is one of four things. *Narrowing*: less is allowed; it applies at once, also to what is stored. *Widening*:
more is allowed; it takes a notice version that nobody has been shown yet, and applies to those who consent under it.
*Neutral*: nobody's data is treated otherwise. *Refused*: it would make a lie of what was consented to or is stored.

Every element of a policy is judged by one of the functions here, and what none of them finds has no meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from consentprofile.errors import Fault
from consentprofile.model.change import NARROWING, NEUTRAL, REFUSED, WIDENING, PolicyChange, any_of, quoted
from consentprofile.model.declaration import declared
from consentprofile.model.policy import AmountField, BooleanField, EnumField, Field, IntegerField, Notice, Policy
from consentprofile.model.purpose_change import purpose_changes

SAME: Final = "it is written otherwise and means the same"


def compare(accepted: Sequence[Policy], new: Policy) -> tuple[PolicyChange, ...]:
    """Every change from the last of the ``accepted`` policies, which are all that a store has accepted, to ``new``.

    Empty where ``new`` is the policy in force; otherwise there is at least one.
    """
    old = accepted[-1]
    if new.digest == old.digest:
        return ()
    found = tuple(
        chain(
            _refused_again(accepted, new),
            _top(old, new),
            _notices(accepted, new),
            _fields(accepted, new),
            _kinds(old, new),
            purpose_changes(accepted, new),
            _named("suppression", "reason", old.suppressions, new.suppressions),
        )
    )
    return found or (PolicyChange(NEUTRAL, "policy", SAME),)


def faults(
    changes: Iterable[PolicyChange], accepted: Sequence[Policy], new: Policy, ending: Collection[str], name: str
) -> list[Fault]:
    """Why the changes cannot be accepted; ``ending`` are the purposes that are meant to end, ``name`` is the file's.

    A refused change; a widening without a notice version that no accepted policy lists; an end that nobody meant; and
    an end that was meant of a purpose that goes on.
    """
    shown = {notice.version for policy in accepted for notice in policy.notice_list}
    found = []
    for change in changes:
        if change.kind is REFUSED:
            found.append(Fault(f"{name}: {change.where}", change.words))
        elif change.kind is WIDENING and new.purposes[change.purpose].notice in shown:
            words = f"{change.words}; this widens, and needs a new version at purposes.{change.purpose}.notice"
            found.append(Fault(f"{name}: {change.where}", words))
    gone = [purpose for purpose in accepted[-1].purposes if purpose not in new.purposes]
    found += [
        Fault(
            f"{name}: purposes.{purpose}",
            "is gone; that ends every consent to it: where it is meant, name it (--end-purpose, or ending=)",
        )
        for purpose in gone
        if purpose not in ending
    ]
    found += [
        Fault(f"{name}: purposes", f"{purpose!r} is to end, and is not a purpose that is gone")
        for purpose in ending
        if purpose not in gone
    ]
    return found


# ---- the policy as a whole ----------------------------------------------------------------------


def _refused_again(accepted: Sequence[Policy], new: Policy) -> Iterator[PolicyChange]:
    if any(policy.digest == new.digest for policy in accepted[:-1]):
        yield PolicyChange(
            REFUSED, "policy", "it was in force before, and a store accepts a policy once; list one more notice or role"
        )


def _top(old: Policy, new: Policy) -> Iterator[PolicyChange]:
    if new.format != old.format:
        yield PolicyChange(REFUSED, "format", "the format of the file is not that of the accepted policy")
    if new.time_zone != old.time_zone:
        words = f"stored times and months were cut in {old.time_zone}, and cannot be cut anew"
        yield PolicyChange(REFUSED, "time_zone", words)
    yield from _named("roles", "role", old.roles, new.roles)
    mine, yours = old.controller, new.controller
    if mine.name != yours.name:
        words = (
            f"the controller is called {quoted(yours.name)} instead of {quoted(mine.name)}: a new name. (Another "
            "company has consents of its own to ask for, and a store of its own)"
        )
        yield PolicyChange(NEUTRAL, "controller.name", words)
    if mine.contact != yours.contact:
        words = f"people write to {yours.contact} instead of {mine.contact}"
        yield PolicyChange(NEUTRAL, "controller.contact", words)
    if mine.jurisdiction != yours.jurisdiction:
        words = f"the law of {yours.jurisdiction} applies instead of that of {mine.jurisdiction}"
        yield PolicyChange(NEUTRAL, "controller.jurisdiction", words)


def _named(where: str, noun: str, old: Iterable[str], new: Iterable[str]) -> Iterator[PolicyChange]:
    """Names that come and go without anything following from it by itself."""
    before, after = list(old), list(new)
    for name in after:
        if name not in before:
            yield PolicyChange(NEUTRAL, where, f"a new {noun}: {quoted(name)}")
    for name in before:
        if name not in after:
            yield PolicyChange(NEUTRAL, where, f"the {noun} {quoted(name)} is gone")


def _notices(accepted: Sequence[Policy], new: Policy) -> Iterator[PolicyChange]:
    old = accepted[-1]
    for version, notice in new.notices.items():
        shown = next((policy.notices[version] for policy in reversed(accepted) if version in policy.notices), None)
        if shown is not None:
            yield from _notice(f"notices.{version}", shown, notice)
    yield from _named("notices", "notice", old.notices, new.notices)
    known = [version for version in old.notices if version in new.notices]
    if known != [version for version in new.notices if version in old.notices]:
        words = "the notices stand in another order, which is that of time: new ones are added, none are moved"
        yield PolicyChange(REFUSED, "notices", words)


def _notice(where: str, old: Notice, new: Notice) -> Iterator[PolicyChange]:
    if old.sha256 != new.sha256:
        words = "another text under a version that people were shown; give the new text a version of its own"
        yield PolicyChange(REFUSED, f"{where}.sha256", words)
    if old.address != new.address:
        yield PolicyChange(NEUTRAL, f"{where}.address", f"the same text has moved to {new.address}")
    if old.language != new.language:
        yield PolicyChange(NEUTRAL, f"{where}.language", f"the same text is said to be in {new.language}")


# ---- what can be recorded -----------------------------------------------------------------------


def _fields(accepted: Sequence[Policy], new: Policy) -> Iterator[PolicyChange]:
    old = accepted[-1]
    yield from _named("fields", "field", old.fields, new.fields)
    for name, field in new.fields.items():
        earlier = next((policy.fields[name] for policy in reversed(accepted) if name in policy.fields), None)
        if earlier is None:
            continue
        meant, means = _meaning(earlier), _meaning(field)
        if meant != means:
            words = f"it was {meant} and is {means}; what is stored means the one: give the other a name of its own"
            yield PolicyChange(REFUSED, f"fields.{name}", words)
        elif name in old.fields:
            yield from _field(old, new, old.fields[name], field)


def _meaning(field: Field) -> str:
    """What a value of the field is, as far as it may never change."""
    if isinstance(field, AmountField):
        return f"an amount in {field.currency}"
    words: Mapping[type, str] = {
        EnumField: "a word of a vocabulary",
        IntegerField: "a number",
        BooleanField: "a yes or no",
    }
    return words.get(type(field), "a token")


def _field(old: Policy, new: Policy, before: Field, after: Field) -> Iterator[PolicyChange]:
    where = f"fields.{before.name}"
    if isinstance(before, EnumField) and isinstance(after, EnumField):
        for value in after.values:
            if value not in before.values:
                yield PolicyChange(NEUTRAL, f"{where}.enum", f"a new value: {quoted(value)}")
        lost = [value for value in before.values if value not in after.values]
        if lost:
            words = f"it cannot be {any_of(lost)} any more, and is left out where it is stored so"
            yield from _for_keepers(old, before.name, f"{where}.enum", words)
        yield from _sensitive_values(before, after)
    if isinstance(before, IntegerField) and isinstance(after, IntegerField):
        yield from _bound(old, before.name, f"{where}.min", before.minimum, after.minimum, lower=True)
        yield from _bound(old, before.name, f"{where}.max", before.maximum, after.maximum, lower=False)
    if isinstance(before, AmountField) and isinstance(after, AmountField):
        yield from _bound(old, before.name, f"{where}.max", before.maximum, after.maximum, lower=False)
    stated = [
        not isinstance(field, AmountField) and bool(getattr(field, "preference", False)) for field in (before, after)
    ]
    if stated[0] != stated[1]:
        words = (
            "profiles show it as stated by the person" if stated[1] else "profiles do not show it as stated any more"
        )
        yield PolicyChange(NEUTRAL, f"{where}.preference", words)


def _sensitive_values(before: EnumField, after: EnumField) -> Iterator[PolicyChange]:
    """That a value is sensitive or not is by itself neutral: what follows for purposes is said at each of them."""
    for value in after.values:
        if value in before.values and (value in before.sensitive) != (value in after.sensitive):
            words = f"{quoted(value)} is {'sensitive now' if value in after.sensitive else 'not sensitive any more'}"
            yield PolicyChange(NEUTRAL, f"fields.{before.name}.sensitive", words)


def _bound(old: Policy, name: str, where: str, before: int, after: int, *, lower: bool) -> Iterator[PolicyChange]:
    if after == before:
        return
    words = f"it is {'at least' if lower else 'at most'} {after:,} instead of {before:,}"
    if (after > before) is lower:
        yield from _for_keepers(old, name, where, f"{words}, and is left out where it is stored otherwise")
    else:
        yield PolicyChange(NEUTRAL, where, words)


def _for_keepers(old: Policy, field: str, where: str, words: str) -> Iterator[PolicyChange]:
    """Less may be said in a field: that narrows each purpose that keeps it."""
    keepers = [name for name in old.purposes if any(field in kept for kept in declared(old, name).fields.values())]
    for name in keepers:
        yield PolicyChange(NARROWING, where, words, name)
    if not keepers:
        yield PolicyChange(NEUTRAL, where, words)


def _kinds(old: Policy, new: Policy) -> Iterator[PolicyChange]:
    yield from _named("kinds", "kind of event", old.kinds, new.kinds)
    for name, kind in new.kinds.items():
        if name in old.kinds:
            yield from _named(f"kinds.{name}.fields", f"field of {quoted(name)}", old.kinds[name].fields, kind.fields)
