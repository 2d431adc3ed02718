"""What a store and its counting workers say to each other, in frames (:mod:`consentprofile.usecases.worker_process`).

The store says a :class:`Setup` once, then one :class:`Stretch` after the other; the worker answers each, in order, by a
:class:`Packed` tally of all or the first of its slots, or ``nil`` where it could not: then the store counts the stretch
itself and learns why. So no error crosses, and nothing personal with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import msgspec

from consentprofile.model.withheld import Withheld
from consentprofile.release.cells import PSEUDONYM_BYTES, Portion
from consentprofile.usecases.counting import Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Setup(Withheld, frozen=True, array_like=True):
    """What a worker holds: the policies, the specification, and the key of its purpose. No other key of the store.

    ``directory`` is where the store's files lie, ``store`` the store's id; ``now`` a second, UTC; ``suppressed`` the
    reasons noted for accounts, by their tags.
    """

    directory: str
    store: bytes
    policies: dict[int, bytes]
    spec: str
    number: int
    key: bytes
    now: int
    suppressed: dict[bytes, tuple[str, ...]]


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """The slots from ``first`` to ``last``, to be counted."""

    first: int
    last: int


class Packed(Withheld, frozen=True, array_like=True):
    """A tally as bytes: numbers of accounts and cells and their sizes of 32 bits, all others of 64, as this machine
    writes them."""

    last: int
    pseudonyms: bytes
    account: bytes
    cell: bytes
    sizes: bytes
    amounts: tuple[bytes, ...] | None
    slot: bytes
    generation: bytes
    until: bytes

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """The bytes of a tally."""
        portion = tally.portion
        return cls(
            tally.last,
            portion.pseudonyms.tobytes(),
            portion.account.tobytes(),
            portion.cell.tobytes(),
            portion.sizes.tobytes(),
            None if portion.amounts is None else tuple(added.tobytes() for added in portion.amounts),
            tally.slot.tobytes(),
            tally.generation.tobytes(),
            tally.until.tobytes(),
        )

    @property
    def tally(self) -> Tally:
        """The tally behind its bytes."""
        import numpy as np

        portion = Portion(
            np.frombuffer(self.pseudonyms, dtype=f"S{PSEUDONYM_BYTES}"),
            np.frombuffer(self.account, dtype=np.uint32),
            np.frombuffer(self.cell, dtype=np.uint32),
            np.frombuffer(self.sizes, dtype=np.uint32),
            None if self.amounts is None else tuple(map(_integers, self.amounts)),
        )
        return Tally(self.last, portion, _integers(self.slot), _integers(self.generation), _integers(self.until))


def _integers(data: bytes) -> NDArray[np.int64]:
    import numpy as np

    return np.frombuffer(data, dtype=np.int64)


setups: Final = msgspec.msgpack.Decoder(Setup)
stretches: Final = msgspec.msgpack.Decoder(Stretch)
answers: Final = msgspec.msgpack.Decoder(Packed | None)
