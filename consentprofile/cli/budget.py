"""``release budget``: what releases with differential privacy have spent, and what is left."""

from __future__ import annotations

from typing import Final

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, pass_context, store_options

_WHEN: Final = "%Y-%m-%d %H:%M"


@click.command("budget", cls=Command)
@click.argument("purpose")
@store_options
@pass_context
def budget_command(context: Context, purpose: str) -> None:
    """Show what is left of the privacy budget of PURPOSE.

    For each release: what it cost, and when that comes back.
    """
    out = context.out
    with context.open() as store:
        found = store.budget(purpose)
    out.document(found)
    out.pairs(
        [
            ("budget", f"{found.currency} {found.per_year:g} in any 365 days" + delta_told(found.delta_per_year)),
            ("spent", f"{found.currency} {found.spent:g}" + delta_told(found.delta_spent)),
            ("left", f"{found.currency} {found.left:g}" + delta_told(found.delta_left)),
            ("more comes", "nothing was spent" if found.more is None else f"{found.more:{_WHEN}} UTC"),
        ]
    )
    if found.charges:
        out.line()
        out.table(
            ("release", "spent", "counts for", "charged", "comes back", "answered"),
            [_row(found, charge) for charge in found.charges],
        )


def _row(found: cp.Budget, charge: cp.BudgetCharge) -> tuple[str, ...]:
    lost = charge.currency is None
    return (
        "unknown" if charge.number is None else str(charge.number),
        "all: the log was lost" if lost else f"{charge.currency} {charge.amount:g}{delta_told(charge.delta)}",
        f"{found.currency} {charge.counts:g}",
        f"{charge.hour:{_WHEN}}",
        f"{charge.until:{_WHEN}}",
        "" if lost else "yes" if charge.answered else "not yet",
    )


def delta_told(delta: float) -> str:
    """A delta beside a loss; nothing where there is none."""
    return f", delta {delta:g}" if delta else ""
