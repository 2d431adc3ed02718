"""Cells before they are protected: who is behind a figure, and how much each account adds to it, as arrays.

Accounts are numbered once for all cells of a release, in the order of their pseudonyms; a cell holds these numbers.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from consentprofile.release.measures.measure import Key, Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from consentprofile.release.measures.measure import Numbers

    Pseudonyms: TypeAlias = NDArray[np.bytes_]
    """Of dtype ``S16``, rising and distinct. An element that is taken out loses zeros at its end; ``tobytes`` keeps."""

    Places: TypeAlias = NDArray[np.uint32]
    """Places in the pseudonyms, rising and distinct."""

PSEUDONYM_BYTES: Final = 16


def has_numpy() -> bool:
    """Whether the extra ``release`` is installed, without which nobody behind a figure can be told apart."""
    return importlib.util.find_spec("numpy") is not None


class Cell(NamedTuple):
    """The accounts behind one protected figure, by their places in :attr:`Counted.pseudonyms`.

    ``amounts`` is what each of them adds, in the same order, each within the limits of ``part``; None where everybody
    adds one.
    """

    key: Key
    part: Part
    members: Places
    amounts: Numbers | None

    def __repr__(self) -> str:
        return "<Cell, content withheld>"


class Portion(NamedTuple):
    """What was counted of some accounts: who counts in which cell, the accounts of a cell together, each once in it.

    ``pseudonyms`` are in the order in which accounts came, those that count nowhere included; ``account`` are places
    among these. ``cell`` are the places in ``ReleaseSpec.keys`` of the cells that have any account, rising, and
    ``sizes`` how many each of them has. ``amounts`` has for each part of the measure an array of what the accounts add;
    None where everybody adds one.
    """

    pseudonyms: NDArray[np.bytes_]
    account: NDArray[np.uint32]
    cell: Places
    sizes: NDArray[np.uint32]
    amounts: tuple[Numbers, ...] | None

    def __repr__(self) -> str:
        return "<Portion, content withheld>"


class Counted(NamedTuple):
    """Every declared cell, empty ones included, in the order of ``ReleaseSpec.cells``, and the accounts behind them.

    ``pseudonyms`` are those of the accounts that count in any cell, and no others. Exact and about people: it is
    neither stored nor published as it is.
    """

    pseudonyms: Pseudonyms
    cells: tuple[Cell, ...]

    def __repr__(self) -> str:
        return "<Counted, content withheld>"
