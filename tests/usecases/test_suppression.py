"""Suppression: a declared reason switches purposes off, and the keys stay."""

from __future__ import annotations

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, PURPOSES, Scene, event


def test_a_reason_switches_off_the_purposes_it_names_and_no_other(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("purchase"))
    assert scene.store.suppress(ACCOUNT, "do-not-contact")
    assert scene.profile("marketing") is None
    assert scene.profile("support") is not None
    assert scene.store.suppress(ACCOUNT, "deceased")
    assert [scene.profile(purpose) for purpose in PURPOSES] == [None] * 3


def test_consent_stays_in_force_and_data_comes_back_when_it_is_lifted(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("purchase"))
    before = scene.profile("marketing")
    scene.store.suppress(ACCOUNT, "do-not-contact")
    assert scene.state("marketing").in_force
    scene.store.record(event("purchase"))
    assert scene.store.lift_suppression(ACCOUNT, "do-not-contact")
    assert scene.profile("marketing") == before


def test_doing_it_twice_changes_nothing_and_says_so(scene: Scene) -> None:
    assert scene.store.suppress(ACCOUNT, "deceased")
    size = len(scene.leaves())
    assert not scene.store.suppress(ACCOUNT, "deceased")
    assert len(scene.leaves()) == size
    assert scene.store.lift_suppression(ACCOUNT, "deceased")
    assert not scene.store.lift_suppression(ACCOUNT, "deceased")
    assert len(scene.leaves()) == size + 1


@pytest.mark.parametrize("known", [False, True])
def test_it_holds_for_accounts_that_come_later(scene: Scene, known: bool) -> None:
    if known:
        scene.give("marketing")
        scene.store.erase(ACCOUNT)
    scene.store.suppress(ACCOUNT, "do-not-contact")
    scene.give("marketing", "support")
    assert scene.store.record(event("purchase"))["marketing"] is cp.Outcome.SUPPRESSED
    assert scene.profile("marketing") is None


def test_it_outlives_reopening_and_erasure(scene: Scene) -> None:
    scene.give("marketing")
    scene.store.suppress(ACCOUNT, "do-not-contact")
    scene.reopen()
    scene.store.erase(ACCOUNT)
    scene.reopen()
    assert scene.store.access(ACCOUNT).suppressed == ["do-not-contact"]


def test_who_did_it_and_when_is_in_leaf_trail_and_actor_book(scene: Scene) -> None:
    before = scene.store.check().rows["actor_book"]
    first = len(scene.leaves())
    scene.store.suppress(ACCOUNT, "deceased", actor="officer:ada")
    scene.store.lift_suppression(ACCOUNT, "deceased", actor="officer:bob")
    leaves = scene.leaves()[first:]
    assert [(leaf.operation, leaf.role, list(leaf.facts)) for leaf in leaves] == [
        ("suppressed", "officer", ["commitment"]), ("suppression-lifted", "officer", ["commitment"]),
    ]  # fmt: skip
    assert scene.store.check().rows["actor_book"] == before + 2
    trail = scene.store.access(ACCOUNT).trail
    assert [(trace.actor, trace.operation, trace.reason) for trace in trail[:2]] == [
        ("officer:ada", "suppressed", "deceased"), ("officer:bob", "suppression-lifted", "deceased"),
    ]  # fmt: skip


BAD = {
    "an undeclared reason": (ACCOUNT, "annoying", "officer:ada", cp.InvalidDecision),
    "no reason": (ACCOUNT, "", "officer:ada", cp.InvalidDecision),
    "no account": ("", "deceased", "officer:ada", cp.InvalidAccount),
    "no actor": (ACCOUNT, "deceased", "ada", cp.InvalidActor),
}


@pytest.mark.parametrize(("account", "reason", "actor", "error"), BAD.values(), ids=BAD)
def test_what_is_not_declared_is_refused_and_changes_nothing(
    scene: Scene, account: str, reason: str, actor: str, error: type[cp.InputError]
) -> None:
    before = scene.leaves()
    for change in (scene.store.suppress, scene.store.lift_suppression):
        with pytest.raises(error):
            change(account, reason, actor=actor)
    assert scene.leaves() == before
