"""Recording: who takes an event and why the others do not, what is kept of it, and what is refused."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import consentprofile as cp
from consentprofile.model.event import Value
from consentprofile.usecases import recording
from tests.usecases.scene import ACCOUNT, NOW, PURPOSES, Scene, event

RECORDED, NO_CONSENT = cp.Outcome.RECORDED, cp.Outcome.NO_CONSENT

# ---- outcomes -----------------------------------------------------------------------------------


def test_each_purpose_says_for_itself_whether_it_took_the_event(scene: Scene) -> None:
    scene.give("support", "planning")
    assert scene.store.record(event("login")) == {
        "support": RECORDED, "marketing": NO_CONSENT, "planning": RECORDED,
    }  # fmt: skip


def test_an_unknown_account_has_no_consent_and_leaves_nothing(scene: Scene) -> None:
    before = scene.leaves()
    assert scene.store.record(event()) == dict.fromkeys(PURPOSES, NO_CONSENT)
    assert scene.leaves() == before
    assert scene.store.check().rows == {"block": 0, "evidence": 0, "account": 0, "trail": 0, "actor_book": 0}


@pytest.mark.parametrize("state", ["refused", "withdrawn", "invalidated", "expired"])
def test_without_consent_in_force_nothing_is_recorded(scene: Scene, state: str) -> None:
    if state == "refused":
        scene.store.refuse_consent(ACCOUNT, ["support"])
    else:
        scene.give()
    if state == "withdrawn":
        scene.store.withdraw_consent(ACCOUNT, ["support"])
    if state == "invalidated":
        scene.store.invalidate_consent(ACCOUNT, ["support"])
    if state == "expired":
        scene.clock.move(days=365)
    assert scene.state().state == state
    assert scene.store.record(event(at=scene.clock.now))["support"] is NO_CONSENT
    assert scene.store.check().rows["block"] == 0


def test_what_was_done_before_consent_stays_out_to_the_second(scene: Scene) -> None:
    scene.give()
    assert scene.store.record(event(at=NOW))["support"] is RECORDED
    assert scene.store.record(event(at=NOW - timedelta(seconds=1)))["support"] is cp.Outcome.BEFORE_CONSENT


def test_what_is_past_retention_stays_out_by_whole_calendar_months(scene: Scene) -> None:
    """Three months: all of March keeps December, cut at midnight in Berlin."""
    row = f"2023-11-01T00:00:00Z,{ACCOUNT},give,support,2024-01,form"
    scene.store.import_consents(scene.decisions(row))
    first = datetime(2023, 11, 30, 23, 0, tzinfo=UTC)
    assert scene.store.record(event(at=first))["support"] is RECORDED
    assert scene.store.record(event(at=first - timedelta(seconds=1)))["support"] is cp.Outcome.PAST_RETENTION


def test_a_suppressed_purpose_takes_nothing_and_says_so(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.suppress(ACCOUNT, "do-not-contact")
    outcomes = scene.store.record(event("purchase"))
    assert outcomes["marketing"] is cp.Outcome.SUPPRESSED
    assert outcomes["support"] is RECORDED


def test_a_kind_that_a_purpose_does_not_collect_stays_out(scene: Scene) -> None:
    scene.give(*PURPOSES)
    assert scene.store.record(event("login"))["marketing"] is cp.Outcome.NOT_COLLECTED
    assert scene.store.record(event("purchase"))["planning"] is cp.Outcome.NOT_COLLECTED


def test_outcomes_are_counted_by_purpose_and_reason_without_accounts(scene: Scene) -> None:
    scene.give("support")
    scene.store.record(event("login"))
    scene.store.record_many([event("login", account=f"acct-{number}") for number in range(3)])
    scene.reopen()
    assert scene.store.statistics() == {
        "support": {NO_CONSENT: 3, RECORDED: 1}, "marketing": {NO_CONSENT: 4}, "planning": {NO_CONSENT: 4},
    }  # fmt: skip


# ---- what is kept -------------------------------------------------------------------------------

VALUES: dict[str, tuple[str, list[Value]]] = {
    "enum": ("platform", ["desktop", "mobile", "tablet"]),
    "amount": ("total", [0, 1, 1_000]),
    "integer": ("rating", [-2, 0, 5]),
    "boolean": ("gift", [True, False]),
}


@pytest.mark.parametrize(("name", "values"), VALUES.values(), ids=VALUES)
def test_every_value_of_every_type_comes_back_as_it_was(scene: Scene, name: str, values: list[Value]) -> None:
    scene.give()
    for second, value in enumerate(values):
        scene.store.record(event(at=NOW + timedelta(seconds=second), named={name: value}))
    events = scene.events()
    assert events is not None
    assert [stored.fields for stored in events] == [{name: value} for value in values]
    assert [type(stored.fields[name]) for stored in events] == [type(value) for value in values]


def test_a_purpose_keeps_only_the_fields_that_it_declares_for_the_kind(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("purchase", channel="web", platform="mobile", acquisition="email", total=5, device="d-1"))
    scene.store.record(event("login", channel="web", platform="mobile", acquisition="email", device="d-1"))
    scene.store.record(event("logout", channel="web"))
    kept = {purpose: scene.events(purpose) or [] for purpose in PURPOSES}
    shown = {name: {(stored.kind, *sorted(stored.fields)) for stored in events} for name, events in kept.items()}
    assert shown == {
        "support": {
            ("purchase", "channel", "device", "platform", "total"),
            ("login", "channel", "device", "platform"),
            ("logout",),
        },
        "marketing": {("purchase", "acquisition", "device")},
        "planning": {("login", "platform")},
    }


def test_times_are_floored_to_the_precision_in_the_zone_of_the_policy(scene: Scene) -> None:
    at = datetime(2024, 3, 15, 23, 40, 41, tzinfo=UTC)  # 00:40:41 of the 16th in Berlin
    scene.give(*PURPOSES)
    scene.clock.now = at
    scene.store.record(event("purchase", at=at))
    scene.store.record(event("login", at=at))
    found = {purpose: (scene.events(purpose) or [])[0].at for purpose in PURPOSES}
    assert found == {
        "support": at,
        "marketing": datetime(2024, 3, 15, 23, 0, tzinfo=UTC),
        "planning": datetime(2024, 3, 15, 23, 0, tzinfo=UTC),
    }


def test_the_same_device_has_another_digest_in_each_account_and_purpose_and_after_consent_anew(scene: Scene) -> None:
    digests: list[Value] = []
    for account in (ACCOUNT, "acct-18"):
        scene.give("support", "marketing", account=account)
        for _ in range(2):
            scene.store.record(event("purchase", account=account, device="d-1"))
        for purpose in ("support", "marketing"):
            found = {stored.fields["device"] for stored in scene.events(purpose, account) or []}
            assert len(found) == 1
            digests += found
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    scene.give("support")
    scene.store.record(event("purchase", device="d-1"))
    digests += [stored.fields["device"] for stored in scene.events() or []]
    assert len(set(digests)) == 5
    assert "d-1" not in digests


def test_an_event_with_a_sensitive_value_exists_only_where_it_is_named(scene: Scene) -> None:
    scene.give(*PURPOSES)
    assert scene.store.record(event("purchase", topic="bereavement")) == {
        "support": RECORDED, "marketing": cp.Outcome.NOT_COLLECTED, "planning": cp.Outcome.NOT_COLLECTED,
    }  # fmt: skip
    assert scene.store.record(event("login", topic="bereavement"))["planning"] is cp.Outcome.NOT_COLLECTED
    assert scene.store.record(event("login", topic="delivery"))["planning"] is RECORDED
    assert len(scene.events("planning") or []) == 1


def test_only_the_newest_events_that_a_purpose_keeps_are_seen(scene: Scene) -> None:
    scene.give("marketing")
    for day in (4, 1, 3, 0, 2):
        scene.clock.now = max(scene.clock.now, NOW + timedelta(days=day))
        scene.store.record(event("purchase", at=NOW + timedelta(days=day)))
    events, profile = scene.events("marketing"), scene.profile("marketing")
    assert events is not None
    assert profile is not None
    assert [stored.at.day for stored in events] == [16, 17, 18]  # midnight in Berlin is 23:00 UTC of the day before
    assert profile.events == 3


# ---- ids ----------------------------------------------------------------------------------------


def test_an_event_with_an_id_exists_once_in_its_account_however_often_it_comes(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(id="e-1"))
    scene.store.record_many([event(id="e-1"), event(id="e-1"), event(id="e-2")])
    scene.reopen()
    scene.store.record(event(id="e-1"))
    assert len(scene.events() or []) == 2


def test_an_event_without_an_id_is_an_event_of_its_own_each_time(scene: Scene) -> None:
    scene.give()
    scene.store.record_many([event(), event()])
    assert len(scene.events() or []) == 2


def test_the_same_id_with_other_content_is_settled_the_same_way_in_every_order(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    found = []
    for order in ([1, 2, 3], [3, 2, 1], [2, 3, 1]):
        scene = Scene(tmp_path_factory.mktemp("order"))
        scene.give()
        scene.store.record_many([event(id="e-1", total=total) for total in order])
        found.append([stored.fields for stored in scene.events() or []])
        scene.store.close()
    assert found == [[{"total": 1}]] * 3


def test_the_same_id_in_two_accounts_and_purposes_is_stored_under_unlinkable_ids(scene: Scene) -> None:
    for account in (ACCOUNT, "acct-18"):
        scene.give("support", "planning", account=account)
        scene.store.record(event("login", id="e-1", account=account))
    ids = [
        stored.id
        for account in (ACCOUNT, "acct-18")
        for purpose in ("support", "planning")
        for stored in scene.events(purpose, account) or []
    ]
    assert len(set(ids)) == 4
    assert all(len(bytes.fromhex(id)) == 16 for id in ids)


# ---- bad events ---------------------------------------------------------------------------------

SECRET = "xyzzy-canary"
BAD: dict[str, cp.Event] = {
    "an undeclared kind": event(SECRET),
    "an undeclared field": event("login", named={SECRET: 1}),
    "a field that another kind carries": event("logout", platform="desktop"),
    "a value that is not in the vocabulary": event("login", platform=SECRET),
    "a number for a word": event("login", platform=1),
    "a word for an amount": event("purchase", total=SECRET),
    "an amount below zero": event("purchase", total=-1),
    "an amount above its bound": event("purchase", total=1_001),
    "a boolean for an amount": event("purchase", total=True),
    "an integer below its bound": event("purchase", rating=-3),
    "an integer above its bound": event("purchase", rating=6),
    "a number for a boolean": event("purchase", gift=1),
    "an empty token": event("login", device=""),
    "a token that is too long": event("login", device=SECRET * 30),
    "a token that is no text": event("login", device=5),
    "a token that cannot be encoded": event("login", device="\ud800"),
    "a time without a zone": event(at=NOW.replace(tzinfo=None)),
    "a time more than five minutes ahead": event(at=NOW + timedelta(seconds=301)),
    "a time before 1970": event(at=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "an empty id": event(id=""),
    "an id that is too long": event(id=SECRET * 30),
    "an account without a name": event(account=""),
    "an account with a control character": event(account=f"{SECRET}\n"),
    "an account that is too long": event(account=SECRET * 30),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_event_is_one_typed_error_that_repeats_nothing_and_records_nothing(scene: Scene, bad: cp.Event) -> None:
    scene.give(*PURPOSES)
    before = scene.leaves()
    with pytest.raises((cp.InvalidEvent, cp.InvalidAccount)) as refusal:
        scene.store.record(bad)
    assert SECRET not in "".join(traceback.format_exception(refusal.value)) + repr(refusal.value)
    with pytest.raises(cp.InvalidEvent) as refused:
        scene.store.record_many([event(), bad])
    assert (refused.value.index, refused.value.committed) == (1, 0)
    assert SECRET not in "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert scene.leaves() == before
    assert scene.events() == []


def test_an_event_up_to_five_minutes_ahead_is_taken(scene: Scene) -> None:
    scene.give()
    assert scene.store.record(event(at=NOW + timedelta(seconds=300)))["support"] is RECORDED


# ---- several at once ----------------------------------------------------------------------------


def test_several_single_events_in_one_transaction_are_answered_one_by_one_and_have_one_leaf(scene: Scene) -> None:
    scene.give("support", "planning")
    scene.give("marketing", account="acct-18")
    session, first = scene.store._session, len(scene.leaves())
    events = [event("login", id="e-1"), event("purchase", account="acct-18"), event("login", id="e-1"), event("logout")]
    accepted = [recording.check(session, one) for one in events]
    with session.ground.files.writing():
        together = recording.record_together(session, accepted)
    assert together == [scene.store.record(one) for one in events]
    leaf = scene.leaves()[first]
    assert (leaf.operation, leaf.facts["events"], len(scene.leaves()) - first) == ("recorded", 4, 5)
    assert len(scene.events() or []) == 3  # e-1 once, and the logout twice
    with session.ground.files.writing():
        assert recording.record_together(session, []) == []


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_check_refuses_what_recording_refuses_in_the_same_words(scene: Scene, bad: cp.Event) -> None:
    with pytest.raises((cp.InvalidEvent, cp.InvalidAccount)) as recorded:
        scene.store.record(bad)
    with pytest.raises(type(recorded.value)) as checked:
        recording.check(scene.store._session, bad)
    assert str(checked.value) == str(recorded.value)
    assert SECRET not in "".join(traceback.format_exception(checked.value)) + repr(checked.value)


def test_a_check_goes_by_the_log_where_the_clock_was_set_back(scene: Scene) -> None:
    scene.give()
    scene.clock.move(hours=-3)
    session, later = scene.store._session, event(at=NOW.replace(minute=4))
    accepted = [recording.check(session, later)]
    with session.ground.files.writing():
        assert recording.record_together(session, accepted)[0]["support"] is cp.Outcome.BEFORE_CONSENT
    with pytest.raises(cp.InvalidEvent):
        recording.check(session, event(at=NOW))


def test_what_was_accepted_does_not_show_itself(scene: Scene) -> None:
    accepted = recording.check(scene.store._session, event(id=SECRET))
    assert SECRET not in repr(accepted) + str(accepted)


# ---- many ---------------------------------------------------------------------------------------


def test_a_bad_event_voids_its_own_batch_only_and_says_where_it_stood(scene: Scene) -> None:
    scene.give()
    told: list[int] = []
    events = [event(id=f"e-{number}") for number in range(10)]
    events[7] = event("undeclared")
    with pytest.raises(cp.InvalidEvent) as refused:
        scene.store.record_many(events, batch_size=3, progress=told.append)
    assert (refused.value.index, refused.value.committed) == (7, 6)
    assert told == [3, 6]
    assert len(scene.events() or []) == 6


def test_any_iterable_is_consumed_a_batch_at_a_time(scene: Scene) -> None:
    scene.give()
    produced, seen = 0, []

    def endless() -> Iterator[cp.Event]:
        nonlocal produced
        for _ in range(10):
            produced += 1
            yield event()

    summary = scene.store.record_many(endless(), batch_size=4, progress=lambda done: seen.append((done, produced)))
    assert seen == [(4, 4), (8, 8), (10, 10)]
    assert (summary.events, summary.outcomes["support"]) == (10, {RECORDED: 10})


def test_recording_nothing_is_no_mistake(scene: Scene) -> None:
    assert scene.store.record_many([]).events == 0


def test_a_batch_of_none_is_refused(scene: Scene) -> None:
    with pytest.raises(cp.InputError):
        scene.store.record_many([event()], batch_size=0)


def test_batches_make_no_difference_to_what_was_recorded(scene: Scene) -> None:
    events = [
        event("purchase", at=NOW + timedelta(seconds=number % 60), id=f"e-{number}", total=number, platform="mobile")
        for number in range(40)
    ]
    for account, size in (("acct-1", 1), ("acct-2", 7), ("acct-3", 1_000)):
        scene.give(account=account)
        scene.store.record_many(
            (cp.Event(account=account, kind=e.kind, at=e.at, id=e.id, fields=e.fields) for e in events), batch_size=size
        )
    first, second, third = (scene.profile(account=f"acct-{number}") for number in (1, 2, 3))
    assert first == second == third


def test_one_transaction_has_one_leaf_with_counts_and_a_commitment_and_no_purpose(scene: Scene) -> None:
    scene.give("support", "planning")
    first = len(scene.leaves())
    scene.store.record_many([event("login"), event("login"), event("login", account="acct-18")])
    (leaf,) = scene.leaves()[first:]
    assert (leaf.operation, leaf.purpose, leaf.role) == ("recorded", "", "app")
    assert (leaf.facts["events"], leaf.facts["blocks"], sorted(leaf.facts)) == (
        3,
        2,
        ["blocks", "commitment", "events"],
    )
