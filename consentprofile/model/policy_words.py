"""A policy as a privacy notice in plain words, in Markdown, for customers and privacy officers.

It says what the policy makes the store do, in the policy's order, and nothing that the store does not do. It is not
legal advice and not the notice that a person was shown: that one has a version and a digest of its own. Texts of the
policy (titles, the controller's name) are taken over as they stand; whoever turns the result into HTML escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from consentprofile.model.policy import (
    ANY,
    BUILT_IN_ROLES,
    AmountField,
    BooleanField,
    Collected,
    EnumField,
    Field,
    IntegerField,
    Policy,
    Precision,
    Purpose,
    ReleaseRules,
)

_TIMES: Final[dict[Precision, str]] = {
    "second": "The time is kept to the second.",
    "hour": "Of the time, only the day and the hour are kept.",
    "day": "Of the time, only the day is kept.",
    "month": "Of the time, only the month is kept.",
}

_DECIMALS: Final = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"], 0),
    **dict.fromkeys(["PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""Decimals of the currencies of ISO 4217 that have not two."""
_LISTED_VALUES: Final = 12
"""A longer vocabulary is named by its number of values."""


def in_words(policy: Policy) -> str:
    """The whole policy as a notice, in Markdown, ending with a line feed. The same policy gives the same text."""
    paragraphs = [
        f"# How {policy.controller.name} uses what you do while logged in",
        *_opening(policy),
        "## What can be recorded",
        *_vocabulary(policy),
        "## Why, what exactly, and for how long",
        _freedom(len(policy.purpose_list)),
    ]
    for purpose in policy.purpose_list:
        paragraphs += [f"### {purpose.title}", *_purpose(policy, purpose)]
    if policy.suppression_list:
        paragraphs += ["## When we switch purposes off", *_suppression(policy)]
    paragraphs += ["## Your rights", *_rights(policy), "## The notices", *_notices(policy)]
    return "\n\n".join(paragraphs) + "\n"


def _opening(policy: Policy) -> Iterator[str]:
    controller = policy.controller
    yield (
        f"{controller.name} ({controller.jurisdiction}) decides why and how this data is used, and answers for it. "
        f"Questions and requests go to {controller.contact}."
    )
    yield (
        "Nothing that you do is recorded without your consent, and nothing at all about visitors who are not logged "
        "in. Each consent makes a key of its own, which locks your data for that one purpose. When the consent ends, "
        "the key is destroyed, and nobody can read that data any more, in backups of the data either. Backups of the "
        "keys are kept apart; the end is final everywhere once the last of those is gone."
    )


def _freedom(purposes: int) -> str:
    decide = (
        "There is one purpose, and you decide freely whether you agree to it."
        if purposes == 1
        else "You decide on each of these purposes by itself. A no to one changes nothing about the others."
    )
    return (
        f"{decide} Apart from those named under “Who reads it”, your data is opened only to answer your own requests."
    )


# ---- what can be recorded -----------------------------------------------------------------------


def _vocabulary(policy: Policy) -> Iterator[str]:
    kinds = _and(_plain(kind.name) for kind in policy.kind_list)
    if len(policy.kind_list) == 1:
        yield f"There is one kind of event that can be recorded: {kinds}."
    else:
        yield f"These are the kinds of events that can be recorded: {kinds}."
    if policy.field_list:
        these = "this one" if len(policy.field_list) == 1 else "these"
        lines = "\n".join(f"- {_field(field)}" for field in policy.field_list)
        yield f"Each has a time. Further details can only be {these}:\n\n{lines}"
    yield "What you say or write in your own words is not recorded."
    sensitive = [field for field in policy.field_list if isinstance(field, EnumField) and field.sensitive]
    if sensitive:
        details = _and(f"the {_plain(field.name)} {_or(map(_quote, field.sensitive))}" for field in sensitive)
        one = sum(len(field.sensitive) for field in sensitive) == 1
        yield (
            f"{'One detail is' if one else 'Some details are'} sensitive: {details}. "
            f"An event with {'that' if one else 'such a'} detail is kept only for a purpose that says "
            "below that it needs it. For every other purpose it has never happened."
        )
    yield f"Days and months are counted in the time zone {policy.time_zone}."


def _field(field: Field) -> str:
    name = f"**{_plain(field.name)}**"
    if isinstance(field, EnumField):
        if len(field.values) == 1:
            text = f"{name}: always {_quote(field.values[0])}"
        elif len(field.values) <= _LISTED_VALUES:
            text = f"{name}: {_or(map(_quote, field.values))}"
        else:
            text = f"{name}: one of a fixed list of {_number(len(field.values))} values"
    elif isinstance(field, IntegerField):
        text = f"{name}: a whole number from {_number(field.minimum)} to {_number(field.maximum)}"
    elif isinstance(field, AmountField):
        text = f"{name}: an amount of up to {_money(field)}"
    elif isinstance(field, BooleanField):
        text = f"{name}: yes or no"
    else:
        return (
            f"{name}: kept only as a code that cannot be turned back, and that differs from customer to customer and "
            "from purpose to purpose."
        )
    stated = not isinstance(field, AmountField) and field.preference
    return text + (". This is what you have told us you prefer, and your last word counts." if stated else ".")


def _money(field: AmountField) -> str:
    digits = _DECIMALS.get(field.currency, 2)
    whole, rest = divmod(field.maximum, 10**digits)
    return f"{_number(whole)}{f'.{rest:0{digits}d}' if digits else ''} {field.currency}"


# ---- one purpose --------------------------------------------------------------------------------


def _purpose(policy: Policy, purpose: Purpose) -> Iterator[str]:
    yield f"**What is kept.** {' '.join(_kept(policy, purpose))}"
    yield f"**How long.** {' '.join(_how_long(purpose))}"
    yield f"**Who reads it.** {_readers(purpose)}"
    yield f"**What leaves, in numbers about many.** {' '.join(_leaves(purpose.release))}"
    if purpose.gpc_objects:
        yield (
            "**Global Privacy Control.** If your browser sends this signal, we take it as your objection to this "
            "purpose."
        )
    yield (
        f"We ask for this consent with notice {purpose.notice}. In the policy the purpose is called `{purpose.name}`, "
        f"and in the Data Privacy Vocabulary `{purpose.dpv}`."
    )


def _kept(policy: Policy, purpose: Purpose) -> Iterator[str]:
    named = [entry for entry in purpose.collect if entry.kind != ANY]
    every_kind_named = {entry.kind for entry in named} == set(policy.kinds)
    groups: dict[tuple[str, ...], list[Collected]] = {}
    for entry in named:
        groups.setdefault(entry.fields, []).append(entry)
    for fields, entries in groups.items():
        kinds = _and(_quote(_plain(entry.kind)) for entry in entries)
        yield f"Of each event of the {_plural('kind', len(entries))} {kinds}: {_details(fields)}."
    for entry in purpose.collect:
        if entry.kind == ANY and not every_kind_named:
            which = "every other kind of event" if named else "every kind of event"
            yield f"Of {which}: {_details(entry.fields)}."
    if not any(entry.kind == ANY for entry in purpose.collect) and not every_kind_named:
        yield "Other events are not kept."
    yield _TIMES[purpose.precision]
    if purpose.keep == 1:
        yield "Only your newest event is kept."
    else:
        yield f"At most your newest {_number(purpose.keep)} events are kept."
    if purpose.sensitive:
        needed = _and(f"{_plain(entry.field)} {_quote(entry.value)}" for entry in purpose.sensitive)
        details, them = ("a sensitive detail", "it") if len(purpose.sensitive) == 1 else ("sensitive details", "them")
        yield f"This purpose needs {details} and keeps events with {them}: {needed}."


def _details(fields: Sequence[str]) -> str:
    if not fields:
        return "only that it happened, and when"
    as_far = "if it has one" if len(fields) == 1 else "as far as it has them"
    return f"when it happened, and its {_and(_plain(name) for name in fields)}, {as_far}"


def _how_long(purpose: Purpose) -> Iterator[str]:
    retention = purpose.retention_months
    yield (
        f"An event is kept until {_count(retention, 'whole calendar month')} "
        f"{'has' if retention == 1 else 'have'} passed after the month in which it happened."
    )
    yield f"Your consent ends by itself after {_count(purpose.lifetime_days, 'day')}, unless you renew it."
    if purpose.grace_days:
        yield (
            "From that moment on nothing is recorded or read, and the key is destroyed "
            f"{_count(purpose.grace_days, 'day')} later."
        )
    else:
        yield "From that moment on nothing is recorded or read, and the key is due to be destroyed at once."
    yield "If you withdraw your consent, the key is destroyed at once."
    yield (
        f"The proof of your decisions, which holds no events, is kept for {_count(purpose.evidence_months, 'month')} "
        "after they have ended."
    )


def _readers(purpose: Purpose) -> str:
    if not purpose.readers:
        return "Nobody reads what a single customer did."
    roles = [_plain(role) for role in purpose.readers if role not in BUILT_IN_ROLES]
    who = ["our app"] * ("app" in purpose.readers) + ["our privacy officer"] * ("officer" in purpose.readers)
    if roles:
        who.append(f"the {_plural('role', len(roles))} {_and(roles)}")
    return (
        f"Your profile, a summary of these events, can be read by {_and(who)}. "
        "Every reading is logged, with who read it and when."
    )


def _leaves(rules: ReleaseRules | None) -> Iterator[str]:
    if rules is None:
        yield "Nothing."
        return
    rounded = f", and rounded to a multiple of {_number(rules.round_to)}" if rules.round_to > 1 else ""
    yield f"Every number that we publish is about at least {_number(rules.min_accounts)} customers{rounded}."
    if rules.budget is not None:
        currency, amount, delta = rules.budget
        yield (
            "Where random noise protects the numbers instead, what they can reveal about any one customer is limited "
            f"by a privacy budget of {currency} {amount:.12g}{f' and delta {delta:.12g}' if delta else ''} a year."
        )
    yield f"The same question gets a new answer at most once {_every(rules.cadence_days)}."
    if rules.asks_approval:
        yield "Our privacy officer approves each question before its numbers leave, and is not the one who asks it."
    yield "What a single customer did never leaves."


# ---- the rest -----------------------------------------------------------------------------------


def _suppression(policy: Policy) -> Iterator[str]:
    titles = {purpose.name: purpose.title for purpose in policy.purpose_list}
    lines = []
    for entry in policy.suppression_list:
        purposes = (
            "every purpose" if entry.purposes == (ANY,) else _and(_quote(titles[name]) for name in entry.purposes)
        )
        lines.append(f"- **{_plain(entry.reason)}** switches off {purposes}.")
    yield (
        "For some reasons we switch purposes off, whatever the consent says. Nothing is then recorded or read for "
        "them:\n\n" + "\n".join(lines)
    )


def _rights(policy: Policy) -> Iterator[str]:
    yield (
        "At any time you can:\n\n"
        "- withdraw your consent to any purpose, as easily as you gave it;\n"
        "- see everything that is kept about you, who has read it and when, and take a copy along;\n"
        "- have everything that you did erased, and get a signed certificate that it is gone;\n"
        "- complain to your data protection authority."
    )
    yield (
        "What was right to do before you withdraw stays right. The law may give you further rights, such as having "
        f"errors corrected. For all of them, write to {policy.controller.contact}."
    )


def _notices(policy: Policy) -> Iterator[str]:
    if len(policy.notice_list) == 1:
        yield "This is the text under which we ask for consent. Its digest proves which text you were shown."
    else:
        yield "These are the texts under which we ask for consent. Their digests prove which text you were shown."
    yield "\n".join(
        f"- Notice {notice.version} (language: {notice.language}): <{notice.address}>, SHA-256 `{notice.sha256}`."
        for notice in policy.notice_list
    )


# ---- words --------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip()


def _quote(text: str) -> str:
    return f"“{text}”"


def _number(number: int) -> str:
    return f"{number:,}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _count(count: int, noun: str) -> str:
    return f"{_number(count)} {_plural(noun, count)}"


def _every(days: int) -> str:
    return "a day" if days == 1 else f"every {_number(days)} days"


def _and(words: Iterable[str]) -> str:
    return _joined(list(words), "and")


def _or(words: Iterable[str]) -> str:
    return _joined(list(words), "or")


def _joined(words: Sequence[str], conjunction: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
