"""An open store as use cases see it: the ground, the opened keys, the policy in force, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.crypto import aead, keys
from consentprofile.crypto.capability import Capability, EpochMark
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.providers import KeyProvider, decode_parameters, encode_parameters
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot
from consentprofile.errors import (
    CorruptRecord,
    InputError,
    KeysRotated,
    PolicyChanged,
    RoleNotAllowed,
    StoreNotFound,
    UndeclaredPurpose,
    WrongKey,
)
from consentprofile.model.block import Codebook
from consentprofile.model.consent import IN_FORCE, State
from consentprofile.model.ids import Actor, normalize_account
from consentprofile.model.policy import Policy, Purpose
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Projector
from consentprofile.store.ports import (
    FIRST_PURPOSE_PLACE,
    Durability,
    Epoch,
    Ground,
    Head,
    Terms,
    create_directory,
)
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.tlog.note import is_key_name
from consentprofile.usecases import actor_book
from consentprofile.usecases.books import Books
from consentprofile.usecases.held_terms import HeldTerms, TermsBook
from consentprofile.usecases.sealing_rules import Rules

FIRST_EPOCH: Final = 1
FIRST_POLICY: Final = 1

DEFAULT_ORIGIN: Final = "consentprofile.invalid"
"""What an audit log is called that nobody named: a domain that can never be anybody's (RFC 2606)."""

MAXIMUM_ORIGIN: Final = 256

_IN_FORCE: Final = frozenset(int(state) for state in IN_FORCE)

Clock = Callable[[], datetime]


def is_in_force(state: int, until: int, now: int) -> bool:
    """Whether the consent of a compartment that holds a key is in force at ``now``: by what its slot says of its state
    and end, and unless a later policy has cut its lifetime.
    """
    return state in _IN_FORCE and now < until


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


class Session:
    """One open store."""

    def __init__(self, ground: Ground, opened: EpochKeys, clock: Clock, *, role: str | None = None) -> None:
        self.ground: Final = ground
        self.keys: Final = opened
        self.role: Final = role
        """The role that a capability pins; None for the key of the store, which pins none."""
        self.begun: tuple[bytes, EpochKeys] | None = None
        """The check value and the keys of an epoch that this session has begun, until it is known to be in force."""
        self.clock: Final = clock
        self.origin: Final = ground.keyring.origin()
        self._policies = {
            number: _accepted(digest, text) for number, (digest, text) in ground.data_file.policies().items()
        }
        accepted = ground.keyring.accepted(opened.index)
        if not accepted or {number: policy.digest for number, policy in self._policies.items()} != accepted:
            raise CorruptRecord("data.db does not have the policies that the keyring accepted; restore data.db")
        self.history: Final = PolicyHistory(self._policies)
        self.policy_number: Final = self.history.number
        self.policy: Final = self.history.policy
        self.calendar: Final = self.history.calendar
        self.projector: Final = Projector(self.policy)
        self.purpose_names: Final = ground.keyring.purposes()
        self.purpose_numbers: Final = {name: number for number, name in self.purpose_names.items()}
        if not self.purpose_numbers.keys() >= self.policy.purposes.keys():
            raise CorruptRecord("the keyring does not have the purposes of the policy; restore keys.db")
        names = [name for name in self.policy.purposes if role is None or name in opened.purposes]
        self.purposes: Final = {name: self.purpose_numbers[name] for name in names}
        """The purposes that the keys at hand open, in the order of the policy, with their numbers."""
        self.rules: Final = Rules(self.policy, self.policy_number, self.projector, self.calendar, self.purposes)
        """What is sealed for these purposes."""
        # Asked of the ground each time: a fork gives it another keyring.
        self.terms_book: Final = TermsBook(self.history, self.projector, lambda: ground.keyring.all_terms())  # noqa: PLW0108
        self.books: Final = Books(self.history, self.terms_book)
        ground.policy = self.policy_number

    def now(self, head: Head | None = None) -> int:
        """The second, UTC, by the store's clock, which never runs behind the newest leaf (of ``head``, where known)."""
        return max(self.by_the_clock(), (self.ground.log.hour() if head is None else head.hour) * 3600)

    def by_the_clock(self) -> int:
        """The second, UTC, by the store's clock alone: it may run behind the log, and asks no file."""
        return int(self.clock().timestamp())

    # ---- the policy ------------------------------------------------------------------------------

    def purpose(self, name: str) -> Purpose:
        """A declared purpose. Raises :class:`UndeclaredPurpose`."""
        found = self.policy.purposes.get(name) if isinstance(name, str) else None
        if found is None:
            raise UndeclaredPurpose("the policy declares no such purpose; `policy show` lists the purposes")
        return found

    def require_role(self, role: str) -> None:
        """Raise :class:`RoleNotAllowed` unless ``role`` may act: under a capability, the one that this pins alone."""
        if self.role is not None and role != self.role:
            raise RoleNotAllowed(f"this capability is for the role {self.role!r} alone; ask for one of the other role")

    def place(self, purpose: str) -> int:
        """Where the directory keeps an account's compartment for this purpose."""
        return FIRST_PURPOSE_PLACE + self.purpose_numbers[purpose]

    def codebook(self, policy: int) -> Codebook:
        """The words of an accepted policy. Raises :class:`CorruptRecord` for a number that was never accepted."""
        return self.books.codebook(policy)

    # ---- accounts and compartments ---------------------------------------------------------------

    def tag(self, account: str) -> bytes:
        """The tag of an account. Raises :class:`InvalidAccount`."""
        return self.keys.index.account(normalize_account(account))

    def terms(self, number: int) -> Terms:
        """What a consent was given under. Raises :class:`CorruptRecord` for terms that are not there."""
        return self.terms_book.terms(number)

    def bound(self, number: int) -> bytes:
        """What binds a wrapped key to its terms."""
        return self.terms_book.bound(number)

    def held(self, number: int) -> HeldTerms:
        """What terms hold under the policy in force."""
        return self.terms_book.held(number)

    def forget_terms(self) -> None:
        """Forget terms that a rolled back transaction may have added."""
        self.terms_book.forget()

    def state(self, slot: Slot | None, now: int) -> State:
        """The state of consent at ``now``: over is over, whatever the slot still says."""
        if slot is None:
            return State.NONE
        try:
            state = State(slot.header.state)
        except ValueError:
            raise CorruptRecord("a slot of the keyring has no known state; restore keys.db") from None
        if state in IN_FORCE and not (slot.key_held and now < self.ends(slot)):
            return State.EXPIRED
        return state

    def ends(self, slot: Slot) -> int:
        """The second at which the lifetime of a consent, whose key is held, is over: a later policy may have cut it.

        0 where the policy in force has ended the purpose.
        """
        held = self.held(slot.header.terms)
        return 0 if self.history.has_ended(held.purpose) else slot.header.until - held.cut

    def is_in_force(self, slot: Slot, now: int) -> bool:
        """Whether the consent of a compartment is in force at ``now``, as :meth:`state` says."""
        header = slot.header
        return is_in_force(header.state, header.until, now) and slot.key_held and now < self.ends(slot)

    def reasons(self, tag: bytes) -> frozenset[str]:
        """The reasons for suppression that are noted for an account."""
        return frozenset(self.ground.keyring.reasons(tag, self.keys.index))

    # ---- the actor book --------------------------------------------------------------------------

    def actor_entry(self, sequence: int, second: int, actor: Actor, operation: str, purpose: str, reason: str) -> bytes:
        """A sealed entry of the actor book beside the leaf with this sequence. Raises :class:`BeyondCapability`."""
        entry = actor_book.BookEntry(second, actor.role, actor.name, operation, purpose, reason)
        return actor_book.seal_entry(self.keys, sequence, entry)

    def close(self) -> None:
        """Close the store's files."""
        self.ground.files.close()


def _accepted(digest: bytes, text: bytes) -> Policy:
    """An accepted policy. It decides what is kept and who reads: nothing is opened under one that was altered."""
    if canonical.digest(text) != digest:
        raise CorruptRecord("a policy does not have the digest it was accepted with; restore data.db from a backup")
    try:
        return Policy.from_text(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CorruptRecord("a policy of the store cannot be read; restore data.db from a backup") from None


def create(path: Path, policy: Policy, key: KeyProvider, clock: Clock, *, origin: str | None = None) -> None:
    """Make a store: its directory, its keys, its policy, and the first leaves of its log.

    ``origin`` names the audit log; without one it is a random name. Raises :class:`InputError` for a name that cannot
    be one.
    """
    aead.require_support()
    if origin is not None and not (is_key_name(origin) and len(origin) <= MAXIMUM_ORIGIN):
        raise InputError("an origin is a name without spaces or '+', such as shop.example/consent-log")

    def establish(ground: Ground) -> None:
        store = random_bytes(16)
        secret, parameters = key.enroll()
        root = keys.derive_root(secret, store, FIRST_EPOCH)
        names = list(policy.purposes)
        wrapped = keys.mint_epoch(root, store, FIRST_EPOCH, names)
        check = keys.check_value(root)
        epoch = Epoch(FIRST_EPOCH, encode_parameters(parameters), check, wrapped)
        index = keys.open_epoch(root, check, store, FIRST_EPOCH, wrapped).index
        second = int(clock().timestamp())
        with ground.files.writing():
            with ground.files.data_transaction(full=True):
                ground.data_file.establish(store)
                ground.data_file.add_policy(FIRST_POLICY, policy.text)
                ground.log.establish()
                leaves = (Draft(Operation.STORE_CREATED, second), Draft(Operation.POLICY_ACCEPTED, second))
                ground.log.append(leaves, policy.digest)
            with ground.files.keyring_transaction():
                ground.keyring.establish(store, origin or f"{DEFAULT_ORIGIN}/{store.hex()}", epoch, names)
                ground.keyring.accept(FIRST_POLICY, policy.digest, index)

    create_directory(path, establish)


def open_session(
    path: Path, key: KeyProvider, clock: Clock, *, wait: float, durability: Durability, retagging: bool = False
) -> Session:
    """Open a store, with its key or with a capability; while accounts get new tags, only to go on with that.

    Raises :class:`WrongKey`, :class:`KeysRotated`, :class:`StoreNotFound`, :class:`NewerFormat`,
    :class:`CorruptRecord`.
    """
    aead.require_support()
    if not path.is_dir():
        raise StoreNotFound("there is no store at this path; `consentprofile init` makes one")
    ground = Ground(path, wait=wait, durability=durability)
    try:
        ground.require_agreement()
        with ground.keyring.snapshot():
            store, number = ground.keyring.identity()
            epoch = ground.keyring.epoch(number)
        if isinstance(key, Capability):
            role, opened = key.open(EpochMark(store, number, epoch.check_value))
        else:
            role, opened = None, _open_epoch(ground, store, epoch, key.recall(decode_parameters(epoch.provider)))
        ground.epoch = number
        with ground.writing():  # what a crash left pending is finished, and nobody accepts a policy between the files
            if role is not None and ground.epochs.before() is not None:
                # None is issued amid a rotation: so this keyring is an older one, restored, and keys in its slots are
                # still wrapped by those of the epoch before, which no capability holds.
                raise KeysRotated(
                    "a rotation of the keys is unfinished, and capabilities open nothing until it is finished: run "
                    "`consentprofile keys rotate --resume`"
                )
            if ground.epochs.is_retagging() and not retagging:
                raise KeysRotated(
                    "the accounts of this store are getting new tags; finish it with `consentprofile keys rotate "
                    "--resume --retag`"
                )
            return Session(ground, opened, clock, role=role)
    except BaseException:
        ground.files.close()
        raise


def _open_epoch(ground: Ground, store: bytes, epoch: Epoch, secret: bytes) -> EpochKeys:
    """The keys of the epoch in force. Raises :class:`KeysRotated` for the key of the one before, while it is there."""
    root = keys.derive_root(secret, store, epoch.number)
    try:
        return keys.open_epoch(root, epoch.check_value, store, epoch.number, epoch.wrapped)
    except WrongKey:
        before = ground.epochs.before()
        if before is None or keys.check_value(keys.derive_root(secret, store, before.number)) != before.check_value:
            raise
        raise KeysRotated("the keys of this store were rotated; open it with the new key") from None


def reopened(session: Session, key: KeyProvider) -> Session:
    """A session of its own on the same store, opened as that one was."""
    ground = session.ground
    return open_session(ground.path, key, session.clock, wait=ground.wait, durability=ground.files.durability)


def require_same_policy(session: Session, policy: Policy) -> None:
    """Raise :class:`PolicyChanged` unless this is the policy in force."""
    if policy.digest != session.policy.digest:
        raise PolicyChanged(
            "the policy differs from the one that this store has accepted; `policy diff` says what the change means, "
            "and `policy apply` makes it. Open the store without a policy to go on under the accepted one"
        )
