"""Changing the policy: what a change would mean, and accepting it.

Accepting is one change of the keyring, rolled forward into ``data.db`` like every other. From then on nothing is
recorded, read or released beyond what each consent has left, for that is computed from the accepted policies; what is
stored beyond it is destroyed by :mod:`consentprofile.usecases.retention`.

A new purpose has a key, and only the root wraps one. So accepting takes the key of the store once more: no open store
keeps its root.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

import msgspec

from consentprofile.crypto import keys
from consentprofile.crypto.providers import KeyProvider, decode_parameters
from consentprofile.crypto.slots import SlotKind
from consentprofile.errors import Fault, KeysRotated, PolicyChanged, PolicyRefused, StoreFault, WrongKey
from consentprofile.model.change import ChangeKind, PolicyChange
from consentprofile.model.policy import Policy
from consentprofile.model.policy_change import compare, faults
from consentprofile.store.ports import POLICY, Keyring, Work
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.session import Session, reopened

OFFICER: Final = "officer"
PAGE: Final = 1_000
ROUNDED_TO: Final = 10


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the policy: what kind it is, where it stands, and what it means, in plain words.

    ``kind`` is ``narrowing`` (at once, also for what is stored), ``widening`` (for those who consent under the new
    notice), ``neutral`` or ``refused``. ``accounts`` are those whose consent to ``purpose`` is in force, rounded to 10;
    0 stands for fewer than 10, and None for a change that touches no consent.
    """

    kind: ChangeKind
    where: str
    words: str
    purpose: str
    accounts: int | None


class PolicyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy would change, or has changed. Without ``faults`` it can be accepted; ``digest`` is its own, hex."""

    digest: str
    changes: tuple[PlannedChange, ...]
    faults: tuple[Fault, ...]

    @property
    def is_refused(self) -> bool:
        """Whether the store would not accept it."""
        return bool(self.faults)


def plan(session: Session, policy: Policy, *, ending: Collection[str] = (), name: str = "policy") -> PolicyPlan:
    """What accepting ``policy`` would mean; ``name`` is what messages call it. Nothing is changed.

    ``ending`` are the purposes that are meant to end. Reads the headers of all slots, in slices.
    """
    session.keys.require_officer()
    accepted = _accepted(session)
    found = compare(accepted, policy)
    refusals = faults(found, accepted, policy, ending, name)
    touched = {change.purpose for change in found if change.purpose}
    counts = _in_force(session) if touched else {}
    return PolicyPlan(
        digest=policy.digest.hex(),
        changes=tuple(_planned(change, counts) for change in found),
        faults=tuple(refusals),
    )


def apply(
    session: Session, policy: Policy, key: KeyProvider, *, ending: Collection[str] = (), name: str = "policy"
) -> PolicyPlan:
    """Accept ``policy``; what that meant. Where it is in force already, nothing changes.

    The session is over when anything has changed: another one goes by the new policy. Raises :class:`PolicyRefused`,
    :class:`WrongKey`, :class:`KeyUnavailable`; then nothing has changed.
    """
    planned = plan(session, policy, ending=ending, name=name)
    if planned.faults:
        raise PolicyRefused(planned.faults)
    if not planned.changes:
        with session.ground.writing():
            return planned  # and no other policy has come into force meanwhile
    epoch, root = root_of(session, key)
    ground, new = session.ground, [one for one in policy.purposes if one not in session.purpose_numbers]
    with ground.writing():  # which makes sure that no other policy has come into force since the plan was made
        now = session.now()
        store, current = ground.keyring.identity()
        if current != epoch:
            raise KeysRotated("the keys were rotated meanwhile; show the new key")
        number = session.policy_number + 1
        leaf = Draft(Operation.POLICY_ACCEPTED, now, "", OFFICER)
        wrapped = keys.mint_purposes(root, store, epoch, new)

        def change(keyring: Keyring) -> Work:
            keyring.accept(number, policy.digest, session.keys.index)
            keyring.add_purposes(epoch, wrapped)
            return Work(policy.digest, (leaf,), ((POLICY, number, 0, policy.text),))

        ground.pending.perform(change)
    return planned


def is_over(session: Session) -> bool:
    """Whether another policy has come into force since the session began."""
    try:
        with session.ground.files.reading():
            return False
    except PolicyChanged:
        return True


def go_on(session: Session, key: KeyProvider) -> Session:
    """A session that goes by the policy in force, in the place of one that is over. Raises :class:`StoreFault`."""
    try:
        return reopened(session, key)
    except StoreFault as error:
        raise type(error)(
            f"the policy is accepted, and that stands; but the store could not be opened anew to go by it: {error}"
        ) from None


def _accepted(session: Session) -> list[Policy]:
    return [session.history.policies[number] for number in sorted(session.history.policies)]


def root_of(session: Session, key: KeyProvider) -> tuple[int, bytes]:
    """The epoch, and the root that this key gives. Raises :class:`WrongKey` unless it is the store's."""
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        store, number = session.ground.keyring.identity()
        epoch = session.ground.keyring.epoch(number)
    root = keys.derive_root(key.recall(decode_parameters(epoch.provider)), store, number)
    if not hmac.compare_digest(epoch.check_value, keys.check_value(root)):
        raise WrongKey("this is not the key of this store; the policy was not changed")
    return number, root


def _in_force(session: Session) -> dict[str, int]:
    """How many consents are in force, by purpose."""
    ground, after = session.ground, 0
    found: dict[str, int] = {}
    while True:
        with ground.files.reading(), ground.keyring.snapshot():
            now = session.now()
            slots = ground.keyring.iterate(after, PAGE)
        if not slots:
            return found
        after = slots[-1].number
        for slot in slots:
            if slot.header.kind == SlotKind.COMPARTMENT and session.is_in_force(slot, now):
                name = session.purpose_names[slot.header.purpose]
                found[name] = found.get(name, 0) + 1


def _planned(change: PolicyChange, counts: dict[str, int]) -> PlannedChange:
    return PlannedChange(
        kind=change.kind,
        where=change.where,
        words=change.words,
        purpose=change.purpose,
        accounts=_rounded(counts.get(change.purpose, 0)) if change.purpose else None,
    )


def _rounded(number: int) -> int:
    """To 10; fewer than 10 is 0, so that no plan tells about one person."""
    return 0 if number < ROUNDED_TO else (number + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
