"""The actor book: the officer key opens entries of both kinds; a capability writes its own reads and refusals only."""

from __future__ import annotations

import pytest

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import EpochKeys
from consentprofile.errors import BeyondCapability, CorruptRecord
from consentprofile.usecases.actor_book import BookEntry, open_entry, seal_entry

STORE = bytes(range(16))
KEYS = {
    "index": b"\x01" * 32,
    "officer": b"\x02" * 32,
    "purpose:analytics": b"\x03" * 32,
    "purpose:support": b"\x04" * 32,
}
WHOLE = EpochKeys(STORE, 1, KEYS)
SOME = EpochKeys(STORE, 1, {name: KEYS[name] for name in ("index", "purpose:support")})

READ = BookEntry(1_710_000_000, "support-agent", "17", "read", "support", "ticket 1")
REFUSED = BookEntry(1_710_000_000, "support-agent", "17", "read-refused", "analytics", "")


@pytest.mark.parametrize("entry", [READ, REFUSED], ids=["a read", "a refusal for another purpose"])
def test_who_holds_the_officer_key_opens_entries_of_both_kinds(entry: BookEntry) -> None:
    for keys in (WHOLE, SOME):
        assert open_entry(WHOLE, 7, seal_entry(keys, 7, entry)) == entry


def test_a_capability_reads_no_entry_not_even_its_own() -> None:
    for keys in (WHOLE, SOME):
        with pytest.raises(BeyondCapability):
            open_entry(SOME, 7, seal_entry(keys, 7, READ))


def test_an_entry_of_either_kind_opens_in_its_place_and_epoch_only() -> None:
    later = EpochKeys(STORE, 2, KEYS)
    for keys in (WHOLE, SOME):
        sealed = seal_entry(keys, 7, READ)
        for opener, place in ((WHOLE, 8), (later, 7)):
            with pytest.raises(CorruptRecord):
                open_entry(opener, place, sealed)


BEYOND = {
    "a read for another purpose": BookEntry(READ.second, "support-agent", "17", "read", "analytics", ""),
    "an erasure": BookEntry(READ.second, "officer", "1", "erased", "", ""),
    "an erasure for its own purpose": BookEntry(READ.second, "officer", "1", "erased", "support", ""),
    "an access": BookEntry(READ.second, "officer", "1", "accessed", "", ""),
}


@pytest.mark.parametrize("entry", BEYOND.values(), ids=BEYOND)
def test_a_capability_cannot_tell_of_what_it_cannot_do(entry: BookEntry) -> None:
    with pytest.raises(BeyondCapability):
        seal_entry(SOME, 7, entry)


@pytest.mark.parametrize("entry", BEYOND.values(), ids=BEYOND)
def test_an_entry_forged_with_a_purpose_key_is_none(entry: BookEntry) -> None:
    """Whoever has the key of a purpose can seal anything under it; what it may not tell is refused on opening."""
    forged = SOME.seal_record(RecordType.ACTOR_BOOK, 7, canonical.pack(entry), purpose="support")
    with pytest.raises(CorruptRecord):
        open_entry(WHOLE, 7, forged)
