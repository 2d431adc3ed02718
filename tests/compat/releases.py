"""The golden store of releases: what it was asked, and everything that the public face says of the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import consentprofile as cp
from tests.compat.answers import Golden, Json, plain

RELEASES: Final = Golden("format-1-releases", datetime(2025, 4, 2, 9, 30, tzinfo=UTC), (), released=True)

_THRESHOLD: Final = 'kind = "threshold"'
_HEAD: Final = """format = 1
name = "{name}"
purpose = "analytics"
{asked}
from = 2025-02-01
until = 2025-03-01
zone = "UTC"
{more}
[protection]
{protection}
"""


def _spec(name: str, asked: str, more: str = "", protection: str = _THRESHOLD) -> str:
    return _HEAD.format(name=name, asked=asked, more=more, protection=protection)


BEGUN: Final = {
    "reach": _spec("reach", 'measure = "reach"\nby = ["platform"]'),
    "sums": _spec("sums", 'measure = "sums"\nby = ["channel"]\nfield = "total"\nlimit = 1000'),
    "counts": _spec("counts", 'measure = "counts"\nby = ["week"]\nlimit = 5'),
}
"""Answered by the version that wrote the ledger's formats 1 and 2."""

ANSWERED: Final = BEGUN | {
    "overlap": _spec("overlap", 'measure = "overlap"\nof = "platform"'),
    "margins": _spec("margins", 'measure = "counts"\nby = ["platform", "channel"]\nlimit = 10', "margins = true"),
    "means": _spec("means", 'measure = "means"\nby = ["platform"]\nfield = "total"\nlimit = 500'),
    "noisy": _spec("noisy", 'measure = "frequency"\nmost = 4', protection='kind = "dp"\nepsilon = 0.5'),
    "approved": _spec("approved", 'measure = "funnel"\nsteps = ["login", "purchase"]'),
}
"""All that were answered, in their order."""

UNANSWERED: Final = _spec("unanswered", 'measure = "reach"\nby = ["channel"]', protection='kind = "dp"\nepsilon = 0.25')
"""Paid for, and never drawn."""
WAITING: Final = _spec("waiting", 'measure = "transitions"\nof = "kind"')
"""Approved, and not released yet."""
TAKEN_BACK: Final = _spec("taken-back", 'measure = "reach"\nby = ["kind"]')
"""Approved, and then not."""


def written(folder: Path, name: str, text: str) -> Path:
    """The file of a specification."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def ask_releases(folder: Path) -> dict[str, Json]:
    """Every answer about releases, in an order that is always the same."""
    with RELEASES.open(folder) as store:
        numbers = dict(zip(ANSWERED, (one.number for one in store.released()), strict=True))
        questions: dict[str, Callable[[], object]] = {
            "log": lambda: list(store.audit.log()),
            "head": store.audit.verify,
            "policy": store.policy.digest.hex,
            "findings": lambda: store.check().findings,
            "released": store.released,
            "budget": lambda: store.budget("analytics"),
            "approvals": store.approvals,
            "officer": lambda: store.audit.actor("officer:ada"),
            **{f"figures of {name}": _figures(store, number) for name, number in numbers.items()},
            **{f"repetition of {name}": _again(store, folder, name) for name in ANSWERED},
        }
        return {name: plain(question()) for name, question in questions.items()}


def _figures(store: cp.Store, number: int) -> Callable[[], object]:
    def answer() -> object:
        figures = store.figures(number)
        return figures.measure, figures.columns, figures.rows

    return answer


def _again(store: cp.Store, folder: Path, name: str) -> Callable[[], object]:
    def answer() -> object:
        released = store.release(written(folder, name, ANSWERED[name]), folder / f"{name}-again")
        return released.number, released.repeated, {n: sha256(data).hexdigest() for n, data in released.files.items()}

    return answer
