"""Proofs for outsiders: they hold with the public key alone, for somebody who has written his own verifier."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

import consentprofile as cp
from consentprofile.store.ports import StoredHead
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.tlog.note import parse_key
from consentprofile.tlog.proof import consistency_proof, inclusion_proof, tree_root, verify_consistency
from consentprofile.tlog.tiles import Tile, parse_bundle, parse_path, tile_reader
from consentprofile.tlog.tlog_proof import parse_tlog_proof, verify_tlog_proof
from tests.usecases.outsider import (
    OutsidersHead,
    outsider_includes,
    outsider_opens,
    outsider_proves,
    outsider_reads,
    pymerkle_root,
)
from tests.usecases.scene import ACCOUNT, NOW, Scene, event

# ---- scenes ------------------------------------------------------------------------------------------


def grow(scene: Scene, count: int) -> None:
    """Append leaves as reads do."""
    session = scene.store._session
    draft = Draft(Operation.READ, int(NOW.timestamp()), "support", "support-agent", (("commitment", bytes(32)),))
    with session.ground.writing(), session.ground.files.data_transaction(full=False):
        session.ground.log.append([draft] * count, session.policy.digest)


def bodies(scene: Scene) -> list[bytes]:
    """The entries of the log, as they are hashed."""
    return [stored.body for stored in scene.store._session.ground.log.page(0, 10_000)]


def newest(scene: Scene) -> StoredHead:
    """The newest signed head."""
    found = scene.store._session.ground.heads.newest()
    assert found is not None
    return found


def other_scene(folder: Path) -> Scene:
    """Another store."""
    folder.mkdir()
    return Scene(folder)


# ---- one leaf ------------------------------------------------------------------------------------------


def test_every_leaf_has_a_proof_that_holds_with_the_public_key_alone(scene: Scene) -> None:
    scene.give("support", "marketing")
    scene.store.record(event())
    scene.profile()
    scene.store.erase(ACCOUNT, reference="request 1")
    scene.store.audit.verify()
    public_key, entries = scene.store.audit.public_key, bodies(scene)
    proofs = [scene.store.audit.prove(sequence) for sequence in range(len(entries))]
    scene.store.close()
    for sequence, (proof, entry) in enumerate(zip(proofs, entries, strict=True)):
        parsed = parse_tlog_proof(proof)
        assert (parsed.index, parsed.encode()) == (sequence, proof)
        verify_tlog_proof(parsed, entry, parse_key(public_key))
        assert outsider_proves(proof, entry, public_key).size >= len(entries)


def test_a_proof_is_for_its_entry_its_place_and_its_log(scene: Scene, tmp_path: Path) -> None:
    scene.give("support", "marketing", "planning")
    proof = parse_tlog_proof(scene.store.audit.prove(3))
    key, entries = parse_key(scene.store.audit.public_key), bodies(scene)
    verify_tlog_proof(proof, entries[3], key)
    for other in (*entries[:3], entries[4], entries[3] + b"\0", b""):
        with pytest.raises(cp.ProofRefused):
            verify_tlog_proof(proof, other, key)
    other_log = other_scene(tmp_path / "other")
    with pytest.raises(cp.ProofRefused):
        verify_tlog_proof(proof, entries[3], parse_key(other_log.store.audit.public_key))
    other_log.store.close()


def test_a_leaf_that_no_head_covers_yet_has_one_signed(scene: Scene) -> None:
    scene.store.audit.checkpoint()
    scene.give()
    assert parse_tlog_proof(scene.store.audit.prove(0)).checkpoint.text.split("\n")[1] == "2"
    assert parse_tlog_proof(scene.store.audit.prove(2)).checkpoint.text.split("\n")[1] == "3"
    assert newest(scene).size == 3


@pytest.mark.parametrize("sequence", [-1, 2, 10**6, 2**63, 2**80])
def test_a_leaf_that_is_not_there_cannot_be_proved(scene: Scene, sequence: int) -> None:
    with pytest.raises(cp.InputError, match="no such leaf"):
        scene.store.audit.prove(sequence)
    assert scene.store._session.ground.heads.newest() is None


def test_proofs_stay_good_when_the_log_grows(scene: Scene) -> None:
    scene.give()
    proof, entry = scene.store.audit.prove(2), bodies(scene)[2]
    grow(scene, 300)
    scene.store.audit.checkpoint()
    assert outsider_proves(proof, entry, scene.store.audit.public_key).size == 3
    assert len(parse_tlog_proof(scene.store.audit.prove(2)).hashes) == 9


@given(size=st.integers(1, 900), data=st.data())
def test_the_outsiders_verifier_agrees_with_ours(size: int, data: st.DataObject) -> None:
    """On trees whose leaves are their numbers; the naive definitions are in tests/tlog."""
    index = data.draw(st.integers(0, size - 1))

    def read(level: int, at: int) -> bytes:
        if level == 0:
            return sha256(b"\x00%d" % at).digest()
        return sha256(b"\x01" + read(level - 1, 2 * at) + read(level - 1, 2 * at + 1)).digest()

    path = inclusion_proof(index, size, read)
    assert outsider_includes(b"%d" % index, index, size, path) == tree_root(size, read)


def test_the_outsiders_verifier_refuses_a_forged_head(scene: Scene) -> None:
    note = scene.store.audit.checkpoint()
    with pytest.raises(InvalidSignature):
        outsider_opens(note.replace(b"\n2\n", b"\n3\n"), scene.store.audit.public_key)


# ---- a log that extends ---------------------------------------------------------------------------------


def test_the_log_extends_each_of_its_earlier_heads(scene: Scene) -> None:
    seen = []
    for number in range(6):
        grow(scene, number + 1)
        seen.append(scene.store.audit.checkpoint())
    sizes = [scene.store.audit.extends(note) for note in seen]
    assert sizes == [outsider_opens(note, scene.store.audit.public_key).size for note in seen]
    scene.store.erase(ACCOUNT)
    scene.reopen()
    assert [scene.store.audit.extends(note) for note in seen] == sizes


def test_a_head_of_another_log_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = other_scene(tmp_path / "other")
    foreign = other.store.audit.checkpoint()
    other.store.close()
    with pytest.raises(cp.ProofRefused):
        scene.store.audit.extends(foreign)


BAD_HEADS: Final = (b"", b"\n", b"checkpoint", b"\xff" * 100, b"a\n1\n\n", b"x" * 1_000_001)


@pytest.mark.parametrize("seen", BAD_HEADS, ids=range(len(BAD_HEADS)))
def test_what_is_no_checkpoint_is_refused(scene: Scene, seen: bytes) -> None:
    with pytest.raises(cp.ProofRefused):
        scene.store.audit.extends(seen)


def test_a_store_put_back_as_a_whole_is_found_by_whoever_kept_a_head(scene: Scene) -> None:
    """Both files are older ones, so they agree with each other, and only a head kept elsewhere tells."""
    scene.give()
    scene.store.audit.checkpoint()
    scene.store.close()
    shutil.copytree(scene.folder / "store", scene.folder / "old")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.store.consents(ACCOUNT)
    seen = scene.store.audit.checkpoint()
    scene.store.close()
    shutil.rmtree(scene.folder / "store")
    shutil.copytree(scene.folder / "old", scene.folder / "store")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.store.audit.verify()
    with pytest.raises(cp.ProofRefused, match="fewer"):
        scene.store.audit.extends(seen)
    for _ in range(3):
        scene.store.record(event())
        scene.profile()
    scene.store.audit.verify()
    with pytest.raises(cp.ProofRefused, match="consistency proof"):
        scene.store.audit.extends(seen)


# ---- the export -----------------------------------------------------------------------------------------


def read_back(folder: Path, scene: Scene) -> OutsidersHead:
    """Verify an export with nothing but its files and the public key; the head it is under."""
    note = (folder / "checkpoint").read_bytes()
    head = outsider_opens(note, scene.store.audit.public_key)
    read = tile_reader(lambda tile: (folder / tile.path()).read_bytes(), head.size)
    assert tree_root(head.size, read) == head.root
    entries = outsider_reads(folder, head.size)
    assert entries == bodies(scene)[: head.size]
    assert pymerkle_root(entries) == head.root
    for index in {0, head.size // 2, head.size - 1}:
        assert outsider_includes(entries[index], index, head.size, inclusion_proof(index, head.size, read)) == head.root
    for old in {1, head.size // 2 + 1, head.size}:
        proof = consistency_proof(old, head.size, read)
        verify_consistency(old, pymerkle_root(entries[:old]), head.size, head.root, proof)
    return head


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of an export."""
    paths = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("size", [2, 255, 256, 257, 600])
def test_an_export_is_the_whole_log_as_static_files(scene: Scene, size: int) -> None:
    grow(scene, size - 2)
    out = scene.folder / "log"
    exported = scene.store.audit.export(out)
    files = files_of(out)
    assert (exported.size, exported.files) == (size, len(files))
    assert read_back(out, scene).size == size
    for path in files.keys() - {"checkpoint"}:
        tile = parse_path(path)
        assert tile.path() == path
        if tile.level is None:
            assert all(leaves.decode(entry) for entry in parse_bundle(files[path], tile.width))


def test_an_export_of_tiles_above_tiles_reads_back(scene: Scene) -> None:
    """The second level of tiles begins with leaf 65,536; a log as long as that is cheap to make."""
    grow(scene, 256 * 256 + 300)
    scene.store.audit.export(scene.folder / "log")
    size = 256 * 256 + 302
    assert (scene.folder / "log" / Tile(2, 0, 1).path()).is_file()
    head = outsider_opens((scene.folder / "log" / "checkpoint").read_bytes(), scene.store.audit.public_key)
    read = tile_reader(lambda tile: (scene.folder / "log" / tile.path()).read_bytes(), size)
    assert (head.size, head.root) == (size, tree_root(size, read))


def test_a_later_export_adds_what_is_new_and_leaves_the_rest(scene: Scene) -> None:
    out = scene.folder / "log"
    grow(scene, 598)
    scene.store.audit.export(out)
    before = files_of(out)
    full = {path: (out / path).stat().st_mtime_ns for path in before if ".p/" not in path and path != "checkpoint"}
    grow(scene, 200)
    told: list[int] = []
    added = scene.store.audit.export(out, told.append)
    after = files_of(out)
    assert read_back(out, scene).size == added.size == 800
    assert {path: after[path] for path in before.keys() - {"checkpoint"}} == {
        path: data for path, data in before.items() if path != "checkpoint"
    }
    assert {path: (out / path).stat().st_mtime_ns for path in full} == full
    assert len(after) - len(before) == added.files - 1 == told[-1]
    assert told == list(range(1, added.files))


def test_an_export_of_nothing_new_changes_nothing(scene: Scene) -> None:
    out = scene.folder / "log"
    scene.store.audit.export(out)
    before = files_of(out)
    assert scene.store.audit.export(out).files == 1
    assert files_of(out) == before


def test_an_export_names_nobody(scene: Scene) -> None:
    scene.give(account="canary-account")
    scene.store.record(event(account="canary-account", device="canary-device", id="canary-id"))
    scene.profile(account="canary-account")
    scene.store.erase("canary-account", reference="canary-reference", actor="officer:canary")
    scene.store.audit.export(scene.folder / "log")
    assert [path for path, data in files_of(scene.folder / "log").items() if b"canary" in data] == []


def test_an_export_never_goes_over_that_of_another_log(scene: Scene, tmp_path: Path) -> None:
    other = other_scene(tmp_path / "other")
    other.store.audit.export(scene.folder / "log")
    other.store.close()
    before = files_of(scene.folder / "log")
    with pytest.raises(cp.ProofRefused):
        scene.store.audit.export(scene.folder / "log")
    assert files_of(scene.folder / "log") == before


def test_an_export_never_goes_over_a_longer_or_forked_one_of_the_same_log(scene: Scene) -> None:
    out = scene.folder / "log"
    scene.store.close()
    shutil.copytree(scene.folder / "store", scene.folder / "old")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    scene.give()
    scene.store.audit.export(out)
    scene.store.close()
    shutil.rmtree(scene.folder / "store")
    shutil.copytree(scene.folder / "old", scene.folder / "store")
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)
    before = files_of(out)
    for _ in range(3):
        with pytest.raises(cp.ProofRefused):
            scene.store.audit.export(out)
        scene.store.consents(ACCOUNT)
    assert files_of(out) == before


def test_an_export_that_cannot_be_written_says_so_and_leaves_no_checkpoint(scene: Scene) -> None:
    (scene.folder / "file").write_text("in the way")
    with pytest.raises(cp.StoreFault):
        scene.store.audit.export(scene.folder / "file")
    (scene.folder / "log" / "tile").mkdir(parents=True)
    (scene.folder / "log" / "tile" / "0").write_text("in the way")
    with pytest.raises(cp.StoreFault):
        scene.store.audit.export(scene.folder / "log")
    assert not (scene.folder / "log" / "checkpoint").exists()
    (scene.folder / "log" / "tile" / "0").unlink()
    scene.store.audit.export(scene.folder / "log")
    read_back(scene.folder / "log", scene)
    assert [path for path in files_of(scene.folder / "log") if path.endswith(".part")] == []


def test_an_export_that_was_cut_short_is_made_whole_by_the_next(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint comes last, so half an export still stands under the earlier one."""
    out = scene.folder / "log"
    grow(scene, 300)
    scene.store.audit.export(out)
    first = (out / "checkpoint").read_bytes()
    grow(scene, 300)

    def stop(files: int) -> None:
        if files == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.store.audit.export(out, stop)
    assert (out / "checkpoint").read_bytes() == first
    scene.store.audit.export(out)
    assert read_back(out, scene).size == 602
