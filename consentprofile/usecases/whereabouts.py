"""Whether the store knows of everybody alive who they are: the sealed id of each account, and the tag that is its own.

An id is lost where the data was restored from a copy that did not know the account yet: consents stand, for they live
in the keyring, but under another index key nobody could find the account. The id is written again when the account is
named (:mod:`consentprofile.usecases.tags`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Final, NamedTuple

from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import CorruptRecord
from consentprofile.usecases.account_keys import sealed_id
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import under

PAGE: Final = 300
"""Slots that are looked at under the gate at once: at most some 4 ms."""

_REMEDY: Final = "any decision of theirs, also one that stands already, and `access`"


class Living(NamedTuple):
    """The tag of an account with a key, and its normalized id: None where that is lost, or nothing ``opens``."""

    tag: bytes
    normalized: bytes | None
    opens: bool = True


def accounts(session: Session, after: int, most: int) -> tuple[list[Living], int]:
    """The accounts among the next ``most`` slots above ``after``, and the last of these slots; -1 at the end.

    Cost: about 10 microseconds for each account.
    """
    ground = session.ground
    with ground.files.reading(), ground.keyring.snapshot():
        page = ground.keyring.iterate(after, most)
        found = [_living(session, slot) for slot in page if _is_account(slot)]
    return found, page[-1].number if len(page) == most else -1


def _is_account(slot: Slot) -> bool:
    return slot.header.kind == SlotKind.ACCOUNT and slot.key_held


def _living(session: Session, slot: Slot) -> Living:
    try:
        return Living(slot.header.tag, sealed_id(session, slot))
    except CorruptRecord:
        return Living(slot.header.tag, None, opens=False)


def without_id(slots: Iterable[Slot], rows: Container[tuple[int, int]]) -> int:
    """How many accounts have a key in ``slots`` and no id among ``rows``, which are named by slot and generation."""
    return sum((slot.number, slot.header.generation) not in rows for slot in slots if _is_account(slot))


def disagreements(session: Session) -> Iterator[str]:
    """What is wrong with ids and tags, of how many accounts, and what to do. Keys that do not open are left out."""
    lost = former = unknown = after = 0
    while after >= 0:
        with session.ground.writing():  # what is pending brings ids that are not there yet
            found, after = accounts(session, after, PAGE)
        for tag, normalized, opens in found:
            index = None if normalized is None else under(session, tag, normalized)
            lost += opens and normalized is None
            unknown += normalized is not None and index is None
            former += index is not None and index is not session.keys.index
    if lost:
        yield (
            f"{lost} accounts whose id is lost, for the data was restored from a copy without it, or its row deleted: "
            f"it is written again by {_REMEDY}; until then `keys rotate --retag` leaves their tag as it is"
        )
    if former:
        yield f"{former} accounts under a former tag, for which nothing is recorded or read; {_REMEDY} move them"
    if unknown:
        yield f"{unknown} accounts whose id is not the one that their tag was made of: restore keys.db from a backup"
