"""Erasure: every key of an account dies, nothing opens its data, and what stays is said."""

from __future__ import annotations

import hashlib

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, PURPOSES, Scene, event, history


def lived_in(scene: Scene, account: str = ACCOUNT) -> None:
    scene.give(*PURPOSES, account=account)
    scene.store.record_many([event(kind, account=account, platform="mobile") for kind in ("login", "purchase")])
    scene.profile(account=account)


def test_every_key_of_the_account_dies_and_each_has_a_leaf(scene: Scene) -> None:
    lived_in(scene)
    keys = scene.store.check().keys
    erasure = scene.store.erase(ACCOUNT)
    assert (erasure.found, erasure.purposes, len(erasure.key_ids)) == (1, tuple(sorted(PURPOSES)), 4)
    assert scene.key_ids("erased") == list(erasure.key_ids)
    assert set(scene.key_ids("consent-given")) <= set(erasure.key_ids)
    first = erasure.leaves[0]
    assert erasure.leaves == tuple(range(first, first + 4))
    assert [scene.leaves()[sequence].operation for sequence in erasure.leaves] == ["erased"] * 4
    report = scene.store.check()
    assert report.is_clean
    assert keys - report.keys == 4
    assert report.rows["block"] == report.rows["trail"] == report.rows["account"] == 0


def test_nothing_is_read_afterwards_and_nobody_else_is_touched(scene: Scene) -> None:
    lived_in(scene)
    lived_in(scene, "acct-18")
    other = scene.profile(account="acct-18")
    scene.store.erase(ACCOUNT)
    assert [scene.profile(purpose) for purpose in PURPOSES] == [None] * 3
    held = scene.store.access(ACCOUNT)
    assert (held.account, held.compartments, held.trail) == (None, {}, [])
    assert scene.profile(account="acct-18") == other


def test_the_proof_of_decisions_and_suppressions_stay(scene: Scene) -> None:
    lived_in(scene)
    scene.store.suppress(ACCOUNT, "do-not-contact")
    scene.store.erase(ACCOUNT)
    stands = scene.store.consents(ACCOUNT)
    assert all(history(stands[name]) == [("give", "given"), ("erase", "withdrawn")] for name in PURPOSES)
    assert scene.store.access(ACCOUNT).suppressed == ["do-not-contact"]
    scene.give("support", "marketing")
    assert scene.store.record(event("purchase"))["marketing"] is cp.Outcome.SUPPRESSED


def test_an_account_may_come_back_and_finds_nothing(scene: Scene) -> None:
    lived_in(scene)
    scene.store.erase(ACCOUNT)
    scene.give()
    profile = scene.profile()
    assert profile is not None
    assert profile.events == 0


def test_erasing_nobody_is_no_mistake_and_leaves_no_trace(scene: Scene) -> None:
    before = scene.leaves()
    erasure = scene.store.erase("nobody", reference="request 1")
    assert (erasure.found, erasure.key_ids, erasure.leaves, erasure.file) == (0, (), (), b"")
    assert scene.leaves() == before
    lived_in(scene)
    scene.store.erase(ACCOUNT)
    assert scene.store.erase(ACCOUNT).found == 0


def test_many_are_erased_in_one_change_and_the_unknown_among_them_do_no_harm(scene: Scene) -> None:
    lived_in(scene)
    lived_in(scene, "acct-18")
    erasure = scene.store.erase([ACCOUNT, "nobody", "acct-18", ACCOUNT])
    assert (erasure.found, len(erasure.key_ids)) == (2, 8)


def test_one_bad_id_among_many_erases_nobody(scene: Scene) -> None:
    lived_in(scene)
    with pytest.raises(cp.InvalidAccount):
        scene.store.erase([ACCOUNT, ""])
    assert scene.profile() is not None


def test_a_plan_tells_what_would_die_and_kills_nothing(scene: Scene) -> None:
    lived_in(scene)
    before = scene.leaves()
    plan = scene.store.plan_erasure([ACCOUNT, "nobody"])
    assert (plan.found, plan.keys, plan.purposes) == (1, 4, tuple(sorted(PURPOSES)))
    assert scene.leaves() == before
    assert len(scene.store.erase([ACCOUNT]).key_ids) == plan.keys


def test_the_reference_is_kept_as_a_salted_commitment_only(scene: Scene) -> None:
    lived_in(scene)
    erasure = scene.store.erase(ACCOUNT, reference="request 2026-118", actor="officer:ada")
    assert erasure.reference_salt is not None
    commitment = hashlib.sha256(bytes.fromhex(erasure.reference_salt) + b"request 2026-118").hexdigest()
    leaves = [leaf for leaf in scene.leaves() if leaf.operation == "erased"]
    assert {leaf.facts["reference"] for leaf in leaves} == {commitment}
    assert {leaf.role for leaf in leaves} == {"officer"}
    assert erasure.reference_salt not in str(scene.leaves())
    certificate = cp.open_certificate(erasure.file, scene.store.audit.public_key)
    assert certificate.statement.reference == commitment
    assert erasure.reference_salt.encode() not in erasure.file
    assert b"2026-118" not in erasure.file


@pytest.mark.parametrize("reference", ["", "x" * 257, "a\nb"])
def test_a_reference_is_short_and_printable(scene: Scene, reference: str) -> None:
    lived_in(scene)
    with pytest.raises(cp.InputError):
        scene.store.erase(ACCOUNT, reference=reference)
    assert scene.profile() is not None


def test_the_log_is_whole_after_an_erasure_and_holds_no_account(scene: Scene) -> None:
    lived_in(scene)
    before = scene.leaves()
    scene.store.erase(ACCOUNT)
    assert scene.store.audit.verify().size == len(scene.leaves())
    assert scene.leaves()[: len(before)] == before
    assert ACCOUNT not in str(scene.leaves())


@pytest.mark.parametrize("end", ["withdraw", "erase"])
def test_another_handle_that_had_the_store_open_reads_nothing_either(scene: Scene, end: str) -> None:
    """A second handle, opened before, answers as if there had never been anything."""
    lived_in(scene)
    with (
        cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock) as other,
        other.view("support", "support-agent:17") as view,
    ):
        assert view.profile(ACCOUNT) is not None
        if end == "erase":
            scene.store.erase(ACCOUNT)
        else:
            scene.store.withdraw_consent(ACCOUNT, ["support"])
        assert view.profile(ACCOUNT) is None
