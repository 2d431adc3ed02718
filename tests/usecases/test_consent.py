"""Consent: the table of states and acts, its evidence, and the clock that ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import consentprofile as cp
from consentprofile.model.consent import DPV_STATUS, State
from tests.usecases.scene import ACCOUNT, NEW, NOW, OLD, Scene, event, history

LIFETIME = timedelta(days=365)


def give(scene: Scene) -> dict[str, cp.Consent]:
    return scene.store.give_consent(ACCOUNT, ["support"], notice=NEW, method="signup form")


def renew(scene: Scene) -> dict[str, cp.Consent]:
    return scene.store.renew_consent(ACCOUNT, ["support"], notice=NEW, method="settings page")


def refuse(scene: Scene) -> dict[str, cp.Consent]:
    return scene.store.refuse_consent(ACCOUNT, ["support"], notice=NEW, method="signup form")


def withdraw(scene: Scene) -> dict[str, cp.Consent]:
    return dict(scene.store.withdraw_consent(ACCOUNT, ["support"], method="settings page").consents)


def invalidate(scene: Scene) -> dict[str, cp.Consent]:
    return dict(scene.store.invalidate_consent(ACCOUNT, ["support"], method="the notice was wrong").consents)


def nothing(scene: Scene) -> None:
    """The account has not decided."""


def given(scene: Scene) -> None:
    give(scene)


def renewed(scene: Scene) -> None:
    give(scene)
    scene.clock.move(days=1)
    renew(scene)


def refused(scene: Scene) -> None:
    refuse(scene)


def withdrawn(scene: Scene) -> None:
    give(scene)
    withdraw(scene)


def invalidated(scene: Scene) -> None:
    give(scene)
    invalidate(scene)


def in_grace(scene: Scene) -> None:
    give(scene)
    scene.clock.move(days=365)


def expired(scene: Scene) -> None:
    in_grace(scene)
    scene.clock.move(days=7)
    scene.store.upkeep.expire_consents(attended=True)


Act = Callable[[Scene], dict[str, cp.Consent]]
TABLE: list[tuple[Callable[[Scene], None], Act, str, bool, int, int]] = [
    # state before, act, state after, changed?, keys minted, keys destroyed (by the act)
    (nothing, give, "given", True, 1, 0),
    (refused, give, "given", True, 1, 0),
    (withdrawn, give, "given", True, 1, 0),
    (invalidated, give, "given", True, 1, 0),
    (expired, give, "given", True, 1, 0),
    (in_grace, give, "given", True, 1, 1),
    (given, give, "given", False, 0, 0),
    (renewed, give, "renewed", False, 0, 0),
    (nothing, renew, "none", False, 0, 0),
    (refused, renew, "refused", False, 0, 0),
    (withdrawn, renew, "withdrawn", False, 0, 0),
    (invalidated, renew, "invalidated", False, 0, 0),
    (expired, renew, "expired", False, 0, 0),
    (in_grace, renew, "expired", False, 0, 0),
    (nothing, refuse, "refused", True, 0, 0),
    (refused, refuse, "refused", False, 0, 0),
    (expired, refuse, "refused", True, 0, 0),
    (given, refuse, "withdrawn", True, 0, 1),
    (renewed, refuse, "withdrawn", True, 0, 1),
    (in_grace, refuse, "withdrawn", True, 0, 1),
    (nothing, withdraw, "none", False, 0, 0),
    (refused, withdraw, "refused", False, 0, 0),
    (withdrawn, withdraw, "withdrawn", False, 0, 0),
    (invalidated, withdraw, "invalidated", False, 0, 0),
    (expired, withdraw, "expired", False, 0, 0),
    (given, withdraw, "withdrawn", True, 0, 1),
    (renewed, withdraw, "withdrawn", True, 0, 1),
    (in_grace, withdraw, "withdrawn", True, 0, 1),
    (given, invalidate, "invalidated", True, 0, 1),
    (renewed, invalidate, "invalidated", True, 0, 1),
    (in_grace, invalidate, "invalidated", True, 0, 1),
    (nothing, invalidate, "none", False, 0, 0),
    (withdrawn, invalidate, "withdrawn", False, 0, 0),
]
MINTED = ("consent-given",)
DESTROYED = ("consent-withdrawn", "consent-invalidated", "consent-expired")


@pytest.mark.parametrize(
    ("before", "act", "state", "changed", "minted", "destroyed"),
    TABLE,
    ids=[f"{before.__name__}-{act.__name__}" for before, act, *_ in TABLE],
)
def test_the_table(
    scene: Scene,
    before: Callable[[Scene], None],
    act: Act,
    state: str,
    changed: bool,
    minted: int,
    destroyed: int,
) -> None:
    """Each act in each state leads where the design's table says, with a leaf for each key."""
    before(scene)
    evidence = scene.state().history
    first = len(scene.leaves())
    answer = act(scene)
    leaves = scene.leaves()[first:]
    assert (answer["support"].state, answer["support"].changed) == (state, changed)
    assert [leaf.operation for leaf in leaves if leaf.operation in MINTED] == list(MINTED) * minted
    assert len([leaf for leaf in leaves if leaf.operation in DESTROYED]) == destroyed
    assert bool(leaves) == changed
    after = scene.state()
    assert (after.state, after.dpv) == (state, DPV_STATUS[State[state.upper()]])
    assert after.history[: len(evidence)] == evidence
    assert len(after.history) - len(evidence) == (1 if changed else 0)


def test_another_state_of_one_purpose_or_account_is_none_of_the_others_business(scene: Scene) -> None:
    scene.give("support", "marketing")
    scene.give("support", account="acct-18")
    withdraw(scene)
    assert scene.state("marketing").in_force
    assert scene.state(account="acct-18").in_force
    assert scene.state("planning").state == "none"


def test_given_consent_says_since_until_and_notice(scene: Scene) -> None:
    give(scene)
    stands = scene.state()
    whole = NOW.replace(microsecond=0)
    assert (stands.since, stands.until, stands.notice) == (whole, whole + LIFETIME, NEW)


def test_renewing_keeps_the_key_and_begins_the_lifetime_anew(scene: Scene) -> None:
    give(scene)
    scene.store.record(event(at=NOW))
    scene.clock.move(days=10)
    renew(scene)
    stands = scene.state()
    assert (stands.since, stands.until) == (NOW, NOW + timedelta(days=10) + LIFETIME)
    profile = scene.profile()
    assert profile is not None
    assert profile.events == 1
    assert scene.key_ids(*DESTROYED) == []


def test_consent_under_a_newer_notice_renews(scene: Scene) -> None:
    """A consent that was imported under the superseded notice, and is given under the one in force."""
    scene.store.import_consents(scene.decisions(f"2024-03-01T08:00:00Z,{ACCOUNT},give,support,{OLD},signup form"))
    assert scene.state().notice == OLD
    scene.store.record(event(at=NOW))
    assert give(scene)["support"].state == "renewed"
    stands = scene.state()
    assert (stands.notice, stands.until) == (NEW, NOW + LIFETIME)
    assert history(stands) == [("give", "given"), ("give", "renewed")]
    assert [entry.notice for entry in stands.history] == [OLD, NEW]
    assert scene.profile() is not None


def test_consent_given_anew_never_brings_old_data_back(scene: Scene) -> None:
    for end in (withdraw, invalidate, refuse):
        give(scene)
        scene.store.record(event(at=scene.clock.now))
        end(scene)
        give(scene)
        profile = scene.profile()
        assert profile is not None
        assert profile.events == 0
    assert len(set(scene.key_ids(*MINTED))) == 4


# ---- the clock ----------------------------------------------------------------------------------


def test_the_clock_ends_a_consent_to_the_second_with_nobody_doing_anything(scene: Scene) -> None:
    give(scene)
    scene.store.record(event(at=NOW))
    scene.clock.now = NOW + LIFETIME - timedelta(seconds=1)
    assert scene.state().state == "given"
    assert scene.store.record(event(at=scene.clock.now))["support"] is cp.Outcome.RECORDED
    assert scene.profile() is not None
    scene.clock.move(seconds=1)
    stands = scene.state()
    assert (stands.state, stands.since, stands.until, stands.notice) == ("expired", NOW + LIFETIME, None, None)
    assert scene.store.record(event(at=scene.clock.now))["support"] is cp.Outcome.NO_CONSENT
    assert scene.profile() is None
    assert scene.events() is None


def test_in_grace_the_key_lives_but_opens_nothing_to_readers_and_new_consent_has_a_new_key(scene: Scene) -> None:
    give(scene)
    scene.store.record(event(at=NOW))
    scene.clock.move(days=366)
    assert scene.store.upkeep.expire_consents(attended=True).dying == 0
    give(scene)
    (first, second) = scene.key_ids(*MINTED)
    assert first != second
    assert scene.key_ids("consent-expired") == [first]
    profile = scene.profile()
    assert profile is not None
    assert profile.events == 0


def test_after_grace_the_key_is_destroyed(scene: Scene) -> None:
    give(scene)
    scene.clock.move(days=372)
    assert scene.store.upkeep.plan_expiry().purposes == {"support": 1}
    assert scene.store.upkeep.expire_consents(attended=True).dying == 1
    assert scene.key_ids("consent-expired") == scene.key_ids("consent-given")
    assert scene.state().state == "expired"
    assert history(scene.state())[-1] == ("expire", "expired")


def test_unattended_destruction_stops_where_it_is_implausible(scene: Scene) -> None:
    """A clock that has run ahead would otherwise destroy everything."""
    give(scene)
    scene.clock.move(days=4000)
    with pytest.raises(cp.DestructionStopped):
        scene.store.upkeep.expire_consents()
    assert scene.key_ids("consent-expired") == []


def test_a_clock_that_is_put_back_does_not_bring_an_expired_consent_back(scene: Scene) -> None:
    """The store's clock never runs behind the newest leaf (to the hour)."""
    give(scene)
    scene.clock.move(days=365, hours=1)
    assert scene.profile() is None
    scene.clock.move(days=-1)
    assert scene.profile() is None


@pytest.mark.parametrize("act", [withdraw, refuse, invalidate])
def test_a_no_counts_even_where_the_clock_was_put_back_a_little(scene: Scene, act: Act) -> None:
    """Machines correct their clocks by seconds and minutes; no decision of now may be taken for an old one."""
    give(scene)
    scene.store.record(event(at=NOW))
    scene.clock.move(minutes=-10)
    assert act(scene)["support"].changed
    assert scene.profile() is None
    assert give(scene)["support"].state == "given"


# ---- what is refused ----------------------------------------------------------------------------

BAD: dict[str, tuple[cp.Decision, type[cp.ConsentProfileError]]] = {
    "a superseded notice": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice=OLD, method="form"),
        cp.InvalidDecision,
    ),
    "a superseded notice for one of two": (
        cp.Decision(account=ACCOUNT, purposes=("planning", "support"), notice=OLD, method="form"),
        cp.InvalidDecision,
    ),
    "an unknown notice": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice="2025-01", method="form"),
        cp.InvalidDecision,
    ),
    "no notice": (cp.Decision(account=ACCOUNT, purposes=("support",), method="form"), cp.InvalidDecision),
    "no notice to renew": (
        cp.Decision(account=ACCOUNT, purposes=("support",), act=cp.Act.RENEW, method="form"),
        cp.InvalidDecision,
    ),
    "no method": (cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW), cp.InvalidDecision),
    "a method that cannot be printed": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW, method="a\nb"),
        cp.InvalidDecision,
    ),
    "a method that is too long": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW, method="x" * 257),
        cp.InvalidDecision,
    ),
    "no purpose": (cp.Decision(account=ACCOUNT, purposes=(), notice=NEW, method="form"), cp.InvalidDecision),
    "a purpose twice": (
        cp.Decision(account=ACCOUNT, purposes=("support", "support"), notice=NEW, method="form"),
        cp.InvalidDecision,
    ),
    "an undeclared purpose": (
        cp.Decision(account=ACCOUNT, purposes=("support", "resale"), notice=NEW, method="form"),
        cp.UndeclaredPurpose,
    ),
    "no account": (cp.Decision(account="", purposes=("support",), notice=NEW, method="form"), cp.InvalidAccount),
    "an account with a space at its edge": (
        cp.Decision(account=" acct", purposes=("support",), notice=NEW, method="form"),
        cp.InvalidAccount,
    ),
    "the future": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW, method="form", at=NOW + timedelta(seconds=1)),
        cp.InvalidDecision,
    ),
    "a time before 1970": (
        cp.Decision(
            account=ACCOUNT, purposes=("support",), notice=NEW, method="form", at=datetime(1969, 12, 31, tzinfo=UTC)
        ),
        cp.InvalidDecision,
    ),
    "a time without a zone": (
        cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW, method="form", at=NOW.replace(tzinfo=None)),
        cp.InvalidDecision,
    ),
}


@pytest.mark.parametrize(("decision", "error"), BAD.values(), ids=BAD)
def test_a_bad_decision_is_one_typed_error_and_changes_nothing(
    scene: Scene, decision: cp.Decision, error: type[cp.ConsentProfileError]
) -> None:
    scene.give("marketing")
    before = scene.leaves()
    good = cp.Decision(account="acct-18", purposes=("support",), notice=NEW, method="form")
    with pytest.raises(error) as refusal:
        scene.store.give_consents([good, decision])
    assert ACCOUNT not in str(refusal.value)
    assert scene.leaves() == before
    assert scene.state(account="acct-18").state == "none"


def test_a_bad_decision_voids_its_own_batch_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentprofile.consenting.DECISIONS", 2)
    decisions = [
        cp.Decision(account=f"acct-{number}", purposes=("support",), notice=NEW if number != 3 else OLD, method="form")
        for number in range(6)
    ]
    told: list[int] = []
    with pytest.raises(cp.InvalidDecision):
        scene.store.give_consents(iter(decisions), progress=told.append)
    assert told == [2]
    assert [scene.state(account=f"acct-{number}").in_force for number in range(6)] == [True, True] + [False] * 4


def test_many_decisions_of_any_act_are_carried_out_in_order(scene: Scene) -> None:
    acts = (cp.Act.GIVE, cp.Act.WITHDRAW, cp.Act.GIVE, cp.Act.REFUSE)
    decisions = [
        cp.Decision(account=ACCOUNT, purposes=("support",), act=act, notice=NEW, method="form") for act in acts
    ]
    assert scene.store.give_consents(decisions) == 4
    assert history(scene.state()) == [
        ("give", "given"), ("withdraw", "withdrawn"), ("give", "given"), ("refuse", "withdrawn"),
    ]  # fmt: skip


# ---- evidence -----------------------------------------------------------------------------------


def test_evidence_says_what_was_decided_under_which_words_and_how(scene: Scene) -> None:
    give(scene)
    (entry,) = scene.state().history
    notice = scene.store.policy.notices[NEW]
    assert entry == cp.Entry(
        act="give",
        purpose="support",
        state="given",
        notice=NEW,
        notice_sha256=notice.sha256,
        declaration=scene.store.policy.declaration("support").hex(),
        method="signup form",
        decided=NOW,
        recorded=NOW,
    )
    assert "signup" not in repr(entry)


def test_evidence_is_only_ever_added_to_and_survives_erasure(scene: Scene) -> None:
    seen: tuple[cp.Entry, ...] = ()
    for act in (give, renew, withdraw, refuse, give, invalidate, give):
        scene.clock.move(hours=1)
        act(scene)
        now = scene.state().history
        assert now[: len(seen)] == seen
        assert len(now) == len(seen) + 1
        seen = now
    scene.store.erase(ACCOUNT)
    after = scene.state().history
    assert after[: len(seen)] == seen
    assert history(scene.state())[-1] == ("erase", "withdrawn")


def test_evidence_is_shown_for_its_lifetime_after_the_decision_ended_and_no_longer(scene: Scene) -> None:
    """Marketing keeps evidence for one calendar month; decisions end when the next is made, a no at once."""
    scene.give("marketing")
    scene.clock.now = datetime(2024, 4, 10, tzinfo=UTC)
    scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    scene.clock.now = datetime(2024, 5, 31, 21, 59, 59, tzinfo=UTC)  # the last second of May in Berlin
    assert history(scene.state("marketing")) == [("give", "given"), ("withdraw", "withdrawn")]
    scene.clock.move(seconds=1)
    assert history(scene.state("marketing")) == []


def test_evidence_of_a_consent_in_force_does_not_run_out(scene: Scene) -> None:
    scene.give("marketing")
    scene.clock.move(days=99)
    assert history(scene.state("marketing")) == [("give", "given")]


# ---- importing decisions ------------------------------------------------------------------------

ROWS = (
    f"2023-12-01T08:00:00Z,{ACCOUNT},give,support planning,{OLD},signup form",
    f"2024-01-01T08:00:00Z,{ACCOUNT},refuse,marketing,{NEW},signup form",
    f"2024-01-05T08:00:00Z,{ACCOUNT},renew,support,{NEW},settings page",
    f"2024-01-06T08:00:00Z,{ACCOUNT},renew,support,{NEW},settings page",
    f"2024-01-10T08:00:00Z,{ACCOUNT},withdraw,planning,,settings page",
    f"2024-01-20T08:00:00Z,{ACCOUNT},give,planning,{OLD},settings page",
    f"2024-01-21T08:00:00Z,{ACCOUNT},give,marketing,{NEW},settings page",
    f"2024-01-22T08:00:00Z,{ACCOUNT},refuse,marketing,{NEW},settings page",
)


def test_imported_decisions_are_judged_in_order_by_the_notice_of_their_time(scene: Scene) -> None:
    assert scene.store.import_consents(scene.decisions(*ROWS)).rejected == 0
    stands = scene.store.consents(ACCOUNT)
    assert {name: consent.state for name, consent in stands.items()} == {
        "support": "renewed", "marketing": "withdrawn", "planning": "given",
    }  # fmt: skip
    assert stands["support"].until == datetime(2024, 1, 6, 8, tzinfo=UTC) + LIFETIME
    assert stands["planning"].since == datetime(2024, 1, 20, 8, tzinfo=UTC)
    assert stands["marketing"].since == datetime(2024, 1, 22, 8, tzinfo=UTC)
    assert [entry.decided.day for entry in stands["support"].history] == [1, 5, 6]
    assert {entry.recorded for entry in stands["support"].history} == {NOW}


def test_repeating_an_import_changes_nothing(scene: Scene) -> None:
    scene.store.import_consents(scene.decisions(*ROWS))
    before = scene.store.consents(ACCOUNT)
    size = len(scene.leaves())
    again = scene.store.import_consents(scene.decisions(*ROWS))
    assert (again.rows, again.rejected, again.changed) == (len(ROWS), 0, {})
    assert len(scene.leaves()) == size
    assert scene.store.consents(ACCOUNT) == before


def test_a_row_is_not_taken_where_something_later_stands(scene: Scene) -> None:
    give(scene)
    scene.clock.move(days=1)
    withdraw(scene)
    row = f"2024-03-15T18:00:00Z,{ACCOUNT},give,support,{NEW},signup form"
    assert scene.store.import_consents(scene.decisions(row)).changed == {}
    assert scene.state().state == "withdrawn"


def test_an_erased_account_is_not_given_consent_again_by_an_old_import(scene: Scene) -> None:
    scene.store.import_consents(scene.decisions(*ROWS))
    scene.store.record(event(at=NOW))
    scene.clock.move(hours=1)
    scene.store.erase(ACCOUNT)
    assert scene.store.import_consents(scene.decisions(*ROWS)).changed == {}
    assert {consent.state for consent in scene.store.consents(ACCOUNT).values()} == {"none"}
    scene.clock.move(hours=1)
    assert give(scene)["support"].state == "given"


def test_reading_what_stands_has_a_leaf_that_names_nobody(scene: Scene) -> None:
    give(scene)
    first = len(scene.leaves())
    scene.store.consents(ACCOUNT)
    (leaf,) = scene.leaves()[first:]
    assert (leaf.operation, leaf.purpose, leaf.role, leaf.facts) == ("consent-read", "", "app", {})


# ---- the certificate ----------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["withdraw", "invalidate"])
def test_the_end_of_a_consent_is_certified_by_its_leaves_and_names_nobody(scene: Scene, act: str) -> None:
    scene.give("support", "marketing")
    end = scene.store.withdraw_consent if act == "withdraw" else scene.store.invalidate_consent
    done = end(ACCOUNT, ["support", "marketing"])
    certificate = cp.open_certificate(done.file, scene.store.audit.public_key)
    assert (certificate.statement.kind, certificate.statement.purposes) == ("withdrawal", ("marketing", "support"))
    assert (
        certificate.statement.key_ids
        == done.key_ids
        == tuple(scene.key_ids("consent-withdrawn", "consent-invalidated"))
    )
    assert tuple(leaf.sequence for leaf in certificate.leaves) == done.leaves
    assert ACCOUNT.encode() not in done.file
    assert {name: one.state for name, one in done.consents.items()} == dict.fromkeys(
        ("support", "marketing"), {"withdraw": "withdrawn", "invalidate": "invalidated"}[act]
    )


def test_where_there_was_no_key_there_is_no_certificate(scene: Scene) -> None:
    done = scene.store.withdraw_consent(ACCOUNT, ["support"])
    assert (done.found, done.key_ids, done.leaves, done.file) == (0, (), (), b"")
    assert done.consents["support"].state == "none"
