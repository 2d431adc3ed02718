"""The state of the keys, and the shred horizon: from when on no old copy can bring back what was erased.

An erasure destroys a key in the living keyring. An old copy of the keyring still has it, and opens with the key of its
epoch, or with a capability of its epoch for the purposes of that. What copies the log knows of is listed; of others
nobody can know.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from consentprofile.crypto.providers import decode_parameters
from consentprofile.tlog.leaf import Leaf, Operation
from consentprofile.usecases.audit import mentioning
from consentprofile.usecases.consent import moment
from consentprofile.usecases.rotation import EPOCH
from consentprofile.usecases.session import FIRST_EPOCH, Session

SECONDS_AN_HOUR: Final = 3600

_OF_COPIES: Final = (Operation.KEYRING_BACKED_UP, Operation.CAPABILITY_ISSUED, Operation.RECOVERY_COPIED)

_KEYS: Final = {
    "key-file": ("this key file", "every copy of this key file is destroyed, backups of it included"),
    "environment": (
        "the value of this variable",
        "the value is destroyed wherever it is kept: secret managers, deployment settings, backups of them",
    ),
    "passphrase": (
        "this passphrase",
        "nobody knows the passphrase any more; a weak one can be guessed for as long as there is such a copy",
    ),
}
"""By provider: what it brings, and when nothing is left of that."""

UNKNOWABLE: Final = (
    "Whether there are other copies, nobody can tell from here: a local file cannot prove that no copy of it exists."
)


class KeyCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that the log knows of, made in this epoch: a keyring backup (``what`` is ``"keyring-backup"``), a recovery
    copy of the key (``"recovery-copy"``), or a capability (``"capability"``) with its ``purpose`` and ``role``.

    ``leaf`` is the sequence of its leaf, ``hour`` aware UTC; ``horizon`` says until when it can bring back what.
    """

    what: str
    leaf: int
    hour: datetime
    purpose: str = ""
    role: str = ""
    horizon: str


class KeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The epoch in force: its number, its ``provider``, since which hour (aware UTC; None where the log has lost it).

    ``rotating``: the epoch before has not gone yet, so a rotation is unfinished. ``horizon`` is the shred horizon in
    plain words, a sentence or two each; ``copies`` those that the log knows of.
    """

    epoch: int
    provider: str
    since: datetime | None
    rotating: bool
    horizon: tuple[str, ...]
    copies: tuple[KeyCopy, ...]


def status(session: Session) -> KeyStatus:
    """How the keys stand. It reads the log, in slices: about a microsecond a leaf. Nothing personal is opened."""
    ground = session.ground
    with ground.files.reading(), ground.keyring.snapshot():
        _, number = ground.keyring.identity()
        provider = decode_parameters(ground.keyring.epoch(number).provider).provider
        rotating = ground.epochs.before() is not None
    began: datetime | None = None
    copies: list[KeyCopy] = []
    for leaf in mentioning(session, (Operation.STORE_CREATED, Operation.KEYS_ROTATED, *_OF_COPIES)):
        if _begins(leaf, number):
            began, copies = _hour(leaf), []
        elif leaf.operation in _OF_COPIES:
            copies.append(_copy(leaf))
    return KeyStatus(
        epoch=number,
        provider=provider,
        since=began,
        rotating=rotating,
        horizon=tuple(_horizon(number, provider, began, rotating=rotating)),
        copies=tuple(copies),
    )


def _begins(leaf: Leaf, number: int) -> bool:
    """Whether the epoch with this number began with the leaf."""
    if leaf.operation == Operation.KEYS_ROTATED:
        return dict(leaf.facts).get(EPOCH) == number
    return leaf.operation == Operation.STORE_CREATED and number == FIRST_EPOCH


def _hour(leaf: Leaf) -> datetime:
    return moment(leaf.hour * SECONDS_AN_HOUR)


def _copy(leaf: Leaf) -> KeyCopy:
    if leaf.operation == Operation.KEYRING_BACKED_UP:
        what, horizon = "keyring-backup", "It brings back what is erased after it was made, until it is destroyed."
    elif leaf.operation == Operation.RECOVERY_COPIED:
        what, horizon = (
            "recovery-copy",
            "It is one more copy of the key: with its passphrase, and a copy of keys.db of this epoch, it brings back "
            "what was erased after that was made, until it is destroyed.",
        )
    else:
        what, horizon = (
            "capability",
            "With a copy of keys.db that was made before an erasure it brings back what was erased of this purpose, "
            "until every copy of it is destroyed. It ends, with the keys in force, at the next rotation.",
        )
    return KeyCopy(
        what=what, leaf=leaf.sequence, hour=_hour(leaf), purpose=leaf.purpose, role=leaf.role, horizon=horizon
    )


def _horizon(number: int, provider: str, began: datetime | None, *, rotating: bool) -> Iterator[str]:
    key, end = _KEYS.get(provider, ("this key", "every copy of this key is destroyed"))
    since = "" if began is None else f" ({began:%Y-%m-%d %H:%M} UTC)"
    if rotating:
        yield (
            "The rotation is unfinished: keys.db still holds what the former key opens. Finish it with "
            "`consentprofile keys rotate --resume`."
        )
    if number > FIRST_EPOCH:
        yield (
            f"Copies of keys.db from before this epoch began{since} open only with the former key, or a capability of "
            "its time. Once every copy of these is destroyed, no copy of keys.db from then brings back anything."
        )
    yield (
        f"Copies of keys.db from this epoch open with {key}. Each brings back what was erased after it was made, "
        f"until it is destroyed; or until the keys are rotated and {end}."
    )
    yield UNKNOWABLE
