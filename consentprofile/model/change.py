"""One change of a policy: what kind it is, where it stands, and what it means in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class ChangeKind(StrEnum):
    """What a change of the policy does."""

    NARROWING = "narrowing"
    WIDENING = "widening"
    NEUTRAL = "neutral"
    REFUSED = "refused"


class PolicyChange(msgspec.Struct, frozen=True):
    """One change: its kind, its place in the policy, what it is in plain words, and the purpose that it touches.

    ``purpose`` is empty where the change touches no consent.
    """

    kind: ChangeKind
    where: str
    words: str
    purpose: str = ""


NARROWING, WIDENING, NEUTRAL, REFUSED = ChangeKind


# ---- words --------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A name or text of the policy, as it stands there."""
    return f"“{text}”"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def all_of(names: Sequence[str]) -> str:
    """Names in a row, joined by *and*."""
    return _joined(names, "and")


def any_of(names: Sequence[str]) -> str:
    """Names in a row, joined by *or*."""
    return _joined(names, "or")


def _joined(names: Sequence[str], word: str) -> str:
    told = [quoted(name) for name in names]
    return " ".join((", ".join(told[:-1]), word, told[-1])) if len(told) > 1 else "".join(told)
