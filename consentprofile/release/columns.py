"""The events of many blocks as columns, read at once: no Python object is made of an event.

The plaintexts of the blocks (:mod:`consentprofile.model.block`) lie end to end in one array of bytes, with a cursor in
each of them; every step reads the same element of the same event in all. A block that is not of the usual shape (it
names another policy, holds a long array, has an event of many fields, or is one of few with so many events) is not read
here but handed back, to be read by itself. So what is here need not be complete, only right: a block counts as read
where its cursor has come to rest on the block's last byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.errors import CorruptRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from consentprofile.release.measures.measure import Numbers

    Bytes = NDArray[np.uint8]

MISSING: Final = -(1 << 63)
"""What stands for a field that an event does not have, or whose value is no number."""

MOST: Final = (1 << 63) - 1
"""The largest number of a field."""

MISFIT: Final = "a block does not fit the policy that it names; run `consentprofile check`"

FEWEST: Final = 8
"""Where fewer blocks than these have another event, a step costs more than reading them one by one."""

_AHEAD: Final = 64
"""Zeros behind the last block, and once more behind where what is astray is read: a step looks ahead."""

# MessagePack: the first byte of what is met, and how many bytes it takes in all.
_FIXED_ARRAY: Final = 0x90
_LONG_ARRAY: Final = 16
"""Elements that an array with this first byte does not have any more."""
_ARRAY_16: Final = 0xDC
_BYTES_8: Final = 0xC4
_UINT_32: Final = 0xCE
_UINT_64: Final = 0xCF
_LARGEST_FIXED: Final = 0x7F
_DIGEST: Final = 2 + 16
_HEAD: Final = (
    ("id of 16 bytes", ">u2"),
    ("id", ">u8"),
    ("id, second half", "V8"),
    ("time of 32 bits", "u1"),
    ("at", ">u4"),
    ("kind", "u1"),
)
"""What an event's array begins with, before its fields."""
_HEAD_ELEMENTS: Final = 3
"""Id, time and kind."""
_HEAD_BYTES: Final = _DIGEST + 5 + 1
_LEAST: Final = 1 + _HEAD_BYTES
"""Bytes of an event without fields, its array's own head included."""
_NUMBERS: Final = {
    0xCC: ">u1", 0xCD: ">u2", 0xCE: ">u4", 0xCF: ">u8", 0xD0: ">i1", 0xD1: ">i2", 0xD2: ">i4", 0xD3: ">i8"
}  # fmt: skip
_LARGEST_NEGATIVE: Final = 0xE0
_UNKNOWN: Final = 1 << 40
"""What is no value of an event, or no position of one byte: the cursor is led out of its block."""
_MOST_PAIRS: Final = 32
"""Fields of an event that is read here: a step is taken for the first pair of all events, for the second, and so on."""


class Columns(NamedTuple):
    """Events, one element for each, those of a block together.

    ``block`` is the place of the event's block among those given, rising; ``at`` in seconds since 1970 UTC; ``id`` the
    first eight bytes of the stored id; ``kind`` the kind's position; ``fields`` have the numbers of the fields asked
    for by their position: a value's position, or a number as stored, :data:`MISSING` for none.
    """

    block: Numbers
    at: Numbers
    id: NDArray[np.uint64]
    kind: Numbers
    fields: dict[int, Numbers]

    def only(self, places: Numbers) -> Columns:
        """The events at these places."""
        fields = {field: values[places] for field, values in self.fields.items()}
        return Columns(self.block[places], self.at[places], self.id[places], self.kind[places], fields)


def read(text: bytes, lengths: Numbers, policy: int, fields: Iterable[int]) -> tuple[Columns, Numbers]:
    """The events of blocks that name ``policy``, and the places of the blocks that were not read, rising.

    The blocks lie end to end in ``text``; ``lengths`` has the bytes of each.

    Raises :class:`CorruptRecord` for a number that no field may have. Cost: about 0.1 microseconds an event, where a
    batch has a thousand blocks and more.
    """
    import numpy as np

    walk = _Walk(text, lengths, policy, fields)
    walk.run()
    columns, read = walk.columns()
    return columns, np.flatnonzero(~read)


class _Walk:
    """The cursors on their way. Blocks are taken in falling order of their events, so those with more come first.

    A cursor only goes forward, so one that has gone past the end of its block is never again at it. It may be anywhere
    then, and what is read there is the zero that the text ends with. Where many events are left in few blocks, each
    call of numpy costs what hundreds of elements do, so there are few calls to a step.
    """

    def __init__(self, text: bytes, lengths: Numbers, policy: int, fields: Iterable[int]) -> None:
        import numpy as np

        text += bytes(2 * _AHEAD)
        self._text = text
        self._bytes = np.frombuffer(text, dtype=np.uint8)
        self._behind = self._bytes[1:]
        """The byte behind each."""
        self._astray = len(text) - _AHEAD  # no block ends here or behind
        self._end = np.cumsum(lengths)
        cursor = self._end - lengths
        named = self._bytes[cursor + 1] if policy <= _LARGEST_FIXED else np.full(len(lengths), 0xFF, dtype=np.uint8)
        known = (lengths > 4) & (self._bytes[cursor] == _FIXED_ARRAY + 3) & (named == policy)
        tokens, cursor = self._array(cursor + 2)
        events, cursor = self._array(np.minimum(cursor + tokens * _DIGEST, self._astray))
        # A block without events is handed back; and so is one that says it has more than it can hold, or a few bytes
        # would ask for a lot of memory.
        known &= (tokens >= 0) & (events > 0) & (events * _LEAST <= lengths)
        self._counts = np.where(known, events, 0)
        self._order = np.argsort(-self._counts, kind="stable")
        self._cursor = cursor[self._order]
        self._base = np.cumsum(self._counts) - self._counts
        total = int(self._counts.sum())
        self._head = np.full(total, self._astray, dtype=np.int64)
        """Where each event's head begins; astray for an event that was not come to."""
        self._fields = {field: np.zeros(total, dtype=np.int64) for field in fields}
        """Where each event's value of a field begins, 0 where it has none."""

    def _array(self, cursor: Numbers) -> tuple[Numbers, Numbers]:
        """How many elements the arrays have that begin at ``cursor``, and where these begin; -1 for no array."""
        import numpy as np

        head = self._bytes.take(cursor, mode="clip").astype(np.int64)
        long = head == _ARRAY_16
        count = np.where(head >> 4 == _FIXED_ARRAY >> 4, head & 15, -1)
        if not long.any():
            return count, cursor + 1
        wide = self._wide(">u2")[np.minimum(cursor + 1, self._astray)]
        return np.where(long, wide, count), cursor + np.where(long, 3, 1)

    def _wide(self, kind: str) -> Numbers:
        """The number of this type that begins at each byte: a view, nothing is copied."""
        import numpy as np

        width = np.dtype(kind).itemsize
        return np.ndarray(len(self._text) - width + 1, dtype=kind, buffer=self._text, strides=(1,))

    def run(self) -> None:
        """Take every cursor through the events of its block."""
        import numpy as np

        fewer = -self._counts[self._order]
        base = self._base[self._order]
        most = -int(fewer.min(initial=0))
        for number, going in enumerate(np.searchsorted(fewer, -np.arange(most)).tolist()):
            if going < FEWEST:
                return
            place = base[:going] + number
            pairs, cursor = self._event(self._cursor[:going])
            self._head[place] = cursor
            cursor = cursor + _HEAD_BYTES
            all_have = int(pairs.min())
            for pair in range(int(pairs.max())):
                if pair < all_have:
                    cursor = self._passed(cursor, place)
                else:
                    some = np.flatnonzero(pairs > pair)
                    cursor[some] = self._passed(cursor[some], place[some])
            self._cursor[:going] = cursor

    def _event(self, cursor: Numbers) -> tuple[Numbers, Numbers]:
        """How many pairs the events have whose arrays begin at ``cursor``, and where their heads begin; astray for what
        is no event."""
        import numpy as np

        pairs = _few_pairs().take(self._bytes.take(cursor, mode="clip"))
        if (pairs >= 0).all():
            return pairs, cursor + 1
        size, cursor = self._array(cursor)
        shaped = (size & 1 == 1) & (size >= _HEAD_ELEMENTS) & (size <= _HEAD_ELEMENTS + 2 * _MOST_PAIRS)
        return np.where(shaped, (size - _HEAD_ELEMENTS) >> 1, 0), np.where(shaped, cursor, self._astray)

    def _passed(self, cursor: Numbers, place: Numbers) -> Numbers:
        """Behind the pairs that begin at ``cursor``, one of each of the events at ``place``.

        Where values of the fields that are asked for begin, is noted.
        """
        import numpy as np

        named = self._bytes.take(cursor, mode="clip")
        for field, begins in self._fields.items():
            here = named == field
            many = np.count_nonzero(here)
            if many == len(here):  # mostly every event has the same field here
                begins[place] = cursor + 1
            elif many:
                begins[place[here]] = cursor[here] + 1
        takes = _pair_bytes().take(self._behind.take(cursor, mode="clip"))
        if not named.tobytes().isascii():  # the quickest way to ask whether any is above _LARGEST_FIXED
            takes[named > _LARGEST_FIXED] = _UNKNOWN
        passed: Numbers = cursor + takes
        return passed

    def columns(self) -> tuple[Columns, NDArray[np.bool_]]:
        """The events of the blocks that were read, and which blocks these are."""
        import numpy as np

        block = np.repeat(np.arange(len(self._counts)), self._counts)
        head = self._wide(f"V{_HEAD_BYTES}")[np.minimum(self._head, self._astray)].view(_head())
        read = self._read(block, head)
        fields = self._fields
        if not read.all():
            kept = read[block]
            block, head, fields = block[kept], head[kept], {field: each[kept] for field, each in fields.items()}
        found = {}
        for field, begins in fields.items():
            found[field] = np.full(len(block), MISSING, dtype=np.int64)
            here = np.flatnonzero(begins)
            found[field][here] = self._values(begins[here])
        at, ids, kind = head["at"].astype(np.int64), head["id"].astype(np.uint64), head["kind"].astype(np.int64)
        return Columns(block, at, ids, kind, found), read

    def _read(self, block: Numbers, head: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which blocks were read: their cursors are where the blocks end, and all of their events have such a head."""
        read = self._counts > 0
        read[self._order] &= self._cursor == self._end[self._order]
        usual = (
            (head["id of 16 bytes"] == _BYTES_8 << 8 | 16)
            & (head["time of 32 bits"] == _UINT_32)
            & (head["kind"] <= _LARGEST_FIXED)
        )
        read[block[~usual]] = False
        return read

    def _values(self, cursor: Numbers) -> Numbers:
        """The numbers that begin at ``cursor``, :data:`MISSING` for anything else.

        The number that stands for that itself is told as the next one, which no measure tells from it.
        """
        import numpy as np

        head = self._bytes[cursor].astype(np.int64)
        large = np.flatnonzero(head > _LARGEST_FIXED)
        if not len(large):
            return head
        values = head.copy()
        heads, at = head[large], cursor[large]
        numbers = np.where(heads >= _LARGEST_NEGATIVE, heads - 256, MISSING)
        for kind, name in _NUMBERS.items():
            here = np.flatnonzero(heads == kind)
            if len(here):
                found = self._wide(name)[at[here] + 1]
                if kind == _UINT_64 and (found > MOST).any():
                    raise CorruptRecord(MISFIT)
                numbers[here] = np.maximum(found.astype(np.int64), MISSING + 1)
        values[large] = numbers
        return values


@lru_cache(maxsize=1)
def _head() -> np.dtype[np.void]:
    """The head of an event as numpy reads it."""
    import numpy as np

    return np.dtype(list(_HEAD))


@lru_cache(maxsize=1)
def _few_pairs() -> Numbers:
    """By its first byte, how many pairs an event has that is a short array; -1 for anything else."""
    import numpy as np

    pairs = np.full(256, -1, dtype=np.int64)
    for size in range(_HEAD_ELEMENTS, _LONG_ARRAY, 2):
        pairs[_FIXED_ARRAY + size] = (size - _HEAD_ELEMENTS) // 2
    return pairs


@lru_cache(maxsize=1)
def _pair_bytes() -> Numbers:
    """By the first byte of its value, how many bytes a pair takes whose field has a position of one byte."""
    import numpy as np

    pairs = np.full(256, _UNKNOWN, dtype=np.int64)
    pairs[: _LARGEST_FIXED + 1] = pairs[_LARGEST_NEGATIVE:] = 2
    pairs[[0xC2, 0xC3]] = 2
    pairs[_BYTES_8] = 1 + _DIGEST
    for kind, name in _NUMBERS.items():
        pairs[kind] = 2 + np.dtype(name).itemsize
    return pairs
