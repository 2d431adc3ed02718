"""Heads: one after each act of an officer, durable before it is signed, signed before it is anchored, never of another
tree than the one that was signed before."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.model.policy_file import read_policy
from consentprofile.store.ports import StoredHead
from consentprofile.tlog.checkpoint import Checkpoint, open_checkpoint
from consentprofile.tlog.note import parse_key
from tests.usecases.scene import ACCOUNT, NOW, POLICY, Scene, event

ROOT: Final = Path(__file__).resolve().parents[2]
KILLED: Final = 97

SPEC: Final = """\
format = 1
name = "reach"
purpose = "planning"
measure = "reach"
by = ["platform"]
from = 2024-02-01
until = 2024-03-01
zone = "Europe/Berlin"

[protection]
kind = "threshold"
min_accounts = 3
"""


def newest(scene: Scene) -> StoredHead:
    """The newest signed head."""
    found = scene.store._session.ground.heads.newest()
    assert found is not None
    return found


def size(scene: Scene) -> int:
    """How many leaves there are."""
    return scene.store._session.ground.log.head()[0].size


def anchors(scene: Scene) -> list[tuple[int, bytes]]:
    """What the keyring knows of the log."""
    return scene.store._session.ground.keyring.anchors()


def opened(scene: Scene, note: bytes) -> Checkpoint:
    """A checkpoint, once verified with the public key."""
    return open_checkpoint(note, parse_key(scene.store.audit.public_key))


def change(scene: Scene, file: str, statement: str, *parameters: object) -> int:
    """Change a file as somebody with write access might."""
    with closing(sqlite3.connect(scene.folder / "store" / file)) as connection, connection:
        return connection.execute(statement, parameters).rowcount


# ---- when ------------------------------------------------------------------------------------------


def expire(scene: Scene) -> object:
    scene.clock.move(days=400)
    return scene.store.upkeep.expire_consents(attended=True)


def release(scene: Scene) -> object:
    path = scene.folder / "reach.toml"
    path.write_text(SPEC)
    return scene.store.release(path, scene.folder / "out")


ACTS: Final[dict[str, Callable[[Scene], object]]] = {
    "erase": lambda scene: scene.store.erase(ACCOUNT),
    "withdraw": lambda scene: scene.store.withdraw_consent(ACCOUNT, ["support"]),
    "invalidate": lambda scene: scene.store.invalidate_consent(ACCOUNT, ["support"]),
    "suppress": lambda scene: scene.store.suppress(ACCOUNT, "deceased"),
    "expire": expire,
    "access": lambda scene: scene.store.access(ACCOUNT),
    "release": release,
    "keyring backup": lambda scene: scene.store.back_up_keyring(scene.folder / "keys.backup"),
    "check": lambda scene: scene.store.check(),
    "checkpoint": lambda scene: scene.store.audit.checkpoint(),
    "export": lambda scene: scene.store.audit.export(scene.folder / "log"),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_an_officer_does_is_signed_for_when_it_returns(scene: Scene, act: str) -> None:
    scene.give("support", "marketing")
    scene.store.record(event())
    ACTS[act](scene)
    head = newest(scene)
    assert head.size == size(scene)
    assert opened(scene, head.note) == Checkpoint(scene.store._session.origin, head.size, head.root)
    assert anchors(scene) == [(head.size, head.root)]
    assert scene.store.audit.verify().root == head.root.hex()


def test_lifting_a_suppression_is_signed_for(scene: Scene) -> None:
    scene.store.suppress(ACCOUNT, "deceased")
    before = newest(scene)
    scene.store.lift_suppression(ACCOUNT, "deceased")
    assert newest(scene).size == size(scene) == before.size + 1


def test_recording_and_reading_sign_nothing_by_themselves(scene: Scene) -> None:
    scene.give()
    head = scene.store.audit.checkpoint()
    scene.store.record(event())
    scene.profile()
    assert newest(scene).note == head


def test_closing_signs_for_what_was_done_since(scene: Scene) -> None:
    scene.give()
    grown = size(scene)
    scene.reopen()
    assert newest(scene).size == grown == size(scene)


def test_where_nothing_was_logged_nothing_is_signed(scene: Scene) -> None:
    scene.give()
    first = scene.store.audit.checkpoint()
    changes = scene.store._session.ground.keyring.changes()
    assert [scene.store.audit.checkpoint() for _ in range(3)] == [first] * 3
    scene.reopen()
    scene.reopen()
    assert scene.store.audit.checkpoint() == first
    assert scene.store.audit.verify().checkpoints == 1
    assert scene.store._session.ground.keyring.changes() == changes


def test_heads_stay_and_each_extends_the_one_before(scene: Scene) -> None:
    notes = []
    for number in range(5):
        scene.give(account=f"acct-{number}")
        notes.append(scene.store.audit.checkpoint())
    sizes = [opened(scene, note).size for note in notes]
    assert sizes == sorted(set(sizes))
    assert [scene.store.audit.extends(note) for note in notes] == sizes
    assert scene.store.audit.verify().checkpoints == len(notes)


def test_the_origin_is_the_one_that_was_named(tmp_path: Path) -> None:
    policy, key = read_policy(POLICY, "policy.toml"), cp.KeyFile(tmp_path / "named.key")
    with cp.Store.create(
        tmp_path / "named", policy=policy, key=key, clock=lambda: NOW, origin="shop.example/consent-log"
    ) as store:
        assert store.audit.public_key.startswith("shop.example/consent-log+")
        assert store.audit.checkpoint().startswith(b"shop.example/consent-log\n2\n")
    for bad in ("", "two words", "a+b", "a\nb", "x" * 257):
        with pytest.raises(cp.InputError):
            cp.Store.create(tmp_path / "bad", policy=policy, key=key, origin=bad)
        assert not (tmp_path / "bad").exists()


# ---- killed between the steps ------------------------------------------------------------------------

CHILD: Final = """
import os, sys
from datetime import datetime
import consentprofile as cp
from consentprofile.store.heads import Heads
from consentprofile.usecases import heads

path, key, now, step = sys.argv[1:]
clock = datetime.fromisoformat(now)
begin, finish, sign, anchor = Heads.begin, Heads.finish, heads.sign_checkpoint, heads._anchor

def die(*_):
    os._exit(97)

def then_die(work):
    def both(*arguments):
        work(*arguments)
        die()
    return both

if step == "beginning":
    Heads.begin = then_die(begin)          # written, not committed
elif step == "begun":
    heads.sign_checkpoint = die            # committed, not signed
elif step == "signed":
    heads.sign_checkpoint = then_die(sign)
elif step == "finishing":
    Heads.finish = then_die(finish)
elif step == "finished":
    heads._anchor = die                    # signed and committed, not anchored
elif step == "anchored":
    heads._anchor = then_die(anchor)

store = cp.Store.open(path, key=cp.KeyFile(key), clock=lambda: clock)
store.consents("acct-of-the-child")
store.audit.checkpoint()
"""


def die_at(scene: Scene, step: str) -> None:
    """Another process signs a head and ends without any warning at ``step``."""
    arguments = [str(scene.folder / "store"), str(scene.folder / "key"), NOW.isoformat(), step]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == KILLED


@pytest.mark.parametrize("step", ["beginning", "begun", "signed", "finishing", "finished", "anchored"])
def test_killed_while_a_head_was_being_signed(scene: Scene, step: str) -> None:
    """The store opens, verifies and signs on; the anchor lags behind the heads and never leads."""
    scene.give()
    first = scene.store.audit.checkpoint()
    scene.store.close()
    die_at(scene, step)
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    head, grown = newest(scene), size(scene)
    assert (head.size == grown) is (step in ("finished", "anchored"))
    assert head.size >= anchors(scene)[0][0]
    assert (anchors(scene) == [(head.size, head.root)]) is (step != "finished")
    scene.store.audit.verify()
    second = scene.store.audit.checkpoint()
    assert opened(scene, second).size == grown
    assert anchors(scene) == [(grown, opened(scene, second).root)]
    assert scene.store.audit.extends(first) == opened(scene, first).size
    scene.give("marketing")
    scene.reopen()
    assert newest(scene).size == size(scene) == grown + 1
    scene.store.audit.verify()
    assert scene.store.check().is_clean


@pytest.mark.parametrize("step", ["begun", "finished"])
def test_a_head_that_was_left_behind_is_overtaken_by_a_longer_log(scene: Scene, step: str) -> None:
    scene.store.close()
    die_at(scene, step)
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.give()
    scene.store.audit.checkpoint()
    assert newest(scene).size == size(scene)
    scene.store.audit.verify()
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data:
        assert data.execute("SELECT count(*) FROM checkpoint WHERE note = x''").fetchone() == (0,)


# ---- what is never signed ------------------------------------------------------------------------------


def refuse_to_sign(scene: Scene) -> cp.BrokenLog:
    """Every way to have a head signed raises the same error, and no head is signed."""
    before = scene.store._session.ground.heads.after(-1), anchors(scene)
    with pytest.raises(cp.BrokenLog) as caught:
        scene.store.audit.checkpoint()
    with pytest.raises(cp.BrokenLog):
        scene.store.audit.export(scene.folder / "log")
    assert (scene.store._session.ground.heads.after(-1), anchors(scene)) == before
    return caught.value


def abandon(scene: Scene) -> None:
    """Close a store whose head cannot be signed: nothing is signed, and its files are closed."""
    heads = scene.store._session.ground.heads.after(-1)
    scene.store.close()
    with pytest.raises(cp.StoreClosed):
        scene.store.statistics()
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data:
        assert data.execute("SELECT size, root, note FROM checkpoint ORDER BY size").fetchall() == heads


def test_no_head_is_signed_over_older_data_put_back(scene: Scene) -> None:
    """The keyring knows of a longer log: closing and signing refuse, and verifying names where it was cut."""
    scene.give()
    scene.store.close()
    shutil.copy(scene.folder / "store" / "data.db", scene.folder / "old.db")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    cut = size(scene)
    scene.give("marketing")
    scene.store.close()
    shutil.copy(scene.folder / "old.db", scene.folder / "store" / "data.db")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    assert refuse_to_sign(scene).sequence == cut
    with pytest.raises(cp.BrokenLog) as caught:
        scene.store.audit.verify()
    assert caught.value.sequence == cut
    abandon(scene)
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.store.consents(ACCOUNT)
    scene.store.consents(ACCOUNT)
    assert refuse_to_sign(scene).sequence in (0, cut + 2)
    abandon(scene)


def test_that_no_head_could_be_signed_on_closing_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.give()
    scene.store.audit.checkpoint()
    scene.give("marketing")
    change(scene, "keys.db", "UPDATE anchor SET root = zeroblob(32)")
    abandon(scene)
    assert [(record.name, record.levelname) for record in caplog.records] == [("consentprofile", "ERROR")]
    assert "was not signed" in caplog.text
    assert ACCOUNT not in caplog.text


def test_what_an_officer_did_stands_though_it_could_not_be_signed_for(scene: Scene) -> None:
    """An access on a log that was tampered with is answered, and the head is not signed."""
    scene.give()
    scene.store.audit.checkpoint()
    change(scene, "keys.db", "UPDATE anchor SET root = zeroblob(32)")
    before = newest(scene)
    assert scene.store.access(ACCOUNT).account == ACCOUNT
    assert newest(scene) == before
    abandon(scene)


def test_no_head_is_signed_over_a_forked_log(scene: Scene) -> None:
    """Older data put back and grown beyond the anchor in another way."""
    scene.give()
    scene.store.close()
    shutil.copy(scene.folder / "store" / "data.db", scene.folder / "old.db")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.store.record(event())
    scene.store.close()
    shutil.copy(scene.folder / "old.db", scene.folder / "store" / "data.db")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    for _ in range(3):
        scene.store.consents(ACCOUNT)
    refuse_to_sign(scene)
    with pytest.raises(cp.BrokenLog):
        scene.store.audit.verify()
    abandon(scene)


TAMPERED: Final = {
    "the frontier": ("data.db", "UPDATE tree SET frontier = CAST(substr(frontier, 1, 71) || 'x' AS BLOB)"),
    "a node": ("data.db", "UPDATE node SET hash = zeroblob(32) WHERE level = 2 AND position = 0"),
    "the root of the newest head": ("data.db", "UPDATE checkpoint SET root = zeroblob(32)"),
    "the anchor": ("keys.db", "UPDATE anchor SET root = zeroblob(32)"),
    "the size of the anchor": ("keys.db", "UPDATE anchor SET size = 1000000"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_no_head_is_signed_where_this_was_tampered_with(scene: Scene, what: str) -> None:
    scene.give("support", "marketing", "planning")
    scene.store.audit.checkpoint()
    scene.store.consents(ACCOUNT)
    assert size(scene) == 6
    assert change(scene, *TAMPERED[what]) == 1
    refuse_to_sign(scene)
    abandon(scene)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoint SET note = x'00'",
        "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), '— ', '— x') AS BLOB)",
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint ORDER BY size LIMIT 1)",
    ],
    ids=["junk", "another name", "an older note"],
)
def test_a_head_that_does_not_hold_is_never_shown(scene: Scene, statement: str) -> None:
    scene.store.audit.checkpoint()
    scene.give()
    grown = opened(scene, scene.store.audit.checkpoint()).size
    change(scene, "data.db", statement)
    assert refuse_to_sign(scene).sequence == grown
    with pytest.raises(cp.BrokenLog):
        scene.store.audit.prove(0)


def test_only_a_key_that_can_sign_signs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of fewer rights reads and records; heads are signed by somebody else later."""
    scene.give()
    monkeypatch.setattr(scene.store._session.keys, "signing", None)
    with pytest.raises(cp.BeyondCapability):
        scene.store.audit.checkpoint()
    scene.store.record(event())
    scene.store.close()
    monkeypatch.undo()
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.store.audit.checkpoint()
    assert newest(scene).size == size(scene)
