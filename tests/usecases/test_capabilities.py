"""Capabilities: what is issued, what a service reads and records with one, and what everybody else notices of it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.usecases import rotation
from tests.format import decoder
from tests.usecases.scene import ACCOUNT, AGENT, POLICY, PURPOSES, Scene, event

CHEAP = cp.Passphrase("correct horse battery", memory_kib=19 * 1024, iterations=2, lanes=1)


def issue(scene: Scene, *purposes: str, role: str = "support-agent", name: str = "cap") -> cp.Capability:
    """A capability for these purposes; for support where none is named."""
    scene.store.issue_capability(scene.folder / name, purposes or "support", role)
    return cp.Capability(scene.folder / name)


def opened(scene: Scene, *purposes: str, role: str = "support-agent") -> cp.Store:
    """The store, opened by a new capability beside the one that has its key."""
    name = f"cap-{len(list(scene.folder.iterdir()))}"
    return cp.Store.open(scene.folder / "store", key=issue(scene, *purposes, role=role, name=name), clock=scene.clock)


@pytest.fixture
def service(scene: Scene) -> Iterator[cp.Store]:
    """A service that holds "support" alone, on a store with an account that consented to everything."""
    scene.give(*PURPOSES)
    scene.store.record(event("purchase", id="e-1", platform="desktop", device="d-1", acquisition="email", total=5))
    with opened(scene) as store:
        yield store


# ---- issuing ----------------------------------------------------------------------------------------


def test_a_capability_is_a_file_of_its_owner_alone_with_the_keys_of_its_purposes(scene: Scene) -> None:
    before = os.umask(0)
    try:
        issued = scene.store.issue_capability(scene.folder / "cap", ["planning", "support"], "app")
    finally:
        os.umask(before)
    path = scene.folder / "cap"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = decoder.open_capability(path.read_text())
    assert (found.role, found.epoch, found.id.hex()) == ("app", 1, issued.id)
    assert set(found.keys) == {"index", "purpose:planning", "purpose:support"}
    assert (issued.purposes, issued.role, issued.epoch) == (("support", "planning"), "app", 1)
    assert sorted(one.name for one in scene.folder.iterdir()) == ["cap", "key", "store"]


def test_each_purpose_that_it_opens_stands_in_the_log_and_in_the_actor_book(scene: Scene) -> None:
    issued = scene.store.issue_capability(scene.folder / "cap", PURPOSES, "app", actor="officer:7")
    leaves = [leaf for leaf in scene.leaves() if leaf.operation == "capability-issued"]
    assert [(leaf.purpose, leaf.role, leaf.facts) for leaf in leaves] == [
        (purpose, "app", {"capability": issued.id}) for purpose in PURPOSES
    ]
    assert tuple(leaf.sequence for leaf in leaves) == issued.leaves
    told = [(trace.leaf, trace.operation, trace.purpose) for trace in scene.store.audit.actor("officer:7")]
    assert told == [(leaf.sequence, leaf.operation, leaf.purpose) for leaf in leaves]


def test_two_capabilities_have_two_ids(scene: Scene) -> None:
    first, second = (scene.store.issue_capability(scene.folder / name, "support", "app").id for name in "ab")
    assert first != second


def test_a_capability_can_be_sealed_by_a_passphrase(scene: Scene) -> None:
    scene.give()
    scene.store.issue_capability(scene.folder / "cap", "support", "support-agent", passphrase=CHEAP)
    key = cp.Capability(scene.folder / "cap", passphrase=CHEAP)
    path = scene.folder / "store"
    with cp.Store.open(path, key=key, clock=scene.clock) as store, store.view("support", AGENT) as view:
        assert view.profile(ACCOUNT) is not None
    for wrong in (None, cp.Passphrase("another passphrase")):
        with pytest.raises(cp.KeyFault):
            cp.Store.open(path, key=cp.Capability(scene.folder / "cap", passphrase=wrong))


REFUSED: dict[str, tuple[tuple[str, ...], str, str, cp.Passphrase | None, type[cp.ConsentProfileError]]] = {
    "no purpose": ((), "app", "cap", None, cp.InputError),
    "an undeclared purpose": (("support", "canary"), "app", "cap", None, cp.UndeclaredPurpose),
    "an unknown role": (("support",), "canary", "cap", None, cp.RoleNotAllowed),
    "a role that neither reads nor records": (("support",), "marketer", "cap", None, cp.RoleNotAllowed),
    "a role that reads one of two": (("support", "planning"), "support-agent", "cap", None, cp.RoleNotAllowed),
    "a file that is there": (("support",), "app", "key", None, cp.InputError),
    "a link to nothing": (("support",), "app", "link", None, cp.InputError),
    "a folder that is not there": (("support",), "app", "nowhere/cap", None, cp.StoreFault),
    "in the store's directory": (("support",), "app", "store/cap", None, cp.InputError),
    "a short passphrase": (("support",), "app", "cap", cp.Passphrase("hunter2hunt"), cp.KeyUnavailable),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_issued_changes_nothing(
    scene: Scene, case: tuple[tuple[str, ...], str, str, cp.Passphrase | None, type[cp.ConsentProfileError]]
) -> None:
    purposes, role, name, passphrase, error = case
    (scene.folder / "link").symlink_to(scene.folder / "elsewhere")
    before = scene.leaves(), sorted(scene.folder.iterdir()), (scene.folder / "key").read_text()
    with pytest.raises(error) as caught:
        scene.store.issue_capability(scene.folder / name, purposes, role, passphrase=passphrase)
    assert type(caught.value) is error
    assert "canary" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert (scene.leaves(), sorted(scene.folder.iterdir()), (scene.folder / "key").read_text()) == before


def test_a_file_that_cannot_be_written_was_issued_in_the_log_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One leaf too many is harmless; a file without its leaf would be a secret."""
    seen: list[tuple[str, str]] = []

    def no_room(target: Path, text: str) -> None:
        seen.append((scene.leaves()[-1].operation, target.read_text()))
        raise cp.StoreFault("the file cannot be written: No space left on device")

    monkeypatch.setattr("consentprofile.usecases.capabilities.fill", no_room)
    with pytest.raises(cp.StoreFault):
        issue(scene)
    assert seen == [("capability-issued", "")]
    assert sorted(one.name for one in scene.folder.iterdir()) == ["key", "store"]


def test_a_capability_issues_none(scene: Scene, service: cp.Store) -> None:
    with pytest.raises(cp.BeyondCapability):
        service.issue_capability(scene.folder / "another", "support", "support-agent")
    assert not (scene.folder / "another").exists()


# ---- reading ----------------------------------------------------------------------------------------


def test_a_service_reads_its_purpose_as_the_store_does(scene: Scene, service: cp.Store) -> None:
    with service.view("support", AGENT, "ticket 1") as view:
        assert view.profile(ACCOUNT) == scene.profile()
        assert view.events(ACCOUNT) == scene.events()
        assert view.profile("nobody") is None


def test_what_a_service_reads_leaves_the_traces_of_every_read(scene: Scene, service: cp.Store) -> None:
    with service.view("support", AGENT, "ticket 1") as view:
        view.profile(ACCOUNT)
    leaf = scene.leaves()[-1]
    assert (leaf.operation, leaf.purpose, leaf.role) == ("read", "support", "support-agent")
    (trace,) = scene.store.audit.account(ACCOUNT)[:1]
    assert (trace.leaf, trace.actor, trace.reason) == (leaf.sequence, AGENT, "ticket 1")
    (entry,) = scene.store.audit.actor(AGENT)
    assert (entry.leaf, entry.operation, entry.purpose, entry.reason) == (leaf.sequence, "read", "support", "ticket 1")
    assert [trace.actor for trace in scene.store.access(ACCOUNT).compartments["support"].trail] == [AGENT]
    scene.store.audit.verify()
    assert scene.store.check().findings == ()


NOT_ADMITTED: dict[str, tuple[str, str, type[cp.ConsentProfileError], str, str]] = {
    "a purpose that it does not hold": ("marketing", "marketer:1", cp.BeyondCapability, "marketing", "marketer"),
    "that purpose, in its own role": ("marketing", AGENT, cp.BeyondCapability, "marketing", "support-agent"),
    "its purpose, in another role": ("support", "marketer:1", cp.RoleNotAllowed, "support", "marketer"),
    "its purpose, as the officer": ("support", "officer:1", cp.RoleNotAllowed, "support", "officer"),
    "an undeclared purpose": ("resale", AGENT, cp.UndeclaredPurpose, "", "support-agent"),
}


@pytest.mark.parametrize("case", NOT_ADMITTED.values(), ids=NOT_ADMITTED)
def test_who_is_not_admitted_is_refused_with_a_leaf(
    scene: Scene, service: cp.Store, case: tuple[str, str, type[cp.ConsentProfileError], str, str]
) -> None:
    purpose, actor, error, named, role = case
    with pytest.raises(error) as caught, service.view(purpose, actor):
        pytest.fail("the view opened")
    assert type(caught.value) is error
    leaf = scene.leaves()[-1]
    assert (leaf.operation, leaf.purpose, leaf.role) == ("read-refused", named, role)
    (entry,) = [trace for trace in scene.store.audit.actor(actor) if trace.leaf == leaf.sequence]
    assert (entry.operation, entry.purpose) == ("read-refused", named)


def test_a_capability_says_which_purpose_it_does_not_open(service: cp.Store) -> None:
    message = "this capability does not open the purpose 'marketing'"
    with pytest.raises(cp.BeyondCapability, match=message), service.view("marketing", "marketer:1"):
        pytest.fail("the view opened")


def test_the_role_is_pinned_even_where_the_policy_would_admit_another(scene: Scene) -> None:
    """A capability to record does not read, although the policy has readers for the purpose."""
    scene.give()
    with opened(scene, role="app") as store, pytest.raises(cp.RoleNotAllowed), store.view("support", AGENT):
        pytest.fail("the view opened")


# ---- recording --------------------------------------------------------------------------------------


def test_a_service_of_the_app_records_for_its_purposes_alone(scene: Scene) -> None:
    scene.give(*PURPOSES)
    with opened(scene, "support", "planning", role="app") as store:
        assert store.record(event(id="e-1", platform="desktop")) == {"support": "recorded", "planning": "recorded"}
        assert store.statistics() == {"support": {"recorded": 1}, "planning": {"recorded": 1}}
    with opened(scene, "marketing", role="app") as store:
        assert store.record(event("purchase", id="e-2")) == {"marketing": "recorded"}
    found = {purpose: scene.events(purpose) for purpose in PURPOSES}
    assert {purpose: [one.kind for one in events or []] for purpose, events in found.items()} == {
        "support": ["login"],
        "planning": ["login"],
        "marketing": ["purchase"],
    }
    assert scene.store.statistics() == {purpose: {"recorded": 1} for purpose in PURPOSES}
    assert [leaf.role for leaf in scene.leaves() if leaf.operation == "recorded"] == ["app", "app"]


@pytest.mark.parametrize("workers", [0, 1])
def test_many_events_are_recorded_for_its_purposes_alone(scene: Scene, workers: int) -> None:
    scene.give(*PURPOSES)
    with opened(scene, role="app") as store:
        told = store.record_many([event("purchase", id=f"e-{n}") for n in range(30)], batch_size=10, workers=workers)
    assert told.outcomes == {"support": {"recorded": 30}}
    assert len(scene.events() or ()) == 30
    assert scene.events("marketing") == []
    scene.store.audit.verify()
    assert scene.store.check().findings == ()


def test_no_consent_stays_no_consent(scene: Scene) -> None:
    scene.give("marketing")
    with opened(scene, role="app") as store:
        assert store.record(event(account=ACCOUNT)) == {"support": "no_consent"}
        assert store.record(event(account="nobody")) == {"support": "no_consent"}


def test_a_suppression_reaches_a_service(scene: Scene, service: cp.Store) -> None:
    scene.store.suppress(ACCOUNT, "deceased")
    with service.view("support", AGENT) as view:
        assert view.profile(ACCOUNT) is None
    with opened(scene, role="app") as store:
        assert store.record(event()) == {"support": "suppressed"}


def test_who_only_reads_records_nothing(scene: Scene, service: cp.Store) -> None:
    before = scene.leaves(), scene.store.statistics()
    for attempt in (lambda: service.record(event()), lambda: service.record_many([event()])):
        with pytest.raises(cp.RoleNotAllowed, match="'app'"):
            attempt()
    assert (scene.leaves(), scene.store.statistics()) == before


# ---- living with it ---------------------------------------------------------------------------------


def test_what_is_withdrawn_and_given_anew_is_so_for_a_service(scene: Scene, service: cp.Store) -> None:
    with service.view("support", AGENT) as view:
        scene.store.withdraw_consent(ACCOUNT, ["support"])
        assert view.profile(ACCOUNT) is None
        scene.give()
        found = view.profile(ACCOUNT)
        assert found is not None
        assert found.events == 0
        scene.store.erase(ACCOUNT)
        assert view.profile(ACCOUNT) is None


def test_compaction_by_a_service_merges_what_it_opens_and_moves_the_rest(scene: Scene) -> None:
    scene.give(*PURPOSES)
    for number in range(12):
        scene.store.record(event("purchase", id=f"e-{number}", device="d-1"))
        scene.clock.move(minutes=1)
    before = {purpose: scene.events(purpose) for purpose in PURPOSES}
    with opened(scene) as store:
        done = store.upkeep.compact(everything=True)
    assert (done.merged, done.sealed) == (12, 1)
    assert {purpose: scene.events(purpose) for purpose in PURPOSES} == before
    assert scene.store.upkeep.compact(everything=True).merged == 12
    assert {purpose: scene.events(purpose) for purpose in PURPOSES} == before
    scene.store.audit.verify()
    assert scene.store.check().findings == ()


def test_a_service_finishes_what_a_crash_left_pending(scene: Scene) -> None:
    """It takes no keys, so whoever comes next does it."""
    scene.give(*PURPOSES)
    key = issue(scene)

    class Died(BaseException):
        pass

    def die(step: str) -> None:
        if step == "noted":
            raise Died

    pending = scene.store._session.ground.pending
    pending._observe = die
    with pytest.raises(Died):
        scene.store.erase(ACCOUNT)
    del pending._observe
    with cp.Store.open(scene.folder / "store", key=key, clock=scene.clock) as store:
        assert [leaf.operation for leaf in store.audit.log()][-1] == "erased"
    assert not scene.store._session.ground.pending.is_noted()
    scene.store.audit.verify()


def test_the_head_is_signed_by_the_next_who_has_the_key(scene: Scene, service: cp.Store) -> None:
    signed = scene.store.audit.checkpoint()
    with service.view("support", AGENT) as view:
        view.profile(ACCOUNT)
    service.close()
    session = scene.store._session
    with session.ground.files.reading():
        newest = session.ground.heads.newest()
    assert newest is not None
    assert newest.note == signed
    scene.store.close()
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    assert scene.store.audit.verify().size > newest.size


# ---- the end of it ----------------------------------------------------------------------------------


def test_a_capability_ends_when_the_keys_are_rotated(scene: Scene, service: cp.Store) -> None:
    """At once for whoever has the store open with it, and for good; a new one opens what the old one did."""
    with service.view("support", AGENT) as view:
        before = view.profile(ACCOUNT)
        with opened(scene, role="app") as recorder:
            scene.store.rotate_keys(cp.KeyFile(scene.folder / "second key"))
            leaves = scene.leaves()
            attempts = (lambda: view.profile(ACCOUNT), lambda: recorder.record(event()), service.upkeep.step)
            for attempt in attempts:
                with pytest.raises(cp.KeysRotated):
                    attempt()
    service.close()
    for key in scene.folder.glob("cap-*"):
        with pytest.raises(cp.KeysRotated, match="this capability has ended: the keys were rotated"):
            cp.Store.open(scene.folder / "store", key=cp.Capability(key), clock=scene.clock)
    assert [leaf.operation for leaf in scene.leaves()[len(leaves) :]] == []
    with opened(scene) as store, store.view("support", AGENT) as view:
        assert view.profile(ACCOUNT) == before
    scene.store.audit.verify()
    assert scene.store.check().findings == ()


def test_what_a_service_wrote_into_the_actor_book_outlives_a_rotation(scene: Scene, service: cp.Store) -> None:
    with service.view("support", AGENT, "ticket 1") as view:
        view.profile(ACCOUNT)
    service.close()
    for name in ("second", "third"):
        scene.store.rotate_keys(cp.KeyFile(scene.folder / name))
        (entry,) = scene.store.audit.actor(AGENT)
        assert (entry.operation, entry.purpose, entry.reason) == ("read", "support", "ticket 1")


def test_none_is_issued_while_a_rotation_is_unfinished(scene: Scene) -> None:
    """It would hold the new keys, and meet slots that the former ones still wrap."""
    scene.give()
    rotation.begin(scene.store._session, cp.KeyFile(scene.folder / "second key"))
    with pytest.raises(cp.InputError, match="unfinished"):
        issue(scene)
    assert not (scene.folder / "cap").exists()
    scene.store.resume_rotation()
    with opened(scene) as store, store.view("support", AGENT) as view:
        assert view.profile(ACCOUNT) is not None


def test_none_opens_a_keyring_that_was_restored_from_amid_a_rotation_before_that_is_finished(scene: Scene) -> None:
    """Some keys are still wrapped by the former key of the purpose, which no capability holds."""
    key, backup = cp.KeyFile(scene.folder / "new.key"), scene.folder / "keys.backup"
    scene.give()
    scene.store.record(event(id="e-1"))
    rotation.begin(scene.store._session, key)
    scene.key = key
    scene.reopen()
    scene.store.back_up_keyring(backup)
    scene.store.resume_rotation()
    cap = issue(scene)
    scene.store.close()
    (scene.folder / "store" / "keys.db").unlink()
    cp.Store.restore(scene.folder / "store", key=key, keyring=backup, clock=scene.clock)
    with pytest.raises(cp.KeysRotated, match="--resume"):
        cp.Store.open(scene.folder / "store", key=cap, clock=scene.clock)
    scene.reopen()
    assert scene.events() is not None
    scene.store.resume_rotation()
    with (
        cp.Store.open(scene.folder / "store", key=cap, clock=scene.clock) as service,
        service.view("support", AGENT) as view,
    ):
        assert len(view.events(ACCOUNT) or ()) == 1


def test_the_status_of_the_keys_tells_of_each_capability_until_it_ends(scene: Scene) -> None:
    issue(scene, "support", "planning", role="app")
    copies = scene.store.key_status().copies
    assert [(copy.what, copy.purpose, copy.role) for copy in copies] == [
        ("capability", "support", "app"),
        ("capability", "planning", "app"),
    ]
    scene.store.rotate_keys(cp.KeyFile(scene.folder / "second key"))
    assert scene.store.key_status().copies == ()


def test_no_epoch_begins_with_a_capability(scene: Scene) -> None:
    key = issue(scene)
    before = scene.leaves()
    with pytest.raises(cp.KeyUnavailable):
        scene.store.rotate_keys(key)
    assert scene.leaves() == before


def test_an_asynchronous_service_opens_what_it_holds(scene: Scene) -> None:
    async def read() -> cp.Profile | None:
        async with await cp.AsyncStore.open(scene.folder / "store", key=key, clock=scene.clock) as store:
            with pytest.raises(cp.BeyondCapability):
                await store.erase(ACCOUNT)
            with pytest.raises(cp.BeyondCapability):
                await store.issue_capability(scene.folder / "another", "support", "support-agent")
            async with store.view("support", AGENT) as view:
                return await view.profile(ACCOUNT)

    scene.give()
    key = issue(scene)
    assert asyncio.run(read()) == scene.profile()


def test_the_store_is_open_to_a_service_under_its_policy_only(scene: Scene, service: cp.Store) -> None:
    assert service.policy == scene.store.policy
    assert repr(service) == "<Store, open>"


def test_a_changed_policy_binds_a_service_too(scene: Scene, service: cp.Store) -> None:
    """The keys stay, and so does the capability; who may read is the policy's to say, from the next opening on."""
    key = issue(scene)
    narrower = POLICY.replace('readers = ["support-agent"]', "readers = []")
    assert narrower != POLICY
    (scene.folder / "policy.toml").write_text(narrower)
    scene.store.apply_policy(scene.folder / "policy.toml", key=scene.key)
    with pytest.raises(cp.PolicyChanged), service.view("support", AGENT) as view:
        view.profile(ACCOUNT)
    reopened = cp.Store.open(scene.folder / "store", key=key, clock=scene.clock)
    with reopened as store, pytest.raises(cp.RoleNotAllowed), store.view("support", AGENT):
        pytest.fail("the view opened")
