"""Cells before they are protected: who is behind a figure, and how much each account adds to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, TypeAlias

from consentprofile.release.measures.measure import Key, Part

PSEUDONYM_BYTES: Final = 16


class Weighed(NamedTuple):
    """Members that add different amounts, each within the limits of ``part``."""

    by_account: Mapping[bytes, int]
    part: Part


Members: TypeAlias = frozenset[bytes] | Weighed
"""The accounts behind a figure, by their pseudonyms. In a set, everybody adds one."""

Cells: TypeAlias = Mapping[Key, Members]
"""The members of every declared cell, empty ones included, in the order of the rows."""


def names(members: Members) -> Collection[bytes]:
    """The pseudonyms of the members."""
    return members.by_account.keys() if isinstance(members, Weighed) else members
