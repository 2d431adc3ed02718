"""Lineages: what a log becomes whose end was lost.

Where a restored log does not reach a head that was signed over it, leaves have been lost that others may have seen. It
goes on under another name, so that nobody is shown two logs under one: a leaf ``lineage-begun`` stands after those that
are left, with the facts

1. ``origin-before``, the name that the log had, UTF-8
2. ``origin``, the name that it has from here on
3. ``size`` and ``root`` of the last head that was known under the old name

and every head over this leaf is signed under the new name. The leaves before it keep their places and their hashes. So
a head of an earlier lineage that covers only these is still one of this log; one that covers more vouches for what was
lost, and the leaf says how much that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from consentprofile.errors import BrokenLog
from consentprofile.tlog.leaf import Fact, Leaf, Operation

MAXIMUM_ORIGIN: Final = 256
_ENDING: Final = "/lineage-"


class Lineage(NamedTuple):
    """One beginning: the sequence of its leaf, the names before and after, and the last head known before."""

    begun: int
    before: str
    origin: str
    size: int
    root: bytes

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts of its leaf."""
        return (
            ("origin-before", self.before.encode()),
            ("origin", self.origin.encode()),
            ("size", self.size),
            ("root", self.root),
        )


def next_origin(origin: str, fallback: str) -> str:
    """What the log of this name is called next: ``NAME/lineage-2``, then ``-3``; after ``fallback`` if too long."""
    name, number = _parts(origin)
    following = f"{name}{_ENDING}{number + 1}"
    return following if len(following) <= MAXIMUM_ORIGIN else f"{fallback}{_ENDING}2"


def _parts(origin: str) -> tuple[str, int]:
    """The name of the first lineage, and the number of this one."""
    name, _, number = origin.rpartition(_ENDING)
    return (name, int(number)) if name and number.isdecimal() else (origin, 1)


def lineage_of(leaf: Leaf) -> Lineage | None:
    """What a leaf begins; None for any other. Raises :class:`BrokenLog` for one that does not say it."""
    if leaf.operation != Operation.LINEAGE_BEGUN:
        return None
    facts = dict(leaf.facts)
    before, origin, size, root = (facts.get(name) for name in ("origin-before", "origin", "size", "root"))
    try:
        if not (isinstance(before, bytes) and isinstance(origin, bytes)):
            raise ValueError
        if not (isinstance(size, int) and isinstance(root, bytes)):
            raise ValueError
        return Lineage(leaf.sequence, before.decode(), origin.decode(), size, root)
    except ValueError:
        told = f"leaf {leaf.sequence} begins a lineage of the log, but does not say of which"
        raise BrokenLog(told, sequence=leaf.sequence) from None


def origin_at(lineages: Sequence[Lineage], size: int, origin: str) -> str:
    """The name under which a head over ``size`` leaves was signed, in a log that is called ``origin`` now."""
    return next((lineage.before for lineage in lineages if size <= lineage.begun), origin)


def require_chain(lineages: Sequence[Lineage], origin: str) -> None:
    """Raise :class:`BrokenLog` unless each lineage goes on from the one before it, and the last is ``origin``."""
    names = [*(lineage.before for lineage in lineages), origin][1:]
    for lineage, following in zip(lineages, names, strict=True):
        if lineage.origin != following:
            raise BrokenLog(
                f"the lineage that leaf {lineage.begun} begins is not the one that the log goes on as",
                sequence=lineage.begun,
            )


def is_earlier(origin: str, current: str) -> bool:
    """Whether the log that is called ``current`` may have been called ``origin`` in an earlier lineage."""
    (name, number), (of, now) = _parts(origin), _parts(current)
    return name == of and number < now
