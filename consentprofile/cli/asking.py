"""What a release asks for, and what it would be, in words: what the commands about releases have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import consentprofile as cp
from consentprofile.cli.output import count

_APPROVAL: Final = {
    None: "not needed",
    True: "given by an officer; another one may ask for the release",
    False: "needed: an officer gives it (`release approve SPEC`), and another one asks for the release",
}


def asked(one: cp.ReleasePlan | cp.Figures) -> Iterator[tuple[str, str]]:
    """What is asked, of which period."""
    yield "what", f"{one.measure} for {one.purpose}" + (f", by {', '.join(one.by)}" * bool(one.by))
    yield from ((name.replace("_", " "), _term(term)) for name, term in sorted(one.terms.items()))
    yield "only", only(one.where) or "everything"
    yield "from", one.since
    yield "until", f"{one.until}, exclusive"


def planned(plan: cp.ReleasePlan) -> Iterator[tuple[str, str]]:
    """What a release would be and cost, never its figures."""
    yield from asked(plan)
    by = f", by {', '.join(plan.columns)}"
    yield "figures", f"{count(plan.cells, 'figure')}{by}" if plan.columns else "one figure, the total"
    yield "behind each figure", f"at least {count(plan.min_accounts, 'account')}"
    yield "rounded to", f"{plan.round_to:,}; {plan.figure} off by at most {plan.largest_error:,}"
    yield "one account counts", f"in at most {count(plan.cells_per_account, 'figure')}"
    about = plan.suppressed_about
    yield "left out", "not told for so few figures" if about is None else f"about {about} %"
    yield "guarantee", plan.guarantee
    yield "answered", f"once for this period; the next one is due after {count(plan.cadence_days, 'day')}"
    yield "approval", _APPROVAL[plan.approved]
    yield "digest", plan.digest


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
    return ", ".join(map(_term, value)) if isinstance(value, list) else str(value)
