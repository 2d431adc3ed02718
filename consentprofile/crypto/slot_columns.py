"""Many slots as columns: what :mod:`consentprofile.crypto.slots` reads of one, read of hundreds at once.

Their records lie as rows in one array of bytes; a field is a view of it, and no object is made of a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from consentprofile.crypto.byte_rows import Rows, joined
from consentprofile.crypto.slots import HEADER, LAST_KIND, RECORD_BYTES, VERSION, WRAPPED_BYTES, Slot, decode
from consentprofile.errors import CorruptRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_FIELDS: Final = (
    ("version", "u1"),
    ("kind", "u1"),
    ("state", "u1"),
    ("generation", ">u8"),
    ("purpose", ">u2"),
    ("terms", ">u4"),
    ("since", ">i8"),
    ("until", ">i8"),
    ("tag", "V32"),
    ("key id", "V16"),
    ("wrapped", f"V{WRAPPED_BYTES}"),
)
"""The slot's fields, in the order and of the sizes that they are stored in."""


class SlotColumns(NamedTuple):
    """Slots, one element or row for each: their numbers, and their records of 173 bytes."""

    number: Integers
    record: Rows

    @classmethod
    def of(cls, slots: Sequence[tuple[int, bytes]]) -> Self:
        """The slots behind their bytes. Raises :class:`CorruptRecord` for a wrong length or form.

        Cost: some 0.2 microseconds each, where there are a hundred.
        """
        import numpy as np

        numbers, records = zip(*slots, strict=True) if slots else ((), ())
        try:
            columns = cls(np.array(numbers, dtype=np.int64), joined(records, RECORD_BYTES))
        except ValueError:
            raise CorruptRecord("a slot of the keyring has a wrong length; restore the keyring") from None
        if (columns._field("version") != VERSION).any() or (columns._field("kind") > LAST_KIND).any():
            raise CorruptRecord("a slot of the keyring is not of a known form; restore the keyring")
        return columns

    @classmethod
    def together(cls, parts: Sequence[SlotColumns]) -> Self:
        """The slots of all ``parts``, of which there is one at least."""
        import numpy as np

        return cls(np.concatenate([part.number for part in parts]), np.concatenate([part.record for part in parts]))

    def __repr__(self) -> str:
        return f"<SlotColumns of {len(self.number)} slots>"

    def only(self, places: Integers | slice) -> SlotColumns:
        """The slots at these places."""
        return SlotColumns(self.number[places], self.record[places])

    @property
    def state(self) -> NDArray[np.uint8]:
        """The state of each consent."""
        return self._field("state")

    @property
    def generation(self) -> Integers:
        """The generation of each; one that needs 64 bits, which no keyring comes to, is told as a negative number."""
        return self._number("generation")

    @property
    def terms(self) -> Integers:
        """The number of the terms of each."""
        return self._number("terms")

    @property
    def until(self) -> Integers:
        """The second, UTC, at which each consent's lifetime is over."""
        return self._number("until")

    @property
    def tags(self) -> list[bytes]:
        """Whose slot each is."""
        found: list[bytes] = self._field("tag").tolist()
        return found

    @property
    def header(self) -> Rows:
        """The 81 bytes of each header."""
        return self.record[:, : HEADER.size]

    @property
    def wrapped(self) -> Rows:
        """The 92 bytes of each wrapped key."""
        return self.record[:, HEADER.size :]

    @property
    def key_held(self) -> NDArray[np.bool_]:
        """Whether a key lives in each."""
        import numpy as np

        return np.asarray(self.wrapped.any(axis=1))

    def at(self, place: int) -> Slot:
        """One of them. Raises :class:`CorruptRecord` for a key of nobody."""
        return decode(int(self.number[place]), self.record[place].tobytes())

    def _field(self, name: str) -> NDArray[Any]:
        return self.record.view(_layout()).reshape(len(self.number))[name]

    def _number(self, name: str) -> Integers:
        import numpy as np

        return self._field(name).astype(np.int64)


@lru_cache(maxsize=1)
def _layout() -> np.dtype[np.void]:
    """A record as numpy reads it."""
    import numpy as np

    return np.dtype(list(_FIELDS))
