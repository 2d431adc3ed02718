"""Rotation: the keys of the store move to a new root, and what the old one opened, it opens no more.

A new epoch begins in one transaction of the keyring: its root is made of new secret material and wraps new officer and
purpose keys, and those of the epoch before beside them. From then on nothing is wrapped by the former keys any more,
and what they have wrapped is wrapped anew, slice by slice: the keys in the slots, in the order of their numbers, under
headers and generations that stay; then the officer's own records, which lie under no key of any account. Last, in one
transaction, the epoch before goes, and every former key with it. No row of any account is touched.

Whoever dies on the way leaves two epochs. Whoever has the new key goes on (:func:`resume`), from the beginning, for
what is done already says so itself. Who holds keys of the epoch before is told (:class:`KeysRotated`), and changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from consentprofile.crypto import keys
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.providers import KeyProvider, decode_parameters, encode_parameters
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import CorruptRecord, InputError, KeyUnavailable
from consentprofile.store.ports import Epoch, Keyring, StoredRelease, Work
from consentprofile.tlog.leaf import Draft, Fact, Operation
from consentprofile.usecases.actor_book import renew_entry
from consentprofile.usecases.session import Session

SLOTS: Final = 150
"""Slots whose keys are wrapped anew under the gate at once: some 2 ms. Two such pages are written together."""

PAGES: Final = 2

ENTRIES: Final = 150
"""Entries of the actor book that are sealed anew at once."""

EPOCH: Final = "epoch"
RETAGGED: Final = "retagged"

Progress = Callable[[int, int], None]
"""Told how much is done, of how much: slots and leaves together."""


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did: the ``epoch`` that is in force, keys in slots that were wrapped anew, entries of the actor
    book and the ledger that were sealed anew.

    ``damaged`` of all these opened under no key, and are as they were: no key will open them any more. Of a re-tagging,
    ``under_former_tags`` are accounts that got no new tag, for their id is lost: they move when somebody names them.
    """

    epoch: int
    keys: int
    entries: int
    damaged: int
    under_former_tags: int = 0


def rotate(session: Session, key: KeyProvider, *, progress: Progress | None = None) -> Rotated:
    """Begin a new epoch under the secret of ``key``, and carry the rotation to its end.

    The session goes on under the new keys. Raises :class:`InputError` for the secret that is in force and where a
    rotation is unfinished, :class:`KeyUnavailable`, :class:`BeyondCapability`; then nothing has changed. Cost: about 20
    microseconds for each slot and each entry of the actor book.
    """
    begin(session, key)
    done = resume(session, progress=progress)
    if done is None:  # another process was quicker to carry it to its end
        session.keys.forget_former()
        return Rotated(epoch=session.keys.epoch, keys=0, entries=0, damaged=0)
    return done


def resume(session: Session, *, progress: Progress | None = None) -> Rotated | None:
    """Carry an unfinished rotation to its end; None where there is none. Others go on meanwhile.

    Raises :class:`BeyondCapability`, and :class:`CorruptRecord` where the former keys are gone.
    """
    session.keys.require_officer()
    _follow(session)
    with session.ground.files.reading():
        if session.ground.epochs.before() is None:
            return None
    if not session.keys.is_rotating:
        raise CorruptRecord("the keyring has lost the keys that are to be replaced; restore keys.db")
    slices = Slices(session, progress)
    slices.wrap_keys()
    slices.seal_entries()
    close(session)
    return slices.done()


# ---- the new epoch ----------------------------------------------------------------------------------


def begin(session: Session, key: KeyProvider, *, retag: bool = False) -> None:
    """Put a new epoch in force, whose keys the session holds from then on. Raises as :func:`rotate`."""
    ground = session.ground
    session.keys.require_officer()
    with ground.files.reading():
        store, number = ground.keyring.identity()
        former = ground.keyring.epoch(number)
        _require_finished(session)
    _require_other(key, store, former)
    secret, parameters = key.enroll()
    _require_new(secret, store, former)
    root = keys.derive_root(secret, store, number + 1)
    check = keys.check_value(root)
    with ground.writing():
        _require_finished(session)

        def change(keyring: Keyring) -> Work:
            if keyring.identity()[1] != number:
                raise InputError("the keys were rotated meanwhile; nothing was changed by this call")
            wrapped = keys.wrap_epoch(root, store, number + 1, session.keys.hand_on(retag=retag))
            later = keys.open_epoch(root, check, store, number + 1, wrapped)
            session.begun = check, later
            ground.epochs.begin(Epoch(number + 1, encode_parameters(parameters), check, wrapped))
            if retag:
                keyring.reseal_policies(session.keys.index, later.index)
            facts: tuple[Fact, ...] = ((EPOCH, number + 1), (RETAGGED, 1)) if retag else ((EPOCH, number + 1),)
            leaf = Draft(Operation.KEYS_ROTATED, session.now(), "", "officer", facts)
            return Work(session.policy.digest, (leaf,))

        try:
            ground.pending.perform(change)
        finally:
            _follow(session)


def _follow(session: Session) -> None:
    """Go by the keys of the epoch that this session has begun, where it is in force, whatever failed after that."""
    if session.begun is not None:
        check, begun = session.begun
        with session.ground.files.writing():
            keyring = session.ground.keyring
            if keyring.identity()[1] == begun.epoch and keyring.epoch(begun.epoch).check_value == check:
                session.keys.become(begun)
                session.ground.epoch, session.begun = begun.epoch, None


def _require_finished(session: Session) -> None:
    if session.ground.epochs.before() is not None:
        raise InputError(
            "a rotation of the keys is unfinished; finish it first (`consentprofile keys rotate --resume`)"
        )


def _require_other(key: KeyProvider, store: bytes, former: Epoch) -> None:
    """Refuse the provider in force with its secret, before it is asked for a new one: a passphrase has a new salt."""
    try:
        secret = key.recall(decode_parameters(former.provider))
    except KeyUnavailable:
        return  # another provider, or a key file to be made
    _require_new(secret, store, former)


def _require_new(secret: bytes, store: bytes, former: Epoch) -> None:
    if keys.check_value(keys.derive_root(secret, store, former.number)) == former.check_value:
        raise InputError("this is the key that the store has already; rotation takes a new one, never used before")


# ---- slice by slice ---------------------------------------------------------------------------------


class Slices:
    """What is wrapped and sealed anew on the way from one epoch to the next.

    Only what was there when it began: what comes later, comes under the new keys.
    """

    def __init__(self, session: Session, progress: Progress | None) -> None:
        self._session = session
        self._progress = progress
        self._keys = self._entries = self._damaged = 0
        with session.ground.files.reading():
            self._slots = session.ground.keyring.count()
            self._leaves = session.ground.log.size()

    def done(self) -> Rotated:
        """What was done."""
        return Rotated(epoch=self._session.keys.epoch, keys=self._keys, entries=self._entries, damaged=self._damaged)

    # ---- keys in slots ---------------------------------------------------------------------------

    def wrap_keys(self) -> None:
        """Wrap the key in each slot anew. The keys are opened under the gate, and written under the writer lock."""
        after = 0
        while after >= 0:
            renewed: list[tuple[Slot, Slot]] = []
            for _ in range(PAGES):
                if after >= 0:
                    some, after = self._renew_from(after)
                    renewed += some
            self._write(renewed)
            self._tell(after if after >= 0 else self._slots)

    def _renew_from(self, after: int) -> tuple[list[tuple[Slot, Slot]], int]:
        """The slots above ``after`` that a former key wraps, with what is to stand there; and the last; -1 at the end.

        They are read and opened in one slice under the gate: nobody destroys a key between the two.
        """
        renewed: list[tuple[Slot, Slot]] = []
        with self._session.ground.files.reading():
            page = self._session.ground.keyring.iterate(after, min(SLOTS, self._slots - after))
            for slot in page:
                new = self._renewed(slot)
                if new is not None:
                    renewed.append((slot, new))
        last = page[-1].number if page else self._slots
        return renewed, last if last < self._slots else -1

    def _renewed(self, slot: Slot) -> Slot | None:
        """What is to stand in the slot; None where it may stay as it is."""
        if not slot.key_held or slot.header.kind == SlotKind.TO_COME:
            return None
        try:
            return self._wrapped_anew(slot)
        except (CorruptRecord, KeyError):
            self._damaged += 1
            return None

    def _wrapped_anew(self, slot: Slot) -> Slot | None:
        session, header = self._session, slot.header
        if header.kind != SlotKind.COMPARTMENT:
            return session.keys.renew(slot)
        name = session.purpose_names[header.purpose]
        return session.keys.renew(slot, purpose=name, terms=session.bound(header.terms))

    def _write(self, renewed: Sequence[tuple[Slot, Slot]]) -> None:
        """Write what is still as it was read; what has changed since is looked at once more, under the lock."""
        if not renewed:
            return
        ground = self._session.ground
        records = [(old.number, old.record, new.record) for old, new in renewed]
        # What anybody has read of the keyring stays true: the key in each slot, and all that its header says.
        with ground.writing(), ground.files.keyring_transaction(counted=False):
            if ground.epochs.exchange(records) < len(renewed):
                for old, new in renewed:
                    slot = ground.keyring.slot(old.number)
                    if slot is not None and slot != new and (later := self._renewed(slot)) is not None:
                        ground.keyring.overwrite(later)
        self._keys += len(renewed)

    # ---- the officer's own records ---------------------------------------------------------------

    def seal_entries(self) -> None:
        """Seal the actor book and the ledger anew: they lie directly under the officer key."""
        start = 0
        while True:
            renewed, start = self._entries_from(start)
            if renewed:
                with self._session.ground.writing(), self._session.ground.files.data_transaction(full=True):
                    self._session.ground.log.overwrite_actors(renewed)
                self._entries += len(renewed)
            if start < 0:
                break
            self._tell(self._slots + start)
        number = 1
        while (release := self._release(number)) is not None:
            self._seal_release(release)
            number = release.number + 1
        self._tell(self._slots + self._leaves)

    def _entries_from(self, start: int) -> tuple[list[tuple[int, bytes]], int]:
        """Entries of the actor book that are to be written, and where the next ones begin; -1 after the last."""
        with self._session.ground.files.reading():
            page = self._session.ground.log.actors(start, ENTRIES)
            renewed = []
            for leaf, sealed in page:
                new = self._resealed(renew_entry, leaf, sealed)
                if new is not None:
                    renewed.append((leaf, new))
        last = page[-1][0] + 1 if page else self._leaves
        return renewed, last if last < self._leaves else -1

    def _release(self, number: int) -> StoredRelease | None:
        with self._session.ground.files.reading():
            return self._session.ground.releases.since(number)

    def _seal_release(self, release: StoredRelease) -> None:
        new = self._resealed(_renew_ledger, release.number, release.ledger)
        if new is not None:
            with self._session.ground.writing(), self._session.ground.files.data_transaction(full=True):
                self._session.ground.releases.overwrite(release.number, new)
            self._entries += 1

    def _resealed(
        self, renew: Callable[[EpochKeys, int, bytes], bytes | None], number: int, sealed: bytes
    ) -> bytes | None:
        try:
            return renew(self._session.keys, number, sealed)
        except CorruptRecord:
            self._damaged += 1
            return None

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._slots + self._leaves)


def _renew_ledger(held: EpochKeys, number: int, sealed: bytes) -> bytes | None:
    return held.renew_record(RecordType.LEDGER, number, sealed)


# ---- the epoch before goes --------------------------------------------------------------------------


def close(session: Session, *, keep_indexes: bool = True) -> None:
    """Let the epoch before go: nothing is wrapped or sealed by its keys, and none of them is left in the file."""
    ground = session.ground
    with ground.writing(), ground.epochs.emptying():

        def change(keyring: Keyring) -> Work:
            before = ground.epochs.before()
            if before is None:
                return Work(session.policy.digest)  # somebody else was quicker
            ground.epochs.close_before(keep_indexes=keep_indexes)
            leaf = Draft(Operation.EPOCH_CLOSED, session.now(), "", "officer", ((EPOCH, before.number),))
            return Work(session.policy.digest, (leaf,))

        ground.pending.perform(change)
        session.keys.forget_former()
