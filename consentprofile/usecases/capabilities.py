"""Issuing a capability: a key file that opens some purposes, in one role, and nothing else.

The leaves come first: each purpose that a file opens stands in the log, with the role and the file's random id, before
there is a key in the file. What a process that dies in between leaves behind is a leaf too many, never a key too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto import capability
from consentprofile.crypto.capability import ID_BYTES, EpochMark
from consentprofile.crypto.providers import Passphrase
from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import InputError, RoleNotAllowed
from consentprofile.model.ids import parse_actor
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.private_files import fill, new_file
from consentprofile.usecases.session import Session

CAPABILITY: Final = "capability"
"""The fact that names a capability in a leaf."""

RECORDER: Final = "app"
"""The one role that records."""


class IssuedCapability(msgspec.Struct, frozen=True, kw_only=True):
    """A capability that was issued: its random id (hex), what it opens, in which role, and its leaves in the log."""

    id: str
    purposes: tuple[str, ...]
    role: str
    epoch: int
    leaves: tuple[int, ...]


def issue(
    session: Session,
    target: Path,
    purposes: Sequence[str],
    role: str,
    *,
    passphrase: Passphrase | None = None,
    actor: str = "officer:unnamed",
) -> IssuedCapability:
    """Write a capability to ``target`` (mode 0600), which must not exist; ``passphrase`` seals the keys in it.

    Raises :class:`BeyondCapability` where the store was itself opened by one, :class:`UndeclaredPurpose`,
    :class:`RoleNotAllowed` for a role that could do nothing, :class:`InputError` where something is in the way or no
    purpose is named, :class:`KeyUnavailable` for a short passphrase; then nothing has changed. Raises
    :class:`StoreFault` where the file could not be written: the log says that it was issued, and nobody has it.
    """
    session.keys.require_officer()
    who = parse_actor(actor)
    named = _named(session, purposes)
    _require_use(session, named, role)
    _require_apart(session, target)
    identity = random_bytes(ID_BYTES)
    enrolled = None if passphrase is None else passphrase.enroll()
    with new_file(target, "capability"):
        with session.ground.writing():
            if session.ground.epochs.before() is not None:
                # What a former key still wraps, it could not open.
                raise InputError("a rotation of the keys is unfinished; finish it, then issue the capability")
            now = session.now()
            store, number = session.ground.keyring.identity()
            mark = EpochMark(store, number, session.ground.keyring.epoch(number).check_value)
            text = capability.write(mark, identity, role, session.keys.grant(named), enrolled)
            drafts = [Draft(Operation.CAPABILITY_ISSUED, now, name, role, ((CAPABILITY, identity),)) for name in named]
            with session.ground.files.data_transaction(full=True):
                first = session.ground.log.append(drafts, session.policy.digest)
                session.ground.log.note_actors(
                    (leaf, session.actor_entry(leaf, now, who, Operation.CAPABILITY_ISSUED, name, ""))
                    for leaf, name in enumerate(named, first)
                )
        fill(target, text)
    leaves = tuple(range(first, first + len(named)))
    return IssuedCapability(id=identity.hex(), purposes=named, role=role, epoch=number, leaves=leaves)


def require_recorder(session: Session) -> None:
    """Raise :class:`RoleNotAllowed` where a capability opened the store for a role that only reads."""
    if session.role not in (None, RECORDER):
        raise RoleNotAllowed(
            f"a capability of the role {session.role!r} does not record; only one of {RECORDER!r} does"
        )


def _named(session: Session, purposes: Sequence[str]) -> tuple[str, ...]:
    """The purposes, declared and in the order of the policy."""
    asked = {session.purpose(name).name for name in purposes}
    if not asked:
        raise InputError("a capability opens at least one purpose: name it")
    return tuple(name for name in session.policy.purposes if name in asked)


def _require_use(session: Session, purposes: Sequence[str], role: str) -> None:
    """A key that is good for nothing is only good for being lost."""
    if role not in session.policy.all_roles:
        raise RoleNotAllowed("the policy knows no such role; `policy show` lists the roles")
    for name in purposes:
        readers = session.policy.purposes[name].readers
        if role != RECORDER and role not in readers:
            allowed = ", ".join((*readers, RECORDER))
            raise RoleNotAllowed(f"this role neither reads for the purpose {name!r} nor records; these do: {allowed}")


def _require_apart(session: Session, target: Path) -> None:
    if target.resolve().is_relative_to(session.ground.path.resolve()):
        raise InputError("a capability must not lie in the store's directory: whoever takes one would have the other")
