"""The trail: to whom a person's data was shown; and the actor book, which knows what one actor did, and no person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import consentprofile as cp
from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.store.ports import TRAIL
from consentprofile.usecases import tracing
from tests.usecases.scene import ACCOUNT, AGENT, NOW, READERS, Scene, event


def told(traces: list[cp.Trace]) -> list[tuple[str, str, str, str]]:
    """Who did what for which purpose and why."""
    return [(trace.actor, trace.operation, trace.purpose, trace.reason) for trace in traces]


def asked(scene: Scene, account: str = ACCOUNT) -> list[tuple[str, str, str, str]]:
    """The trail as an officer is shown it, without what asking added."""
    *before, asking = told(scene.store.audit.account(account, actor="officer:2", reason="the person asks"))
    assert asking == ("officer:2", "audit-read", "", "the person asks")
    return before


def read(scene: Scene, purpose: str, account: str = ACCOUNT, reason: str | None = None) -> None:
    """Read a profile."""
    with scene.store.view(purpose, READERS[purpose], reason) as view:
        view.profile(account)


# ---- of an account -----------------------------------------------------------------------------------------


def test_a_trail_tells_who_read_when_for_what_and_why(scene: Scene) -> None:
    scene.give("support", "marketing")
    read(scene, "support", reason="ticket 1")
    scene.clock.move(seconds=61)
    read(scene, "marketing")
    first, second = scene.store.audit.account(ACCOUNT)[:2]
    assert told([first, second]) == [
        (AGENT, "read", "support", "ticket 1"),
        (READERS["marketing"], "read", "marketing", ""),
    ]
    assert (first.at, second.at) == (NOW, NOW + timedelta(seconds=61))
    leaves = {leaf.sequence: leaf for leaf in scene.leaves()}
    assert [(leaves[one.leaf].operation, leaves[one.leaf].purpose) for one in (first, second)] == [
        ("read", "support"),
        ("read", "marketing"),
    ]


def test_each_entry_is_what_its_leaf_commits_to(scene: Scene) -> None:
    scene.give()
    read(scene, "support", reason="ticket 1")
    scene.store.suppress(ACCOUNT, "do-not-contact")
    scene.store.access(ACCOUNT)
    scene.store.audit.account(ACCOUNT)
    session = scene.store._session
    commitments = {leaf.sequence: leaf.facts.get("commitment") for leaf in scene.leaves()}
    found = 0
    for place, slot in session.ground.keyring.slots_of(session.tag(ACCOUNT)).items():
        if place == 1:
            continue
        terms = session.bound(slot.header.terms) if place else b""
        key = session.keys.unwrap(slot, purpose="support" if place else "", terms=terms)
        for sealed in session.ground.rows(TRAIL).of(slot.number, slot.header.generation):
            plain = key.open(RecordType.TRAIL, sealed)
            entry = canonical.unpack(plain, tracing.TrailEntry)
            assert commitments[entry.leaf] == canonical.digest(plain).hex()
            assert len(entry.salt) == 16
            found += 1
    assert found == 4


def test_the_same_read_twice_commits_to_two_things(scene: Scene) -> None:
    """Entries are salted: nobody can guess one and compare."""
    scene.give()
    for _ in range(3):
        read(scene, "support", reason="ticket")
    commitments = [leaf.facts["commitment"] for leaf in scene.leaves() if leaf.operation == "read"]
    assert len(set(commitments)) == 3


def test_what_officers_did_is_in_it(scene: Scene) -> None:
    scene.give()
    scene.store.suppress(ACCOUNT, "do-not-contact", actor="officer:1")
    scene.store.lift_suppression(ACCOUNT, "do-not-contact", actor="officer:1")
    scene.store.access(ACCOUNT, actor="officer:3", reason="article 15")
    assert asked(scene) == [
        ("officer:1", "suppressed", "", "do-not-contact"),
        ("officer:1", "suppression-lifted", "", "do-not-contact"),
        ("officer:3", "accessed", "", "article 15"),
    ]


def test_asking_is_in_it_too(scene: Scene) -> None:
    scene.give()
    scene.store.audit.account(ACCOUNT, actor="officer:8", reason="first")
    assert asked(scene) == [("officer:8", "audit-read", "", "first")]
    assert scene.leaves()[-1].operation == "audit-read"


def test_a_read_that_showed_nothing_is_in_nobodys_trail(scene: Scene) -> None:
    """Its leaf is there, and looks like that of any other read."""
    scene.give("support")
    read(scene, "support")
    read(scene, "marketing")
    read(scene, "support", account="nobody")
    assert asked(scene) == [(AGENT, "read", "support", "")]
    reads = [leaf for leaf in scene.leaves() if leaf.operation == "read"]
    assert [set(leaf.facts) for leaf in reads] == [{"commitment"}] * 3


def test_a_refused_read_is_in_the_log_and_in_no_trail(scene: Scene) -> None:
    scene.give()
    with pytest.raises(cp.RoleNotAllowed), scene.store.view("support", "marketer:1"):
        raise AssertionError("it was let in")
    assert asked(scene) == []
    assert "read-refused" in {leaf.operation for leaf in scene.leaves()}


def test_trails_of_two_accounts_do_not_mix(scene: Scene) -> None:
    for account in ("a", "b"):
        scene.give(account=account)
    read(scene, "support", "a", "for a")
    read(scene, "support", "b", "for b")
    assert asked(scene, "a") == [(AGENT, "read", "support", "for a")]
    assert asked(scene, "b") == [(AGENT, "read", "support", "for b")]


def test_a_trail_goes_with_its_compartment(scene: Scene) -> None:
    scene.give("support", "marketing")
    read(scene, "support", reason="stays")
    read(scene, "marketing")
    scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    assert asked(scene) == [(AGENT, "read", "support", "stays")]
    scene.give("marketing")
    assert [trace[1:3] for trace in asked(scene)] == [("read", "support"), ("audit-read", "")]


def test_an_erased_account_has_no_trail_and_neither_has_whoever_comes_after(scene: Scene) -> None:
    scene.give("support", "marketing")
    for purpose in ("support", "marketing"):
        read(scene, purpose)
    scene.store.access(ACCOUNT)
    scene.store.erase(ACCOUNT)
    assert scene.store.audit.account(ACCOUNT) == []
    assert scene.store.audit.account("nobody") == []
    scene.give("support")
    assert asked(scene) == []


def test_a_trail_stays_in_the_days_of_grace(scene: Scene) -> None:
    """The lifetime is over and nothing is shown any more; the key is still there, and so is what it tells."""
    scene.give("marketing")
    read(scene, "marketing")
    scene.clock.move(days=105)
    read(scene, "marketing")
    assert [trace[1] for trace in asked(scene)] == ["read"]
    scene.clock.move(days=10)
    scene.store.upkeep.expire_consents(attended=True)
    assert [trace[1] for trace in asked(scene)] == ["audit-read"]


@pytest.mark.parametrize("account", ["", " x", "x\n", "x" * 257])
def test_a_bad_account_or_actor_is_an_error_without_a_leaf(scene: Scene, account: str) -> None:
    before = len(scene.leaves())
    with pytest.raises(cp.InvalidAccount):
        scene.store.audit.account(account)
    with pytest.raises(cp.InvalidActor):
        scene.store.audit.account(ACCOUNT, actor="nobody")
    with pytest.raises(cp.InvalidActor):
        scene.store.audit.actor("nobody")
    with pytest.raises(cp.InvalidActor):
        scene.store.audit.actor(AGENT, actor="nobody")
    assert len(scene.leaves()) == before


def test_a_trail_that_was_tampered_with_is_a_corrupt_record(scene: Scene) -> None:
    scene.give()
    read(scene, "support")
    scene.store._session.ground.files.data.execute("UPDATE trail SET sealed = zeroblob(length(sealed))")
    with pytest.raises(cp.CorruptRecord):
        scene.store.audit.account(ACCOUNT)


def test_what_is_shown_of_a_trail_withholds_it(scene: Scene) -> None:
    scene.give()
    read(scene, "support", reason="canary reason")
    (trace, _) = scene.store.audit.account(ACCOUNT, actor="officer:canary")
    assert "canary" not in repr(trace) + str(trace) + f"{[trace]}"
    assert "agent" not in repr(trace)


# ---- of an actor -------------------------------------------------------------------------------------------


def test_the_actor_book_tells_what_one_actor_did(scene: Scene) -> None:
    scene.give()
    read(scene, "support", reason="ticket 1")
    read(scene, "support", account="nobody", reason="ticket 2")
    with pytest.raises(cp.RoleNotAllowed), scene.store.view("marketing", AGENT, "curious"):
        raise AssertionError("it was let in")
    scene.store.access(ACCOUNT, actor="officer:1")
    assert told(list(scene.store.audit.actor(AGENT))) == [
        (AGENT, "read", "support", "ticket 1"),
        (AGENT, "read", "support", "ticket 2"),
        (AGENT, "read-refused", "marketing", "curious"),
    ]
    assert told(list(scene.store.audit.actor("officer:1"))) == [("officer:1", "accessed", "", "")]
    assert list(scene.store.audit.actor("support-agent:1")) == []
    assert list(scene.store.audit.actor("marketer:17")) == []


def test_looking_into_the_book_is_in_the_book(scene: Scene) -> None:
    list(scene.store.audit.actor(AGENT, actor="officer:5"))
    assert [trace.operation for trace in scene.store.audit.actor("officer:5")] == ["audit-read"]


def test_the_book_outlives_the_account_and_names_none(scene: Scene) -> None:
    scene.give(account="canary-account")
    scene.store.record(event(account="canary-account", device="canary-device"))
    read(scene, "support", account="canary-account", reason="ticket 1")
    scene.store.erase("canary-account", actor="officer:1", reference="request 1")
    (trace,) = scene.store.audit.actor(AGENT)
    assert (trace.operation, trace.purpose, trace.reason, trace.at) == ("read", "support", "ticket 1", NOW)
    assert [trace.operation for trace in scene.store.audit.actor("officer:1")] == ["erased"]
    session = scene.store._session
    for sequence, sealed in session.ground.log.actors(0):
        plain = session.keys.open_record(RecordType.ACTOR_BOOK, sequence, sealed)
        assert b"canary" not in plain
        assert session.tag("canary-account") not in plain


def test_the_book_is_asked_for_a_time(scene: Scene) -> None:
    scene.give()
    for number in range(5):
        read(scene, "support", reason=f"ticket {number}")
        scene.clock.move(hours=1)
    found = scene.store.audit.actor(AGENT, since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=3))
    assert [trace.reason for trace in found] == ["ticket 1", "ticket 2"]
    found = scene.store.audit.actor(AGENT, since=NOW + timedelta(hours=4))
    assert [trace.reason for trace in found] == ["ticket 4"]
    assert list(scene.store.audit.actor(AGENT, until=NOW)) == []


def test_a_time_without_a_zone_is_an_error(scene: Scene) -> None:
    before = len(scene.leaves())
    naive = datetime(2024, 3, 15, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(cp.InputError, match="time zone"):
        scene.store.audit.actor(AGENT, since=naive)
    with pytest.raises(cp.InputError, match="time zone"):
        scene.store.audit.actor(AGENT, until=naive)
    assert len(scene.leaves()) == before


def test_a_long_book_is_read_in_pages(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.give()
    for number in range(7):
        read(scene, "support", reason=f"ticket {number}")
    monkeypatch.setattr(tracing, "PAGE", 3)
    found = scene.store.audit.actor(AGENT)
    assert next(found).reason == "ticket 0"
    read(scene, "support", reason="meanwhile")
    assert [trace.reason for trace in found] == [*(f"ticket {number}" for number in range(1, 7)), "meanwhile"]


def test_an_entry_of_the_book_opens_at_its_own_leaf_alone(scene: Scene) -> None:
    scene.give()
    read(scene, "support", reason="first")
    read(scene, "support", reason="second")
    data = scene.store._session.ground.files.data
    (first, one), (second, other) = data.execute("SELECT leaf, sealed FROM actor_book ORDER BY leaf").fetchall()
    data.execute("UPDATE actor_book SET sealed = ? WHERE leaf = ?", (other, first))
    data.execute("UPDATE actor_book SET sealed = ? WHERE leaf = ?", (one, second))
    with pytest.raises(cp.CorruptRecord):
        list(scene.store.audit.actor(AGENT))
