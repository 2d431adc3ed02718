"""Reading: one purpose, one actor, a trace of every read, and None that never says why."""

from __future__ import annotations

from datetime import timedelta

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, AGENT, NOW, PURPOSES, READERS, Scene, event


def unknown(scene: Scene) -> None:
    """Nobody of that name."""


def refused(scene: Scene) -> None:
    scene.store.refuse_consent(ACCOUNT, ["support"])


def withdrawn(scene: Scene) -> None:
    consented(scene)
    scene.store.withdraw_consent(ACCOUNT, ["support"])


def invalidated(scene: Scene) -> None:
    consented(scene)
    scene.store.invalidate_consent(ACCOUNT, ["support"])


def expired(scene: Scene) -> None:
    consented(scene)
    scene.clock.move(days=365)


def erased(scene: Scene) -> None:
    consented(scene)
    scene.store.erase(ACCOUNT)


def suppressed(scene: Scene) -> None:
    consented(scene)
    scene.store.suppress(ACCOUNT, "deceased")


def consented_elsewhere(scene: Scene) -> None:
    scene.give("marketing")


def consented(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(at=scene.clock.now))


@pytest.mark.parametrize(
    "before", [unknown, refused, withdrawn, invalidated, expired, erased, suppressed, consented_elsewhere]
)
def test_none_is_the_same_for_everybody_and_so_is_the_leaf(scene: Scene, before: object) -> None:
    """Who reads cannot tell an account that was never there from one that said no, or that was erased."""
    assert callable(before)
    before(scene)
    first = len(scene.leaves())
    with scene.store.view("support", AGENT, "ticket") as view:
        assert view.profile(ACCOUNT) is None
        assert view.events(ACCOUNT) is None
    leaves = scene.leaves()[first:]
    assert [(leaf.operation, leaf.purpose, leaf.role, list(leaf.facts)) for leaf in leaves] == [
        ("read", "support", "support-agent", ["commitment"])
    ] * 2


def test_consent_in_force_without_events_is_an_empty_profile(scene: Scene) -> None:
    scene.give()
    profile = scene.profile()
    assert profile is not None
    assert (profile.events, profile.first_seen, dict(profile.kinds), scene.events()) == (0, None, {}, [])


def test_a_purpose_sees_only_its_own_compartment(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("login", platform="mobile"))
    scene.store.record(event("purchase", acquisition="email", total=3))
    profiles = {purpose: scene.profile(purpose) for purpose in PURPOSES}
    kinds = {purpose: dict(profile.kinds) for purpose, profile in profiles.items() if profile is not None}
    assert kinds == {"support": {"login": 1, "purchase": 1}, "marketing": {"purchase": 1}, "planning": {"login": 1}}
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    assert scene.profile("support") is None
    assert scene.profile("marketing") == profiles["marketing"]


def test_retention_is_enforced_on_reading_without_anything_having_been_destroyed(scene: Scene) -> None:
    """Support keeps three months: on the first of July in Berlin all of March goes at once."""
    scene.give()
    scene.store.record(event(at=NOW))
    scene.clock.now = NOW.replace(month=6, day=30, hour=21, minute=59, second=59)
    profile = scene.profile()
    assert profile is not None
    assert profile.events == 1
    scene.clock.move(seconds=1)
    profile = scene.profile()
    assert profile is not None
    assert (profile.events, scene.events()) == (0, [])
    assert scene.store.check().rows["block"] == 1


# ---- who may ------------------------------------------------------------------------------------

NOT_READERS = {
    "another purpose's reader": ("support", "marketer:3", cp.RoleNotAllowed, ("support", "marketer")),
    "the app itself": ("support", "app:login", cp.RoleNotAllowed, ("support", "app")),
    "an officer": ("support", "officer:ada", cp.RoleNotAllowed, ("support", "officer")),
    "an undeclared role": ("support", "intruder:1", cp.RoleNotAllowed, ("support", "")),
    "an undeclared purpose": ("resale", AGENT, cp.UndeclaredPurpose, ("", "support-agent")),
}


@pytest.mark.parametrize(("purpose", "actor", "error", "noted"), NOT_READERS.values(), ids=NOT_READERS)
def test_a_refused_read_is_an_error_with_a_leaf_that_repeats_nothing_undeclared(
    scene: Scene, purpose: str, actor: str, error: type[cp.AccessDenied], noted: tuple[str, str]
) -> None:
    first = len(scene.leaves())
    books = scene.store.check().rows["actor_book"]
    with pytest.raises(error), scene.store.view(purpose, actor, "curiosity"):
        pytest.fail("the view opened")
    (leaf,) = scene.leaves()[first:]
    assert (leaf.operation, leaf.purpose, leaf.role, leaf.facts) == ("read-refused", *noted, {})
    assert scene.store.check().rows["actor_book"] == books + 1


@pytest.mark.parametrize(
    "actor", ["", "support-agent", "support-agent:", ":17", "support-agent:1\n7", "a:" + "x" * 255]
)
def test_an_actor_that_is_none_is_refused_before_anything_is_noted(scene: Scene, actor: str) -> None:
    before = scene.leaves()
    with pytest.raises(cp.InvalidActor), scene.store.view("support", actor):
        pytest.fail("the view opened")
    assert scene.leaves() == before


@pytest.mark.parametrize("reason", ["a\nb", "x" * 257])
def test_a_reason_is_short_and_printable(scene: Scene, reason: str) -> None:
    with pytest.raises(cp.InputError), scene.store.view("support", AGENT, reason):
        pytest.fail("the view opened")


def test_an_account_that_is_none_is_refused_without_a_read(scene: Scene) -> None:
    with scene.store.view("support", AGENT) as view:
        before = scene.leaves()
        with pytest.raises(cp.InvalidAccount):
            view.profile("")
    assert scene.leaves() == before


# ---- the trace ----------------------------------------------------------------------------------


def test_a_read_leaves_a_leaf_a_trail_entry_and_an_entry_of_the_actor_book(scene: Scene) -> None:
    consented(scene)
    before = scene.store.check().rows
    scene.clock.move(seconds=7)
    with scene.store.view("support", AGENT, "ticket 9") as view:
        view.profile(ACCOUNT)
    after = scene.store.check().rows
    assert (after["trail"] - before["trail"], after["actor_book"] - before["actor_book"]) == (1, 1)
    (trace,) = scene.store.access(ACCOUNT).compartments["support"].trail
    assert (trace.at, trace.actor, trace.operation, trace.reason) == (
        NOW + timedelta(seconds=7), AGENT, "read", "ticket 9",
    )  # fmt: skip


def test_a_read_of_nobody_is_in_the_actor_book_but_in_no_trail(scene: Scene) -> None:
    before = scene.store.check().rows
    scene.profile()
    after = scene.store.check().rows
    assert (after["trail"], after["actor_book"]) == (before["trail"], before["actor_book"] + 1)


def test_two_reads_of_one_account_have_commitments_that_do_not_match(scene: Scene) -> None:
    consented(scene)
    scene.profile()
    scene.profile()
    commitments = [leaf.facts["commitment"] for leaf in scene.leaves() if leaf.operation == "read"]
    assert len(set(commitments)) == 2


def test_the_trace_is_committed_before_the_plaintext_is_handed_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that fails on the way has been noted all the same."""
    consented(scene)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("consentprofile.usecases.reading.open_blocks", fail)
    first = len(scene.leaves())
    with pytest.raises(RuntimeError):
        scene.profile()
    assert [leaf.operation for leaf in scene.leaves()[first:]] == ["read"]


def test_events_and_profile_tell_the_same_in_order_of_time_and_repeats_nothing(scene: Scene) -> None:
    scene.give()
    for minute in (2, 0, 1):
        scene.clock.now = NOW + timedelta(minutes=3)
        scene.store.record(event(at=NOW + timedelta(minutes=minute), id=f"e-{minute}", platform="mobile"))
    events, profile = scene.events(), scene.profile()
    assert events is not None
    assert profile is not None
    assert [stored.at for stored in events] == [NOW + timedelta(minutes=minute) for minute in range(3)]
    assert (profile.events, profile.first_seen, profile.last_seen) == (3, events[0].at, events[-1].at)


def test_a_view_says_what_it_is_bound_to_and_nothing_else(scene: Scene) -> None:
    for purpose, actor in READERS.items():
        with scene.store.view(purpose, actor) as view:
            assert view.purpose == purpose
            assert repr(view) == f"<View of {purpose!r}>"


def test_nothing_that_is_read_shows_itself_in_a_log_line(scene: Scene) -> None:
    scene.give()
    scene.store.record(event("purchase", platform="mobile", total=77, device="d-canary"))
    shown = repr((scene.profile(), scene.events(), scene.store.access(ACCOUNT), scene.state().history))
    for secret in ("mobile", "77", "canary", ACCOUNT, "signup"):
        assert secret not in shown
