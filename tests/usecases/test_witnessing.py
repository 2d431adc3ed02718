"""The witness: it signs what extends what it saw, and nothing else; what it has handed out it never forgets."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.tlog.checkpoint import open_checkpoint
from consentprofile.tlog.cosignature import verify_cosignature
from consentprofile.tlog.note import parse_key, parse_note
from consentprofile.usecases import witnessing
from consentprofile.usecases.witnessing import Cosigned, make_key, witness
from tests.usecases.scene import ACCOUNT, NOW, Scene

NAME: Final = "auditor.example/w1"


class Watch:
    """A store whose log is exported, and a witness of it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.folder = scene.folder
        self.export = self.folder / "log"
        self.key_file = self.folder / "w.key"
        self.state = self.folder / "seen"
        self.key = make_key(self.key_file, NAME)
        self.log_key = scene.store.audit.public_key

    def grow(self, leaves: int = 1) -> int:
        """Let the log grow, and export it; its size."""
        for _ in range(leaves):
            self.scene.store.consents(ACCOUNT)
        return self.scene.store.audit.export(self.export).size

    def look(self, *, first: bool = False, log_key: str | None = None, export: Path | None = None) -> Cosigned:
        return witness(
            export or self.export,
            self.log_key if log_key is None else log_key,
            self.key_file,
            self.state,
            first=first,
            now=self.scene.clock.now,
        )

    def seen(self) -> bytes | None:
        return self.state.read_bytes() if self.state.exists() else None


@pytest.fixture
def watch(scene: Scene) -> Watch:
    return Watch(scene)


def test_it_cosigns_each_head_that_extends_the_one_before(watch: Watch) -> None:
    """Across sizes at which tiles fill up and partial ones are outgrown."""
    earlier = None
    for leaves in (1, 0, 3, 250, 1, 1, 300):
        size = watch.grow(leaves)
        done = watch.look(first=earlier is None)
        assert (done.size, done.earlier) == (size, earlier)
        assert watch.seen() == done.note
        note = parse_note(done.note)
        assert verify_cosignature(note, watch.key.verifier) == int(NOW.timestamp())
        assert open_checkpoint(done.note, parse_key(watch.log_key)).size == size
        earlier = size


def test_what_it_signed_shows_a_rewriting_to_the_store_itself(watch: Watch) -> None:
    watch.grow()
    cosigned = watch.look(first=True)
    watch.grow(3)
    assert watch.scene.store.audit.extends(cosigned.note) == cosigned.size


def test_the_same_head_is_cosigned_again_with_a_new_time_and_one_line(watch: Watch) -> None:
    watch.grow()
    watch.look(first=True)
    watch.scene.clock.move(days=1)
    again = watch.look()
    assert again.earlier == again.size
    note = parse_note(again.note)
    assert [item.name for item in note.signatures].count(NAME) == 1
    assert verify_cosignature(note, watch.key.verifier) == int((NOW + timedelta(days=1)).timestamp())


def test_partial_tiles_that_were_deleted_are_read_from_the_full_ones(watch: Watch) -> None:
    """The export has grown past the checkpoint, and somebody has tidied up."""
    watch.grow(3)
    watch.look(first=True)
    watch.grow(5)
    checkpoint = (watch.export / "checkpoint").read_bytes()
    watch.grow(300)
    (watch.export / "checkpoint").write_bytes(checkpoint)
    for partial in watch.export.rglob("*.p"):
        shutil.rmtree(partial)
    assert watch.look().size == int(checkpoint.split(b"\n")[1])


# ---- attacks ------------------------------------------------------------------------------------


def set_back(watch: Watch) -> None:
    """The log is shown as it was."""
    (watch.export / "checkpoint").write_bytes(watch.folder.joinpath("old").read_bytes())


def fork(watch: Watch) -> None:
    """A copy of the store lived on by itself: another history, signed by the same key."""
    _live_on(watch, 5)


def fork_of_the_same_size(watch: Watch) -> None:
    """A fork that has grown exactly as much as what was cosigned."""
    _live_on(watch, 3)


def tile_changed(watch: Watch) -> None:
    """A hash in the tiles is another."""
    (tile,) = (watch.export / "tile" / "0").rglob(str(watch.grow() % 256))
    data = bytearray(tile.read_bytes())
    data[40] ^= 1
    tile.write_bytes(data)


def tile_cut(watch: Watch) -> None:
    """A tile is shorter than its name says."""
    (tile,) = (watch.export / "tile" / "0").rglob(str(watch.grow() % 256))
    tile.write_bytes(tile.read_bytes()[:-1])


def checkpoint_changed(watch: Watch) -> None:
    """A size is claimed that was never signed."""
    watch.grow()
    text = (watch.export / "checkpoint").read_text()
    size = text.split("\n")[1]
    (watch.export / "checkpoint").write_text(text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n"))


def checkpoint_of_another_log(watch: Watch) -> None:
    """Another log's head, by another key."""
    key = cp.KeyFile(watch.folder / "other-key")
    policy = watch.scene.store.policy
    with cp.Store.create(watch.folder / "other-store", policy=policy, key=key, clock=watch.scene.clock) as other:
        (watch.export / "checkpoint").write_bytes(other.audit.checkpoint())


def state_forged(watch: Watch) -> None:
    """The state is replaced by an earlier head, which the log has signed but the witness has not."""
    watch.state.write_bytes(watch.folder.joinpath("old").read_bytes())


def _live_on(watch: Watch, leaves: int) -> None:
    with cp.Store.open(watch.folder / "copy", key=watch.scene.key, clock=watch.scene.clock) as copy:
        for _ in range(leaves):
            copy.consents("somebody else")
        shutil.rmtree(watch.export)
        copy.audit.export(watch.export)


Attack = Callable[[Watch], None]
ATTACKS: Final[tuple[tuple[Attack, str], ...]] = (
    (set_back, "set back"),
    (fork, "forked or rewritten"),
    (fork_of_the_same_size, "another root for the size"),
    (tile_changed, "tiles of the export are not those"),
    (tile_cut, "length"),
    (checkpoint_changed, "signature does not hold"),
    (checkpoint_of_another_log, "not signed by the key"),
    (state_forged, "not signed by the key"),
)


@pytest.mark.parametrize(("attack", "words"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_an_attack_is_refused_and_nothing_is_signed_or_forgotten(watch: Watch, attack: Attack, words: str) -> None:
    watch.grow(2)
    (watch.folder / "old").write_bytes((watch.export / "checkpoint").read_bytes())
    watch.scene.store.close()
    shutil.copytree(watch.folder / "store", watch.folder / "copy")
    watch.scene.reopen()
    for number in range(3):
        watch.scene.give(account=f"acct-{number}")
    watch.grow(0)
    watch.look(first=True)
    attack(watch)
    seen = watch.seen()
    with pytest.raises(cp.ProofRefused, match=words):
        watch.look()
    assert watch.seen() == seen


def test_a_crash_after_remembering_hands_out_nothing_else_later(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """It remembers first: what it has remembered it may give out again, and nothing beside it."""
    watch.grow()
    watch.look(first=True)
    watch.grow()
    remembered: list[bytes] = []
    remember = witnessing._remember

    def crash(state: Path, note: bytes) -> None:
        remember(state, note)
        remembered.append(note)
        raise KeyboardInterrupt

    monkeypatch.setattr(witnessing, "_remember", crash)
    with pytest.raises(KeyboardInterrupt):
        watch.look()
    monkeypatch.undo()
    assert [watch.seen()] == remembered
    assert watch.look().note == remembered[0]


def test_a_state_that_cannot_be_written_signs_nothing(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.grow()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    before = sorted(watch.folder.iterdir())
    with pytest.raises(cp.InputError, match="nothing was cosigned"):
        watch.look(first=True)
    assert sorted(watch.folder.iterdir()) == before


# ---- beginning, and keys ------------------------------------------------------------------------


def test_it_begins_once_and_only_when_told_to(watch: Watch) -> None:
    watch.grow()
    with pytest.raises(cp.InputError, match="no state yet"):
        watch.look()
    watch.look(first=True)
    with pytest.raises(cp.InputError, match="begins only once"):
        watch.look(first=True)


def test_what_is_not_there_is_named_and_nothing_is_remembered(watch: Watch) -> None:
    watch.grow()
    with pytest.raises(cp.UnreadableInput, match="checkpoint of the export"):
        watch.look(first=True, export=watch.folder / "nowhere")
    shutil.rmtree(watch.export / "tile")
    with pytest.raises(cp.UnreadableInput, match="a tile of the export"):
        watch.look(first=True)
    with pytest.raises(cp.ProofRefused):
        watch.look(first=True, log_key="no key")
    assert watch.seen() is None


def test_a_new_key_is_for_its_owner_alone_and_never_over_another(watch: Watch) -> None:
    assert stat.S_IMODE(watch.key_file.stat().st_mode) == 0o600
    line = watch.key_file.read_text()
    assert line.startswith(f"PRIVATE+KEY+{NAME}+{watch.key.verifier.key_id.hex()}+")
    with pytest.raises(cp.KeyUnavailable):
        make_key(watch.key_file, NAME)
    assert watch.key_file.read_text() == line
    with pytest.raises(cp.InputError):
        make_key(watch.folder / "two", "two words")
    assert not (watch.folder / "two").exists()


BAD_KEYS: Final = {
    "empty": lambda line: "",
    "no prefix": lambda line: line.removeprefix("PRIVATE+KEY+"),
    "another name": lambda line: line.replace("w1", "w2"),
    "another id": lambda line: line.replace(line.split("+")[3], "00000000"),
    "cut": lambda line: line[:-9] + "\n",
    "two lines": lambda line: line + line,
    "no base64": lambda line: line[:-3] + "!!\n",
}


@pytest.mark.parametrize("change", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_file_that_holds_no_key_is_refused_without_repeating_it(
    watch: Watch, change: Callable[[str], str]
) -> None:
    watch.grow()
    line = watch.key_file.read_text()
    watch.key_file.write_text(change(line))
    with pytest.raises(cp.KeyUnavailable) as refused:
        watch.look(first=True)
    secret = line.split("+", 4)[4].strip()  # base64 has plus signs of its own
    assert len(secret) == 44
    assert secret not in str(refused.value)
    assert watch.seen() is None


def test_a_key_that_others_may_read_or_that_is_not_there_is_refused(watch: Watch) -> None:
    watch.grow()
    watch.key_file.chmod(0o644)
    with pytest.raises(cp.KeyUnavailable, match="read by others"):
        watch.look(first=True)
    watch.key_file.unlink()
    with pytest.raises(cp.KeyUnavailable, match="cannot be read"):
        watch.look(first=True)


def test_the_key_shows_nothing_of_itself(watch: Watch) -> None:
    assert repr(watch.key) == "<WitnessKey, withheld>"
    with pytest.raises(TypeError):
        pickle.dumps(watch.key)
