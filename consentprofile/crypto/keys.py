"""The key tree: a root wraps the keys of an epoch, these wrap the keys in the slots.

::

    root ── wraps ── index · signing · officer · import · one purpose key for each purpose
                     purpose ── wraps ── compartment key and secret of (account, purpose)
                     officer ── wraps ── account key · evidence key of an account

Compartment, account and evidence keys are random, never derived: what can be derived cannot be destroyed.

While keys are rotated, the root of the new epoch wraps the officer and purpose keys of the one before, too, under names
of their own: what they still wrap is found by trying, and is wrapped anew.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, NoReturn

from consentprofile.crypto import slots
from consentprofile.crypto.aead import KEY_BYTES, SealingKey, SuccessorKey
from consentprofile.crypto.binding import Binding, RecordType
from consentprofile.crypto.block_sealing import BlockSealer
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.signing import SigningKey
from consentprofile.crypto.slots import Slot, SlotHeader, SlotKind
from consentprofile.crypto.tags import CompartmentSecret, ImportKey, IndexKey, hkdf_sha256, hmac_sha256
from consentprofile.errors import BeyondCapability, CorruptRecord, DestroyedKey, WrongKey

INDEX: Final = "index"
SIGNING: Final = "signing"
OFFICER: Final = "officer"
IMPORT: Final = "import"
PURPOSE: Final = "purpose:"
FORMER: Final = "former:"
"""What the names of keys of the epoch before begin with, while something is still wrapped by them."""

FORMER_INDEX: Final = f"{FORMER}{INDEX}:"
"""What the names of former index keys begin with; the number of the last epoch of each follows."""

_OF_EVERY_EPOCH: Final = frozenset({INDEX, SIGNING, OFFICER, IMPORT})
_LASTING: Final = frozenset({INDEX, SIGNING, IMPORT})
"""Keys that rotation wraps anew and leaves as they are: of tags, of the log, of importers' ids."""

_WRAPS: Final[dict[int, RecordType]] = {
    SlotKind.COMPARTMENT: RecordType.COMPARTMENT_KEY,
    SlotKind.ACCOUNT: RecordType.ACCOUNT_KEY,
    SlotKind.EVIDENCE: RecordType.EVIDENCE_KEY,
}


class WrappedKey(NamedTuple):
    """A key of an epoch, wrapped by the root."""

    name: str
    wrapped: bytes


class SlotKey:
    """The key that lives in one slot, opened: it seals and opens the rows that name this slot and generation."""

    __slots__ = ("_binding", "_key", "generation", "purpose", "secret", "slot")

    def __init__(self, binding: Binding, slot: int, generation: int, purpose: str, opened: bytes) -> None:
        self._binding = binding
        self._key = SealingKey(opened[:KEY_BYTES])
        self.slot = slot
        self.generation = generation
        self.purpose = purpose
        self.secret = CompartmentSecret(opened[KEY_BYTES:])

    def seal(self, record: RecordType, plaintext: bytes) -> bytes:
        """Seal a row of this slot."""
        associated = self._binding.associate(record, self.slot, self.generation, purpose=self.purpose)
        return self._key.seal(plaintext, associated)

    def open(self, record: RecordType, sealed: bytes) -> bytes:
        """Open a row of this slot. Raises :class:`CorruptRecord`."""
        associated = self._binding.associate(record, self.slot, self.generation, purpose=self.purpose)
        return self._key.open(sealed, associated)

    def open_all(self, record: RecordType, rows: Iterable[bytes]) -> list[bytes]:
        """Open many rows of this slot, in their order. Raises :class:`CorruptRecord` for the first that does not."""
        associated = self._binding.associate(record, self.slot, self.generation, purpose=self.purpose)
        opened = self._key.open
        return [opened(sealed, associated) for sealed in rows]

    def __repr__(self) -> str:
        return "<SlotKey, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")


class EpochKeys:
    """The opened keys of one epoch. Whoever holds only some of them can open only what these wrap.

    What a capability does not hold is not here: whatever needs it raises :class:`BeyondCapability`.
    """

    def __init__(self, store: bytes, epoch: int, keys: Mapping[str, bytes]) -> None:
        self.binding = Binding(store)
        self._store = store
        self._hold(epoch, keys)

    def _hold(self, epoch: int, keys: Mapping[str, bytes]) -> None:
        self.epoch = epoch
        self._bytes = dict(keys)
        self.index = IndexKey(keys[INDEX])
        former = sorted((name for name in keys if name.startswith(FORMER_INDEX)), key=_epoch_of_index, reverse=True)
        self.former_indexes = tuple(IndexKey(keys[name]) for name in former)
        """Index keys that came before this one, the newest first, where anybody is still found under their tags."""
        self.imports = ImportKey(keys[IMPORT]) if IMPORT in keys else None
        self.signing = SigningKey(keys[SIGNING]) if SIGNING in keys else None
        self.officer = self._sealing(OFFICER) if OFFICER in keys else None
        self._handed = {name.removeprefix(PURPOSE): key for name, key in keys.items() if name.startswith(PURPOSE)}
        self._purposes = {name: self._sealing(PURPOSE + name) for name in self._handed}
        self._sealers = {name: BlockSealer(self._store, key, name) for name, key in self._purposes.items()}
        self.purposes = tuple(sorted(self._purposes))
        """The purposes whose keys are here, in the order of their names."""

    def _sealing(self, name: str) -> SealingKey:
        former = self._bytes.get(FORMER + name)
        return SealingKey(self._bytes[name]) if former is None else SuccessorKey(self._bytes[name], former)

    def __repr__(self) -> str:
        return "<EpochKeys, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")

    def require_purpose(self, purpose: str) -> SealingKey:
        """The key of a purpose. Raises :class:`BeyondCapability` where it is not here."""
        key = self._purposes.get(purpose)
        if key is None:
            raise BeyondCapability(f"this capability does not open the purpose {purpose!r}")
        return key

    def sealer(self, purpose: str) -> BlockSealer:
        """What seals blocks of a purpose. Raises :class:`BeyondCapability` where its key is not here."""
        self.require_purpose(purpose)
        return self._sealers[purpose]

    def require_officer(self) -> SealingKey:
        """The officer key. Raises :class:`BeyondCapability` where it is not here."""
        if self.officer is None:
            raise BeyondCapability("a capability cannot do this: it needs the key of the store")
        return self.officer

    def require_imports(self) -> ImportKey:
        """The key that derives the ids of imported events. Raises :class:`BeyondCapability` where it is not here."""
        if self.imports is None:
            raise BeyondCapability("a capability cannot import: it needs the key of the store")
        return self.imports

    def _wrapping(self, header: SlotHeader, purpose: str) -> SealingKey:
        return self.require_purpose(purpose) if header.kind == SlotKind.COMPARTMENT else self.require_officer()

    def hand_over(self) -> dict[str, bytes]:
        """The bytes of the purpose keys, by purpose, for a process that may hold these and nothing else."""
        return dict(self._handed)

    def grant(self, purposes: Iterable[str]) -> dict[str, bytes]:
        """The bytes of the index key and of the keys of these purposes, by name: all that a capability holds.

        Raises :class:`BeyondCapability` for a purpose whose key is not here.
        """
        names = tuple(purposes)
        for name in names:
            self.require_purpose(name)
        return {INDEX: self._bytes[INDEX]} | {PURPOSE + name: self._handed[name] for name in names}

    # ---- one epoch after another -----------------------------------------------------------------

    @property
    def is_rotating(self) -> bool:
        """Whether keys of the epoch before are held, too."""
        return isinstance(self.officer, SuccessorKey)

    def hand_on(self, *, retag: bool = False) -> dict[str, bytes]:
        """The bytes of the keys of the next epoch, by name.

        Those of tags, log and importers as they are; a new one in the place of each other, and the former beside it.
        To ``retag``, the index key is such another one, too.
        """
        later: dict[str, bytes] = {}
        for name, key in self._bytes.items():
            if name == INDEX and retag:
                later[name], later[f"{FORMER_INDEX}{self.epoch}"] = random_bytes(KEY_BYTES), key
            elif lasts(name):
                later[name] = key
            elif not name.startswith(FORMER):
                later[name], later[FORMER + name] = random_bytes(KEY_BYTES), key
        return later

    def become(self, later: EpochKeys) -> None:
        """Hold the keys of a later epoch of the same store from now on, wherever this object is known."""
        self._hold(later.epoch, later._bytes)

    def forget_former(self) -> None:
        """Put down the keys of the epoch before."""
        kept = {name: key for name, key in self._bytes.items() if lasts(name) or not name.startswith(FORMER)}
        self._hold(self.epoch, kept)

    def renew(self, slot: Slot, *, purpose: str = "", terms: bytes = b"") -> Slot | None:
        """The slot with the same key, wrapped by a key of this epoch where one of the epoch before wrapped it.

        None where there is nothing to do. Raises :class:`CorruptRecord`. Cost: about 10 microseconds.
        """
        number, header, wrapped = slot
        wrapping = self._wrapping(header, purpose)
        if wrapped == slots.NO_KEY or not isinstance(wrapping, SuccessorKey):
            return None
        resealed = wrapping.reseal(wrapped, self._associate(number, header, purpose, terms))
        return None if resealed is None else Slot(number, header, resealed)

    # ---- keys in slots ---------------------------------------------------------------------------

    def mint(self, number: int, header: SlotHeader, *, purpose: str = "", terms: bytes = b"") -> tuple[Slot, SlotKey]:
        """A new random key for the slot, wrapped and opened."""
        opened = random_bytes(2 * KEY_BYTES)
        slot = self._wrap(number, header, opened, purpose, terms)
        return slot, SlotKey(self.binding, number, header.generation, purpose, opened)

    def rewrap(
        self, slot: Slot, header: SlotHeader, *, purpose: str = "", terms: bytes = b"", new_terms: bytes = b""
    ) -> tuple[Slot, SlotKey]:
        """The same key under a changed header (other terms, a later expiry). Raises :class:`CorruptRecord`."""
        opened = self._unwrap(slot, purpose, terms)
        rewrapped = self._wrap(slot.number, header, opened, purpose, new_terms)
        return rewrapped, SlotKey(self.binding, slot.number, header.generation, purpose, opened)

    def succeed(self, slot: Slot, key_id: bytes, *, purpose: str, terms: bytes) -> tuple[Slot, SlotKey]:
        """A new random key for a compartment, which takes the place of the old one in the same slot.

        The slot as it is to be under its next generation, and the key opened. The compartment's secret stays, and with
        it the ids of events, tokens and pseudonyms. Raises :class:`CorruptRecord`, :class:`DestroyedKey`.
        """
        secret = self._unwrap(slot, purpose, terms)[KEY_BYTES:]
        header = slot.header.succeeded(key_id)
        opened = random_bytes(KEY_BYTES) + secret
        succeeding = self._wrap(slot.number, header, opened, purpose, terms)
        return succeeding, SlotKey(self.binding, slot.number, header.generation, purpose, opened)

    def unwrap(self, slot: Slot, *, purpose: str = "", terms: bytes = b"") -> SlotKey:
        """The key that lives in the slot.

        Raises :class:`DestroyedKey` for an empty slot, and :class:`CorruptRecord` if the slot, its header or the
        terms are not those that the key was wrapped with. Cost: about 4 microseconds.
        """
        opened = self._unwrap(slot, purpose, terms)
        return SlotKey(self.binding, slot.number, slot.header.generation, purpose, opened)

    def _wrap(self, number: int, header: SlotHeader, opened: bytes, purpose: str, terms: bytes) -> Slot:
        associated = self._associate(number, header, purpose, terms)
        return Slot(number, header, self._wrapping(header, purpose).seal(opened, associated))

    def _associate(self, number: int, header: SlotHeader, purpose: str, terms: bytes) -> bytes:
        return self.binding.associate(
            _WRAPS[header.kind], number, header.generation, purpose=purpose, bound=header.encode() + terms
        )

    def _unwrap(self, slot: Slot, purpose: str, terms: bytes) -> bytes:
        """The key and the secret (32 bytes each). Raises :class:`DestroyedKey`, :class:`CorruptRecord`."""
        number, header, wrapped = slot
        wrapping = self._wrapping(header, purpose)
        if wrapped == slots.NO_KEY:
            raise DestroyedKey(slots.NO_KEY_HERE)
        return wrapping.open(wrapped, self._associate(number, header, purpose, terms))

    # ---- the officer's own records ---------------------------------------------------------------

    def seal_record(self, record: RecordType, number: int, plaintext: bytes, *, purpose: str = "") -> bytes:
        """Seal an entry of the actor book or the ledger under the officer key; with ``purpose``, under that one's."""
        return self._recording(purpose).seal(plaintext, self._of_record(record, number, purpose))

    def open_record(self, record: RecordType, number: int, sealed: bytes, *, purpose: str = "") -> bytes:
        """Open such an entry. Raises :class:`CorruptRecord`."""
        key = self._recording(purpose)
        try:
            return key.open(sealed, self._of_record(record, number, purpose))
        except CorruptRecord:
            if not isinstance(key, SuccessorKey):
                raise
            return key.former.open(sealed, self._of_record(record, number, purpose, before=1))

    def renew_record(self, record: RecordType, number: int, sealed: bytes, *, purpose: str = "") -> bytes | None:
        """Such an entry sealed in this epoch, where it was sealed in the one before; None where it is already.

        Raises :class:`CorruptRecord`.
        """
        key = self._recording(purpose)
        if not isinstance(key, SuccessorKey):
            return None
        try:
            plaintext = key.former.open(sealed, self._of_record(record, number, purpose, before=1))
        except CorruptRecord:
            key.open(sealed, self._of_record(record, number, purpose))
            return None
        return self.seal_record(record, number, plaintext, purpose=purpose)

    def _recording(self, purpose: str) -> SealingKey:
        return self.require_purpose(purpose) if purpose else self.require_officer()

    def _of_record(self, record: RecordType, number: int, purpose: str, *, before: int = 0) -> bytes:
        return self.binding.associate(record, number, self.epoch - before, purpose=purpose)


def lasts(name: str) -> bool:
    """Whether the key with this name is the same in the next epoch."""
    return name in _LASTING or name.startswith(FORMER_INDEX)


def _epoch_of_index(name: str) -> int:
    try:
        return int(name.removeprefix(FORMER_INDEX))
    except ValueError:
        raise CorruptRecord("the keyring names a key as none is named; restore keys.db") from None


# ---- the root and its epoch ---------------------------------------------------------------------


def derive_root(secret: bytes, store: bytes, epoch: int) -> bytes:
    """The root key of an epoch: HKDF-SHA256 of the provider's secret, so that one key file can serve several stores."""
    return hkdf_sha256(secret, salt=store, info=b"consentprofile root " + epoch.to_bytes(8, "big"))


def check_value(root: bytes) -> bytes:
    """What tells a wrong key from a corrupt record: a keyed digest of the root that opens nothing."""
    return hmac_sha256(root, b"consentprofile check")


def mint_epoch(root: bytes, store: bytes, epoch: int, purposes: Iterable[str]) -> list[WrappedKey]:
    """Fresh random keys of an epoch, wrapped by its root."""
    names = [INDEX, SIGNING, OFFICER, IMPORT, *(PURPOSE + name for name in purposes)]
    return wrap_epoch(root, store, epoch, {name: random_bytes(KEY_BYTES) for name in names})


def mint_purposes(root: bytes, store: bytes, epoch: int, purposes: Iterable[str]) -> list[WrappedKey]:
    """Fresh random keys of purposes, wrapped by the root of an epoch."""
    return wrap_epoch(root, store, epoch, {PURPOSE + name: random_bytes(KEY_BYTES) for name in purposes})


def wrap_epoch(root: bytes, store: bytes, epoch: int, keys: Mapping[str, bytes]) -> list[WrappedKey]:
    """These keys of an epoch, by name, wrapped by its root."""
    binding, sealing = Binding(store), SealingKey(root)
    return [
        WrappedKey(name, sealing.seal(key, binding.associate(RecordType.EPOCH_KEY, 0, epoch, purpose=name)))
        for name, key in keys.items()
    ]


def open_epoch(root: bytes, check: bytes, store: bytes, epoch: int, wrapped: Iterable[WrappedKey]) -> EpochKeys:
    """The keys of an epoch.

    Raises :class:`WrongKey` if the root is not this epoch's, :class:`CorruptRecord` if it is and a record is not as
    it was written. The check value decides; where it is itself damaged, a key that still opens tells so.
    """
    binding, sealing = Binding(store), SealingKey(root)
    opened: dict[str, bytes] = {}
    damaged = not hmac.compare_digest(check, check_value(root))
    for name, sealed in wrapped:
        try:
            opened[name] = sealing.open(sealed, binding.associate(RecordType.EPOCH_KEY, 0, epoch, purpose=name))
        except CorruptRecord:
            damaged = True
    if damaged and not opened:
        if hmac.compare_digest(check, check_value(root)):
            raise CorruptRecord("the keyring's wrapped keys are damaged; restore keys.db from a keyring backup")
        raise WrongKey("this is not the key of this store; nothing was opened")
    if damaged or not opened.keys() >= _OF_EVERY_EPOCH:
        raise CorruptRecord("the keyring's records of this epoch are damaged; restore keys.db from a keyring backup")
    return EpochKeys(store, epoch, opened)
