"""Changing the policy: at once where it narrows, with consent where it widens, and never half."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import consentprofile as cp
from consentprofile.model.policy_file import read_policy
from consentprofile.store.tables import DataFile
from consentprofile.upkeep import Upkeep
from consentprofile.usecases import compaction
from consentprofile.usecases.session import Session
from tests.support.people import edit, look
from tests.usecases.changes import ANALYTICS, FEWER, LATER, READER, apply, asking_anew, edited
from tests.usecases.scene import ACCOUNT, AGENT, NOW, POLICY, Scene, event

NARROWER: Final = edited(FEWER)
WIDER: Final = asking_anew("support", READER)
PLANNER: Final = "planner:1"

STEPS: Final = ("noted", "applied", "cleared")


class Stopped(BaseException):
    """The process ended here."""


def crash(scene: Scene, step: str, act: Callable[[], object]) -> None:
    """Let the process end at ``step``, as far as the files can tell."""

    def observe(reached: str) -> None:
        if reached == step:
            raise Stopped

    scene.store._session.ground.pending._observe = observe
    with pytest.raises(Stopped):
        act()
    scene.store._session.ground.files.close()
    scene.store._opened = None


def fields(scene: Scene, account: str = ACCOUNT) -> list[set[str]]:
    """The names of the fields of the events, in the order of time."""
    return [set(one.fields) for one in scene.events(account=account) or ()]


def as_planner(scene: Scene, account: str) -> int | None:
    """How many events a planner sees in support; None where there is no profile."""
    with scene.store.view("support", PLANNER) as view:
        profile = view.profile(account)
    return None if profile is None else profile.events


# ---- what narrows ---------------------------------------------------------------------------------


def test_what_narrows_holds_at_once_for_what_is_stored_and_what_is_recorded(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(channel="web", total=5, id="e-1"))
    applied = apply(scene, NARROWER)
    assert [(change.kind, change.where, change.accounts) for change in applied.changes] == [
        ("narrowing", "purposes.support.collect", 0)
    ]
    scene.store.record(event(channel="web", total=6, id="e-2"))
    assert fields(scene) == [{"channel"}, {"channel"}]
    profile = scene.profile()
    assert profile is not None
    assert profile.last == {}
    assert scene.store.policy.digest.hex() == applied.digest
    scene.reopen()
    assert fields(scene) == [{"channel"}, {"channel"}]
    assert scene.store.check().findings == ()


class Case(NamedTuple):
    """A change that narrows, what is looked at, and what is seen before and after."""

    edits: tuple[tuple[str, str], ...]
    seen: Callable[[Scene], object]
    before: object
    after: object


def count(scene: Scene) -> int:
    return len(scene.events() or ())


NARROWINGS: Final = {
    "fewer events": Case((("keep = 1_000", "keep = 1"),), count, 2, 1),
    "a shorter retention": Case((('retention = "3 months"', 'retention = "1 months"'),), count, 2, 1),
    "a coarser time": Case(
        (('precision = "second"', 'precision = "day"'),),
        lambda scene: [one.at.hour for one in scene.events() or ()], [12, 12], [23, 22],
    ),
    "a kind less": Case(
        (('collect = { "*" =', "collect = { login ="),),
        lambda scene: [one.kind for one in scene.events() or ()], ["support_chat", "login"], ["login"],
    ),
    "a sensitive value less": Case((('sensitive = ["topic.bereavement"]', ""),), count, 2, 1),
    "a field less": Case((FEWER,), fields, [{"topic", "rating"}, {"channel"}], [{"topic"}, {"channel"}]),
    "a value less": Case(
        (('"delivery", "bereavement"], sensitive = ["bereavement"]', '"delivery"]'),
         ('sensitive = ["topic.bereavement"]', "")),
        fields, [{"topic", "rating"}, {"channel"}], [{"rating"}, {"channel"}],
    ),
    "a lower bound": Case((("min = -2, max = 5", "min = 2, max = 5"),), fields,
        [{"topic", "rating"}, {"channel"}], [{"topic"}, {"channel"}]),
}  # fmt: skip


@pytest.mark.parametrize("case", NARROWINGS)
def test_whatever_narrows_holds_at_once_and_a_run_carries_it_out(scene: Scene, case: str) -> None:
    edits, seen, before, after = NARROWINGS[case]
    scene.give()
    scene.clock.now = datetime(2024, 5, 10, 12, 30, tzinfo=UTC)
    old = datetime(2024, 3, 20, 12, tzinfo=UTC)
    scene.store.record(event("support_chat", at=old, id="e-1", topic="bereavement", rating=1))
    scene.store.record(event("login", at=scene.clock.now, id="e-2", channel="web"))
    assert seen(scene) == before
    apply(scene, edited(*edits))
    assert seen(scene) == after
    profile = scene.profile()
    assert profile is not None
    assert profile.events == len(scene.events() or ())
    plan = scene.store.upkeep.plan_retention()
    done = scene.store.upkeep.run_retention(attended=True)
    assert (done.resealed, done.events, done.narrowed) == (1, plan.events, plan.narrowed) != (1, 0, 0)
    assert seen(scene) == after
    assert scene.profile() == profile
    # What is held is what is shown now: the rest is gone for good.
    assert scene.store.access(ACCOUNT).compartments["support"].events == scene.events()
    assert scene.store.upkeep.run_retention().resealed == 0
    assert scene.store.check().findings == ()


def test_the_log_says_which_keys_came_and_went_by_narrowing(scene: Scene) -> None:
    scene.give()
    scene.give("planning", account="acct-2")
    scene.store.record(event(rating=3))
    (key,) = scene.key_ids("consent-given")[:1]
    apply(scene, NARROWER)
    scene.store.upkeep.run_retention()
    assert scene.key_ids("narrowing-applied") == [key]
    assert len(scene.key_ids("resealed")) == 1
    assert scene.key_ids("retention-applied") == []
    assert scene.store.audit.verify().size == len(scene.leaves())


def test_what_holds_nothing_more_than_it_may_is_left_as_it_is(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(channel="web"))
    apply(scene, NARROWER)
    assert scene.store.upkeep.plan_retention().due == 0
    assert scene.store.upkeep.run_retention().resealed == 0


def test_an_unattended_run_stops_where_too_many_would_lose_everything(scene: Scene) -> None:
    scene.give()
    scene.store.record(event("support_chat", topic="delivery"))
    apply(scene, edited(('collect = { "*" =', "collect = { login =")))
    assert scene.store.upkeep.plan_retention().stopped is None  # the only compartment of a small store
    scene.give(account="acct-2")
    scene.store.record(event("purchase", account="acct-2"))
    assert scene.store.upkeep.plan_retention().due == 1


def test_a_shorter_lifetime_ends_consents_that_are_in_force(scene: Scene) -> None:
    scene.give()
    scene.store.record(event())
    scene.clock.move(days=200)
    apply(scene, edited(('lifetime = "365 days"', 'lifetime = "100 days"')))
    state = scene.state()
    assert (state.state, state.since) == ("expired", NOW + timedelta(days=100))
    assert scene.profile() is None
    assert scene.store.record(event(at=scene.clock.now))["support"] == "no_consent"
    assert scene.store.upkeep.expire_consents(attended=True).dying == 1
    scene.give()
    assert scene.state().until == scene.clock.now + timedelta(days=100)
    assert scene.store.check().findings == ()


def test_a_reader_less_is_refused_and_a_release_rule_less_lets_nothing_out(scene: Scene) -> None:
    scene.give("planning")
    apply(scene, edited(('readers = ["planner"]', "readers = []"), ("release = {", "# release = {")))
    with pytest.raises(cp.RoleNotAllowed):
        scene.profile("planning")
    spec = scene.folder / "reach.toml"
    spec.write_text('format = 1\nname = "r"\npurpose = "planning"\nmeasure = "reach"\nfrom = 2024-02-01\n'
                    'until = 2024-03-01\nzone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n')  # fmt: skip
    with pytest.raises(cp.InvalidSpec, match="no release rules"):
        scene.store.release(spec, scene.folder / "out")


# ---- what widens ----------------------------------------------------------------------------------


def test_what_widens_applies_to_those_who_consent_under_the_new_notice_and_to_nobody_else(scene: Scene) -> None:
    scene.give(account="acct-old")
    scene.give(account="acct-renewing")
    for account in ("acct-old", "acct-renewing"):
        scene.store.record(event(account=account, id="e-1"))
    key = scene.key_ids("consent-given")[1]
    apply(scene, WIDER)
    scene.give(account="acct-new")
    scene.give(account="acct-renewing")
    assert scene.state(account="acct-renewing").notice == LATER
    assert scene.state(account="acct-old").notice == "2024-01"
    assert as_planner(scene, "acct-old") is None
    assert as_planner(scene, "acct-stranger") is None
    assert as_planner(scene, "acct-new") == 0
    assert as_planner(scene, "acct-renewing") == 1  # the key is kept, and with it what was recorded
    assert key in {slot.header.key_id.hex() for slot in scene.store._session.ground.keyring.every_slot()}
    profile = scene.profile(account="acct-old")
    assert profile is not None
    assert profile.events == 1
    assert scene.store.check().findings == ()


def test_more_is_recorded_of_those_alone_who_consented_to_it(scene: Scene) -> None:
    text = asking_anew("planning", ("collect = { login = [", 'collect = { purchase = ["total"], login = ["channel", '))
    scene.give("planning", account="acct-old")
    apply(scene, text)
    scene.give("planning", account="acct-new")
    for account, said in (("acct-old", "not_collected"), ("acct-new", "recorded")):
        assert scene.store.record(event("purchase", account=account, total=7))["planning"] == said
        login = event(account=account, channel="web", platform="mobile")
        assert scene.store.record(login)["planning"] == "recorded"
    batch = [event(account=account, channel="app", platform="tablet") for account in ("acct-old", "acct-new")]
    assert scene.store.record_many(batch).outcomes["planning"] == {"recorded": 2}
    shown = {account: scene.events("planning", account) or [] for account in ("acct-old", "acct-new")}
    assert [set(one.fields) for one in shown["acct-old"]] == [{"platform"}, {"platform"}]
    assert {frozenset(one.fields) for one in shown["acct-new"]} == {
        frozenset({"total"}), frozenset({"channel", "platform"}),
    }  # fmt: skip


def test_workers_record_no_more_than_was_consented_to(scene: Scene) -> None:
    text = asking_anew("planning", ("collect = { login = [", 'collect = { login = ["channel", '))
    scene.give("planning", account="acct-old")
    apply(scene, text)
    scene.give("planning", account="acct-new")
    batch = [event(account=f"acct-{who}", channel="app", id=f"e-{n}") for who in ("old", "new") for n in range(40)]
    assert scene.store.record_many(batch, workers=1).outcomes["planning"] == {"recorded": 80}
    assert {bool(one.fields) for one in scene.events("planning", "acct-old") or ()} == {False}
    assert {bool(one.fields) for one in scene.events("planning", "acct-new") or ()} == {True}


def test_finer_times_are_those_of_later_consents_and_never_guessed(scene: Scene) -> None:
    scene.give("planning", account="acct-old")
    scene.give("planning", account="acct-renewing")
    early = NOW + timedelta(minutes=20)
    scene.clock.now = early
    for account in ("acct-old", "acct-renewing"):
        scene.store.record(event(account=account, at=early))
    apply(scene, asking_anew("planning", ('precision = "hour"', 'precision = "second"')))
    scene.clock.move(hours=30)
    scene.give("planning", account="acct-renewing")
    scene.give("planning", account="acct-new")
    for account in ("acct-old", "acct-renewing", "acct-new"):
        scene.store.record(event(account=account, at=scene.clock.now))
    newest = {account: (scene.events("planning", account) or [])[-1].at for account in
              ("acct-old", "acct-renewing", "acct-new")}  # fmt: skip
    floored = scene.clock.now.replace(minute=0, second=0)
    assert newest == {"acct-old": floored, "acct-renewing": scene.clock.now, "acct-new": scene.clock.now}
    precisions = {}
    for account in newest:
        profile = scene.profile("planning", account)
        assert profile is not None
        precisions[account] = profile.precision, profile.sessions is not None
    # Of the renewed one some events were kept to the hour: sessions would be a guess.
    assert precisions == {"acct-old": ("hour", False), "acct-renewing": ("hour", False), "acct-new": ("second", True)}


def test_a_longer_retention_and_more_events_are_for_later_consents(scene: Scene) -> None:
    scene.give("marketing", account="acct-old")
    for number in range(4):
        scene.clock.now = datetime(2024, 3, 16 + number, tzinfo=UTC)
        scene.store.record(event("purchase", at=scene.clock.now, account="acct-old", id=f"e-{number}"))
    more = ("keep = 3", "keep = 30"), ('retention = "2 months"', 'retention = "9 months"')
    apply(scene, asking_anew("marketing", *more))
    assert len(scene.events("marketing", "acct-old") or ()) == 3
    scene.clock.now = datetime(2024, 6, 15, tzinfo=UTC)
    assert scene.events("marketing", "acct-old") == []
    old = event("purchase", at=datetime(2024, 3, 30, tzinfo=UTC), account="acct-old")
    assert scene.store.record(old)["marketing"] == "past_retention"
    assert scene.store.upkeep.run_retention(attended=True).events == 4


def test_dropping_a_protection_leaves_it_to_those_who_had_it(scene: Scene) -> None:
    scene.give("marketing", account="acct-old")
    scene.store.suppress("acct-old", "do-not-contact")
    text = asking_anew("marketing", ('do-not-contact = ["marketing"]\n', ""))
    apply(scene, text)
    scene.give("marketing", account="acct-new")
    assert scene.store.record(event("purchase", account="acct-old"))["marketing"] == "suppressed"
    assert scene.profile("marketing", "acct-old") is None
    assert scene.store.record(event("purchase", account="acct-new"))["marketing"] == "recorded"
    assert scene.store.lift_suppression("acct-old", "do-not-contact")
    assert scene.profile("marketing", "acct-old") is not None
    with pytest.raises(cp.InvalidDecision):
        scene.store.suppress("acct-new", "do-not-contact")


def test_narrowing_after_widening_reaches_both(scene: Scene) -> None:
    scene.give(account="acct-old")
    apply(scene, WIDER)
    scene.give(account="acct-new")
    for account in ("acct-old", "acct-new"):
        scene.store.record(event(account=account, channel="web", total=3))
    apply(scene, edited(FEWER, text=WIDER))
    assert fields(scene, "acct-old") == fields(scene, "acct-new") == [{"channel"}]
    assert scene.store.upkeep.run_retention().resealed == 2
    assert as_planner(scene, "acct-old") is None
    assert as_planner(scene, "acct-new") == 1


def test_an_old_decision_is_imported_under_what_was_asked_then(scene: Scene) -> None:
    apply(scene, WIDER)
    scene.clock.move(days=3)
    rows = scene.decisions("2024-03-16T10:00:00Z,acct-1,give,support,2024-01,signup form",
                           f"2024-03-16T10:00:00Z,acct-2,give,support,{LATER},signup form")  # fmt: skip
    scene.store.import_consents(rows)
    assert as_planner(scene, "acct-1") is None
    assert as_planner(scene, "acct-2") == 0


def of_march(scene: Scene, asked: str, rule: str = "") -> Path:
    """The specification of a release of March for planning: the lines that say what is ``asked``, and a rule."""
    spec = scene.folder / "march.toml"
    spec.write_text(
        f'format = 1\nname = "march"\npurpose = "planning"\n{asked}\nfrom = 2024-03-01\nuntil = 2024-04-01\n'
        f'zone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n{rule}\n'
    )
    return spec


def released_of_five_and_four(scene: Scene, spec: Path) -> bytes:
    """``data.csv`` when the five who consented before and four who consent now were on a mobile.

    Four are rounded to five; all nine would be ten.
    """
    for number in range(4):
        scene.give("planning", account=f"new-{number}")
    for account in [f"old-{number}" for number in range(5)] + [f"new-{number}" for number in range(4)]:
        scene.store.record(event(account=account, platform="mobile"))
    scene.clock.now = datetime(2024, 4, 2, tzinfo=UTC)
    return scene.store.release(spec, scene.folder / "out").files["data.csv"]


def test_a_looser_release_counts_those_alone_who_consented_to_it(scene: Scene) -> None:
    spec = of_march(scene, 'measure = "reach"\nby = ["platform"]', "min_accounts = 3")
    for number in range(5):
        scene.give("planning", account=f"old-{number}")
    strict = edited(("min_accounts = 3", "min_accounts = 6"))
    apply(scene, strict)
    apply(scene, asking_anew("planning", ("min_accounts = 6", "min_accounts = 3"), text=strict))
    assert b"mobile,5" in released_of_five_and_four(scene, spec)


def test_the_order_of_events_is_told_of_those_alone_who_consented_to_times_that_fine(scene: Scene) -> None:
    spec = of_march(scene, 'measure = "transitions"\nof = "platform"')
    for number in range(5):
        scene.give("planning", account=f"old-{number}")
    with pytest.raises(cp.InvalidSpec, match="keeps times to the hour in Europe/Berlin, which does not tell the order"):
        scene.store.plan_release(spec)
    apply(scene, asking_anew("planning", ('precision = "hour"', 'precision = "second"')))
    assert b"(start),mobile,5" in released_of_five_and_four(scene, spec)


# ---- purposes that come and go --------------------------------------------------------------------


def test_a_new_purpose_has_a_key_and_consents_of_its_own(scene: Scene) -> None:
    plan = apply(scene, edited(("\n[suppression]", ANALYTICS)))
    assert [(change.kind, change.where) for change in plan.changes] == [("neutral", "purposes.analytics")]
    for _ in range(2):
        assert scene.store.record(event(platform="mobile"))["analytics"] == "no_consent"
        scene.store.give_consent(ACCOUNT, ["analytics"], notice="2024-01", method="form")
        assert scene.store.record(event(platform="mobile"))["analytics"] == "recorded"
        with scene.store.view("analytics", PLANNER) as view:
            assert view.profile(ACCOUNT) is not None
        scene.store.withdraw_consent(ACCOUNT, ["analytics"])
        scene.reopen()
    assert scene.store.check().findings == ()


def test_a_purpose_ends_when_somebody_says_so_and_its_keys_are_destroyed(scene: Scene) -> None:
    scene.give("support", "planning")
    scene.store.record(event(platform="mobile"))
    head, rest = POLICY.split("[purposes.planning]")
    text = head + rest[rest.index("[suppression]") :]
    with pytest.raises(cp.PolicyRefused, match="name it"):
        apply(scene, text)
    apply(scene, text, "planning")
    with pytest.raises(cp.UndeclaredPurpose):
        scene.profile("planning")
    assert "planning" not in scene.store.record(event())
    held = scene.store.access(ACCOUNT)
    assert (held.compartments["planning"].in_force, len(held.compartments["planning"].events)) == (False, 1)
    assert held.consents["planning"].state == "expired"
    session = scene.store._session
    number = session.purpose_numbers["planning"]
    alive = [slot for slot in session.ground.keyring.every_slot() if slot.key_held]
    (key,) = [slot.header.key_id.hex() for slot in alive if slot.header.purpose == number]
    assert scene.store.upkeep.expire_consents(attended=True).purposes == {"planning": 1}
    assert scene.key_ids("consent-expired") == [key]
    after = scene.store.access(ACCOUNT)
    assert list(after.compartments) == ["support"]
    assert [(entry.act, entry.state) for entry in after.consents["planning"].history] == [
        ("give", "given"), ("expire", "expired"),
    ]  # fmt: skip
    assert scene.store.statistics()["planning"] == {"recorded": 1}
    assert scene.store.check().findings == ()
    with pytest.raises(cp.PolicyRefused, match="has ended"):
        apply(scene, POLICY.replace("privacy@shop.example", "dpo@shop.example"))


def test_the_policy_changes_after_and_amid_a_rotation_of_the_keys(scene: Scene) -> None:
    """A purpose that comes between two epochs has a key of the one in force, and keeps it when the other is gone."""
    scene.give()
    scene.store.record(event(total=5))
    new, session = cp.KeyFile(scene.folder / "new.key"), scene.store._session

    def observe(step: str) -> None:
        if step == "cleared":
            raise Stopped

    session.ground.pending._observe = observe
    with pytest.raises(Stopped):
        scene.store.rotate_keys(new)
    session.ground.pending._observe = lambda step: None
    both = edited(FEWER, ("\n[suppression]", ANALYTICS))
    with pytest.raises(cp.WrongKey):
        apply(scene, both)
    scene.store.apply_policy(read_policy(both, "p"), key=new)
    scene.store.give_consent(ACCOUNT, ["analytics"], notice="2024-01", method="form")
    assert scene.store.record(event(platform="mobile"))["analytics"] == "recorded"
    scene.store.resume_rotation()
    scene.store.close()
    newer = cp.KeyFile(scene.folder / "newer.key")
    cp.Store.retag(scene.folder / "store", key=new, new_key=newer, clock=scene.clock)
    scene.store = cp.Store.open(scene.folder / "store", key=newer, clock=scene.clock)
    assert sorted(map(len, fields(scene))) == [0, 1]
    with scene.store.view("analytics", PLANNER) as view:
        assert len(view.events(ACCOUNT) or ()) == 1
    assert scene.store.check().findings == ()


# ---- what is refused ------------------------------------------------------------------------------


REFUSED: Final = {
    "a widening under the notice in force": edited(READER),
    "a widening under an older notice": edited(READER, ('notice = "2024-01"', 'notice = "2023-01"')),
    "another time zone": edited(('"Europe/Berlin"', '"UTC"')),
    "another text under a known version": edited(("9f86d0", "9f86d1")),
    "another currency": edited(('amount = "EUR"', 'amount = "USD"')),
    "another type": edited(("gift = { boolean = true }", 'gift = { enum = ["a"] }')),
    "an end that nobody named": POLICY.replace("[purposes.planning]", "[purposes.plans]"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_is_refused_at_its_place_and_nothing_changes(scene: Scene, why: str) -> None:
    leaves = len(scene.leaves())
    plan = scene.store.plan_policy(read_policy(REFUSED[why], "policy.toml"))
    assert plan.is_refused
    with pytest.raises(cp.PolicyRefused) as refused:
        apply(scene, REFUSED[why])
    assert refused.value.faults == plan.faults
    assert len(scene.leaves()) == leaves
    assert scene.store.policy.digest == read_policy(POLICY, "p").digest


def test_the_policy_in_force_changes_nothing(scene: Scene) -> None:
    leaves = len(scene.leaves())
    assert apply(scene, POLICY).changes == ()
    apply(scene, NARROWER)
    assert apply(scene, NARROWER).changes == ()
    assert len(scene.leaves()) == leaves + 1


def test_another_key_changes_nothing(scene: Scene) -> None:
    other = scene.folder / "other"
    other.write_text(cp.new_key_text())
    other.chmod(0o600)
    with pytest.raises(cp.WrongKey):
        scene.store.apply_policy(read_policy(NARROWER, "p"), key=cp.KeyFile(other))
    assert scene.store.policy.digest == read_policy(POLICY, "p").digest


def test_the_plan_rounds_the_accounts_and_says_nothing_of_few(scene: Scene) -> None:
    for number in range(16):
        scene.give(account=f"acct-{number}")
    scene.give("marketing", account="acct-1")
    plan = scene.store.plan_policy(read_policy(edited(FEWER, ("keep = 3", "keep = 2")), "p"))
    assert [(change.purpose, change.accounts) for change in plan.changes] == [("support", 20), ("marketing", 0)]


# ---- others at work, and crashes ------------------------------------------------------------------


def test_a_handle_from_before_records_nothing_under_the_policy_that_is_over(scene: Scene) -> None:
    """The attack: keep the store open, and go on recording a field that people were told is not kept any more."""
    scene.give()
    other = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    with other.view("support", AGENT) as view:
        apply(scene, NARROWER)
        leaves = len(scene.leaves())
        for act in (
            lambda: other.record(event(total=5)),
            lambda: other.record_many([event(total=5)]),
            lambda: other.give_consent("acct-2", ["support"], notice="2024-01", method="form"),
            lambda: view.profile(ACCOUNT),
            lambda: other.erase(ACCOUNT),
        ):
            with pytest.raises(cp.PolicyChanged, match="open the store again"):
                act()
    with pytest.raises(cp.PolicyRefused, match="was in force before"):
        other.apply_policy(read_policy(POLICY, "p"), key=scene.key)
    other.close()
    assert len(scene.leaves()) == leaves
    assert scene.events() == []
    with cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock) as again:
        assert again.record(event(total=5))["support"] == "recorded"
    assert fields(scene) == [set()]


def test_upkeep_in_the_background_goes_on_under_the_new_policy(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a step was on its way when the store was opened anew, and finds the old files closed."""
    under: list[int] = []
    gone_on = threading.Event()

    def step(session: Session) -> bool:
        under.append(session.policy_number)
        with session.ground.files.reading():
            gone_on.set()
        return False

    old = scene.store._session
    apply(scene, NARROWER)
    monkeypatch.setattr(compaction, "step", step)
    upkeep = Upkeep(lambda: scene.store._session if under else old)
    upkeep.start(every=0.001)
    assert gone_on.wait(10)
    upkeep.stop()
    assert under[:2] == [1, 2]


def test_whoever_opens_the_store_amid_a_change_goes_by_one_policy_and_finds_no_damage(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts are in one file and what was accepted is in the other: both are read while nobody changes either."""
    read = DataFile.policies
    changing = threading.Thread(target=lambda: apply(scene, NARROWER), daemon=True)

    def read_and_change(table: DataFile) -> dict[int, tuple[bytes, bytes]]:
        found = read(table)
        if not changing.ident:
            changing.start()
            changing.join(0.2)
        return found

    monkeypatch.setattr(DataFile, "policies", read_and_change)
    with cp.Store.open(scene.store._session.ground.path, key=scene.key, clock=scene.clock) as other:
        changing.join(20)
        assert scene.store.policy.digest != other.policy.digest
        with pytest.raises(cp.PolicyChanged):
            other.record(event())


def test_the_older_policy_put_back_opens_nothing(scene: Scene) -> None:
    """The attack: whoever can write data.db puts the policy in force away, or the older one in its place."""
    apply(scene, NARROWER)
    scene.store.close()
    store = scene.folder / "store"
    kept = shutil.copytree(store, scene.folder / "kept")
    for statement in (
        "DELETE FROM policy WHERE number = 2",
        "UPDATE policy SET text = (SELECT text FROM policy WHERE number = 1) WHERE number = 2",
        "UPDATE policy SET number = 3 - number - 10",
    ):
        assert edit(store, "data.db", statement)
        with pytest.raises(cp.CorruptRecord):
            cp.Store.open(store, key=scene.key, clock=scene.clock)
        shutil.rmtree(store)
        shutil.copytree(kept, store)
    scene.reopen()


@pytest.mark.parametrize("step", STEPS)
def test_whoever_comes_next_finishes_a_change_that_was_begun(scene: Scene, step: str) -> None:
    scene.give()
    scene.store.record(event(total=5))
    both = edited(FEWER, ("\n[suppression]", ANALYTICS))
    crash(scene, step, lambda: apply(scene, both))
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    assert look(scene.folder / "store", "keys.db", "SELECT count(*) FROM pending") == [(0,)]
    assert scene.store.policy.digest == read_policy(both, "p").digest
    assert [leaf.operation for leaf in scene.leaves()].count("policy-accepted") == 2
    assert fields(scene) == [set()]
    scene.store.give_consent(ACCOUNT, ["analytics"], notice="2024-01", method="form")
    assert scene.store.check().findings == ()
    assert apply(scene, both).changes == ()


@pytest.mark.parametrize("step", ["noted", "applied", "succeeded", "gate passed", "cleared"])
def test_narrowing_that_is_interrupted_loses_nothing_and_shows_nothing(scene: Scene, step: str) -> None:
    scene.give()
    scene.store.record(event(channel="web", total=5))
    apply(scene, NARROWER)
    before = scene.events()
    crash(scene, step, scene.store.upkeep.run_retention)
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    assert scene.events() == before
    scene.store.upkeep.run_retention()
    assert scene.events() == before
    assert fields(scene) == [{"channel"}]
    assert set(scene.store.access(ACCOUNT).compartments["support"].events[0].fields) == {"channel"}
    assert scene.store.check().findings == ()
