"""The audit log: nothing without a leaf, no leaf about anybody, and no change that verifying does not find."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

import consentprofile as cp
from consentprofile.tlog.merkle import leaf_hash
from tests.usecases.scene import ACCOUNT, NOW, Scene, event


def busy(scene: Scene) -> None:
    """A log of some length."""
    scene.give()
    for _ in range(7):
        scene.store.record(event())
        scene.profile()


def test_leaves_come_in_order_from_where_one_asks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(scene)
    whole = scene.leaves()
    monkeypatch.setattr("consentprofile.usecases.audit.PAGE", 4)
    assert [leaf.sequence for leaf in scene.leaves()] == list(range(len(whole)))
    assert list(scene.store.audit.log(5)) == whole[5:]
    assert list(scene.store.audit.log(len(whole))) == []
    assert scene.store.audit.verify().size == len(whole)


def test_a_new_store_begins_with_its_making_and_its_policy(scene: Scene) -> None:
    created, accepted = scene.leaves()
    assert (created.operation, accepted.operation) == ("store-created", "policy-accepted")
    assert accepted.policy == scene.store.policy.digest.hex()


def test_a_leaf_knows_the_hour_and_no_more(scene: Scene) -> None:
    busy(scene)
    assert {leaf.hour for leaf in scene.leaves()} == {NOW.replace(minute=0, second=0)}


def test_the_log_names_nobody_and_no_value(scene: Scene) -> None:
    scene.give(account="canary-account")
    scene.store.record(event(account="canary-account", device="canary-device", total=987, id="canary-id"))
    scene.profile(account="canary-account")
    scene.store.erase("canary-account", reference="canary-reference", actor="officer:canary")
    assert "canary" not in str(scene.leaves())
    assert "987" not in {str(value) for leaf in scene.leaves() for value in leaf.facts.values()}


def test_verifying_tells_the_root_and_the_root_changes_with_every_leaf(scene: Scene) -> None:
    seen = set()
    for _ in range(3):
        head = scene.store.audit.verify()
        assert scene.store.audit.verify() == head
        seen.add(head.root)
        scene.store.consents(ACCOUNT)
    assert len(seen) == 3


def test_key_ids_stand_only_in_the_leaves_of_grants_and_destructions(scene: Scene) -> None:
    busy(scene)
    scene.store.renew_consent(ACCOUNT, ["support"], notice="2024-01")
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    with_key = {leaf.operation for leaf in scene.leaves() if "key-id" in leaf.facts}
    assert with_key == {"consent-given", "consent-withdrawn"}


# ---- tampering ----------------------------------------------------------------------------------

Attack = Callable[[sqlite3.Connection], None]


def _forged(data: sqlite3.Connection, sequence: int) -> bytes:
    (body,) = data.execute("SELECT body FROM leaf WHERE sequence = ?", (sequence,)).fetchone()
    forged = bytes(body).replace(b"app", b"apq").replace(b"agent", b"agemt")
    assert forged != body
    return forged


def edit(data: sqlite3.Connection) -> None:
    data.execute("UPDATE leaf SET body = ? WHERE sequence = 5", (_forged(data, 5),))


def edit_with_its_hash(data: sqlite3.Connection) -> None:
    forged = _forged(data, 5)
    data.execute("UPDATE leaf SET body = ?, hash = ? WHERE sequence = 5", (forged, leaf_hash(forged)))


def delete(data: sqlite3.Connection) -> None:
    data.execute("DELETE FROM leaf WHERE sequence = 5")


def cut(data: sqlite3.Connection) -> None:
    data.execute("DELETE FROM leaf WHERE sequence >= 10")


def swap(data: sqlite3.Connection) -> None:
    data.execute("UPDATE leaf SET sequence = -1 WHERE sequence = 5")
    data.execute("UPDATE leaf SET sequence = 5 WHERE sequence = 7")
    data.execute("UPDATE leaf SET sequence = 7 WHERE sequence = -1")


def append(data: sqlite3.Connection) -> None:
    data.execute("INSERT INTO leaf SELECT 17, hash, body FROM leaf WHERE sequence = 16")


def destroy_the_tree(data: sqlite3.Connection) -> None:
    data.execute("DELETE FROM tree")


ATTACKS: list[tuple[Attack, range]] = [
    (edit, range(5, 6)),
    (edit_with_its_hash, range(6)),
    (delete, range(5, 6)),
    (cut, range(10, 11)),
    (swap, range(5, 6)),
    (append, range(17, 18)),
    (destroy_the_tree, range(1)),
]


@pytest.mark.parametrize(("attack", "named"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_whoever_tampers_with_the_log_is_found_with_the_first_bad_leaf(
    scene: Scene, attack: Attack, named: range
) -> None:
    """A leaf that was forged together with its hash is found by the tree, which names the subtree it stands in."""
    busy(scene)
    assert len(scene.leaves()) == 17
    scene.store.audit.verify()
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data, data:
        attack(data)
    with pytest.raises(cp.BrokenLog) as broken:
        scene.store.audit.verify()
    assert broken.value.sequence in named
    findings = scene.store.check().findings
    assert [finding.where for finding in findings if finding.where == "audit log"]
    with suppress(cp.BrokenLog):  # it refuses to sign for such a log where it can tell from the tree alone
        scene.store.close()
    assert repr(scene.store) == "<Store, closed>"


def test_verifying_tells_how_far_it_has_come(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(scene)
    monkeypatch.setattr("consentprofile.usecases.audit.PAGE", 10)
    told: list[int] = []
    scene.store.audit.verify(told.append)
    assert told == [10, 17]
