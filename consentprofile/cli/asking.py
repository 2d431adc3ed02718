"""What a release asks for, and what it would be, in words: what the commands about releases have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import Final

import consentprofile as cp
from consentprofile.cli.output import Output, count

MOST: Final = 8
"""Of a longer list, so many are named."""

_APPROVAL: Final = {
    None: "not needed",
    True: "given by an officer; another one may ask for the release",
    False: "needed: an officer gives it (`release approve SPEC`), and another one asks for the release",
}


def asked(one: cp.ReleasePlan | cp.Figures) -> Iterator[tuple[str, str]]:
    """What is asked, of which period."""
    by = one.columns if isinstance(one, cp.ReleasePlan) else one.by
    yield "what", question(one.measure, one.purpose, by)
    yield from own_terms(one.terms)
    yield "only", only(one.where) or "everything"
    yield "from", one.since
    yield "until", f"{one.until}, exclusive"


def planned(plan: cp.ReleasePlan) -> Iterator[tuple[str, str]]:
    """What a release would be and cost, never its figures."""
    yield from asked(plan)
    yield "figures", count(plan.cells, "figure") if plan.columns else "one figure, the total"
    if plan.noise is None:
        yield "behind each figure", f"at least {count(plan.min_accounts, 'account')}"
        yield "rounded to", f"{plan.round_to:,}; {plan.figure} off by at most {plan.largest_error:,}"
    yield "one account counts", f"in at most {count(plan.cells_per_account, 'figure')}"
    if plan.noise is None:
        about = plan.suppressed_about
        yield "left out", "not told for so few figures" if about is None else f"about {about} %"
    else:
        yield from _noise(plan.noise)
    yield "guarantee", plan.guarantee
    yield "answered", _answered(plan)
    yield "approval", _APPROVAL[plan.approved]
    yield "digest", plan.digest


def question(measure: str, purpose: str, by: Sequence[str]) -> str:
    """What is asked, in a few words."""
    *some, last = by or ("",)
    return f"{measure} for {purpose}" + (f", by {' and '.join(filter(None, (', '.join(some), last)))}" if last else "")


def own_terms(terms: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The terms of a measure's own, by name."""
    yield from ((name.replace("_", " "), _term(term)) for name, term in sorted(terms.items()))


def _answered(plan: cp.ReleasePlan) -> str:
    if plan.answered_by is not None:
        return f"already, by release {plan.answered_by:,}; asked for again, it gives the same bytes"
    return f"once for this period; the next one is due after {count(plan.cadence_days, 'day')}"


def list_asked(out: Output, one: cp.Released | cp.ReleaseApproval, done: str) -> None:
    """A question under its number: what was asked, then its period, protection and what was ``done`` about it (UTC)."""
    name = f"{one.number:>5,}"
    told = [question(one.measure, one.purpose, one.by), *(f"{word} {text}" for word, text in own_terms(one.terms))]
    if one.where:
        told.append(f"only {only(one.where)}")
    least = f", at least {one.min_accounts:,}" * bool(one.min_accounts)
    period = f"{moment(one.since)} to {moment(one.until)}"
    out.prose_beside(name, plain("; ".join(told)))
    out.prose_beside(" " * len(name), plain(f"{period}; {one.protection}{least}; {done}"))


def moment(at: datetime) -> str:
    """A moment, UTC; of the beginning of a day the day alone."""
    return f"{at:%Y-%m-%d}" if at.time() == time() else f"{at:%Y-%m-%d %H:%M}"


def _noise(noise: cp.PlannedNoise) -> Iterator[tuple[str, str]]:
    """How wide figures would be, and what they would cost."""
    for one in noise.figures:
        worth = f", as much as {one.accounts:g} accounts add at most" if one.limit > 1 else ""
        yield (
            f"{one.name} off by",
            f"at most {one.interval:,}, 95 times in 100 ({noise.distribution.capitalize()} noise){worth}",
        )
    if noise.threshold is not None:
        told = f"those above {noise.threshold:,} with noise; from {noise.shown_from:,} accounts on, 95 times in 100"
        yield "keys that appear", told
    if noise.suggested_cells_per_account is not None:
        suggested = count(noise.suggested_cells_per_account, "figure")
        yield "suggested", f"that one account counts in at most {suggested} (cells_per_account): a rule without data"
    delta, rest = (f", delta {value:g}" if value else "" for value in (noise.delta, noise.delta_left))
    yield "costs", f"{noise.currency} {noise.cost:g}{delta}; {noise.currency} {noise.left:g}{rest} left"
    when = noise.affordable
    yield "affordable", "not under this budget" if when is None else f"from {when:%Y-%m-%d %H:%M} UTC on"


def only(where: Mapping[str, Sequence[str]]) -> str:
    """The filters; empty where nothing is left out."""
    return "; ".join(f"{name} {' or '.join(values)}" for name, values in sorted(where.items()))


def plain(text: str) -> str:
    """A text that others may have written, without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _term(value: object) -> str:
    """What a measure asked of its own: a word, a number, or a list of them; of longer terms their names."""
    if isinstance(value, dict):
        return _term(value.get("name", "more"))
    if not isinstance(value, list):
        return str(value)
    told = [_term(one) for one in value[: MOST if len(value) > MOST + 1 else None]]
    more = f" and {len(value) - MOST:,} more" * (len(value) > len(told))
    return ", ".join(told) + more
