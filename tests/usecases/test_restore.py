"""Restoring: what was withdrawn stays gone, what was given stays given, and the log accounts for all of it."""

from __future__ import annotations

import shutil
import sqlite3
from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.model.policy_file import read_policy
from consentprofile.store.journal import JOURNAL
from tests.support.people import edit, look
from tests.usecases.scene import ACCOUNT, POLICY, Scene, event

ADA, BOB, EVE, ZOE = "acct-ada", "acct-bob", "acct-eve", "acct-zoe"
"""Withdrawn, erased, untouched, and new since the backup was made."""


class Ruin(Scene):
    """A store whose data and keyring were copied yesterday; a withdrawal, an erasure and a consent followed."""

    def __init__(self, folder: Path, text: str = POLICY) -> None:
        super().__init__(folder, text)
        self.path = folder / "store"
        self.data, self.keyring, self.journal = folder / "data.backup", folder / "keys.backup", folder / "shipped"
        for account in (ADA, BOB, EVE):
            self.give("support", "planning", account=account)
            for number in range(3):
                self.store.record(event(account=account, id=f"e-{number}"))
        self.store.back_up(self.data)
        self.store.back_up_keyring(self.keyring)
        self.clock.move(days=1)
        self.store.withdraw_consent(ADA, ["support"])
        self.store.erase(BOB)
        self.give("support", account=ZOE)
        self.store.record(event(account=ZOE, at=self.clock.now))
        self.store.record(event(account=EVE, at=self.clock.now, id="since"))
        self.journal.write_bytes(self.store.journal())
        self.store.close()

    def lose(self, *names: str) -> None:
        """Files of the store are gone."""
        for name in names:
            for ending in ("", "-wal", "-shm"):
                (self.path / (name + ending)).unlink(missing_ok=True)

    def restore(
        self,
        *,
        data: Path | None = None,
        keyring: Path | None = None,
        journal: Path | None = None,
        accept_undone: bool = False,
    ) -> cp.Restored:
        """Restore, and open the store again."""
        done = cp.Store.restore(
            self.path,
            key=self.key,
            clock=self.clock,
            data=data,
            keyring=keyring,
            journal=journal,
            accept_undone=accept_undone,
        )
        self.open()
        return done

    def plan(self, *, data: Path | None = None, keyring: Path | None = None) -> cp.Restored:
        return cp.Store.plan_restore(self.path, key=self.key, clock=self.clock, data=data, keyring=keyring)

    def open(self) -> None:
        self.store = cp.Store.open(self.path, key=self.key, clock=self.clock)

    def seen(self, purpose: str = "support") -> list[int | None]:
        """How many events of Ada, Bob, Eve and Zoe can be read."""
        found = [self.events(purpose, account) for account in (ADA, BOB, EVE, ZOE)]
        return [None if events is None else len(events) for events in found]

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the store that holds anything; an index of a write-ahead log holds nothing."""
        found = {path.name: path.read_bytes() for path in sorted(self.path.iterdir()) if path.suffix != ".db-shm"}
        return {name: data for name, data in found.items() if data}

    def sound(self, *, without_id: int = 0) -> None:
        """The log verifies, and nothing is left to be done but rows that can be purged, and ids that are lost."""
        self.store.audit.verify()
        left = [found.what for found in self.store.check().findings if "to be purged" not in found.what]
        assert [what for what in left if "whose id is lost" not in what] == []
        assert [what.split()[0] for what in left] == ([str(without_id)] if without_id else [])


@pytest.fixture
def ruin(tmp_path: Path) -> Ruin:
    return Ruin(tmp_path)


# ---- yesterday's data with today's keyring ------------------------------------------------------------


def test_what_was_withdrawn_stays_gone_and_what_was_given_since_stays_given(ruin: Ruin) -> None:
    done = ruin.restore(data=ruin.data)
    assert ruin.seen() == [None, None, 3, 0]
    assert ruin.seen("planning") == [3, None, 3, None]
    assert (ruin.state("support", ADA).state, ruin.state("support", ZOE).state) == ("withdrawn", "given")
    assert (done.purged["block"], done.opens["block"], sum(done.quarantined.values())) == (9, 9, 0)
    assert (done.destroyed_again, done.unknown, done.keys_gone, done.keys_found) == (0, False, 0, 0)
    assert ruin.store.check().findings == ()


def test_the_log_the_evidence_and_what_was_released_are_not_rolled_back(ruin: Ruin) -> None:
    ruin.open()
    before = ruin.leaves()
    history = [entry.act for entry in ruin.state("support", ZOE).history]
    ruin.store.close()
    assert ruin.restore(data=ruin.data).log == "kept"
    leaves = ruin.leaves()
    assert leaves[: len(before)] == before
    assert [leaf.operation for leaf in leaves[len(before) :]] == ["consent-read", "restored"]
    assert leaves[-1].facts == {"destroyed": 0, "purged": 10, "quarantined": 0}
    assert [entry.act for entry in ruin.state("support", ZOE).history] == history == ["give"]
    assert ruin.store.audit.verify().size == len(ruin.leaves())


def test_a_head_that_was_signed_before_is_still_one_of_the_log(ruin: Ruin) -> None:
    ruin.open()
    seen = ruin.store.audit.checkpoint()
    ruin.store.close()
    ruin.restore(data=ruin.data)
    assert ruin.store.audit.extends(seen) > 0


def test_a_dry_run_changes_nothing(ruin: Ruin) -> None:
    """A dry run says the same as the restore, and leaves every byte as it was."""
    ruin.lose("data.db-wal")
    before = ruin.snapshot()
    planned = ruin.plan(data=ruin.data)
    assert planned.dry_run
    assert ruin.snapshot() == before
    done = ruin.restore(data=ruin.data)
    assert (planned.opens, planned.purged, planned.leaves) == (done.opens, done.purged, done.leaves)


def test_a_succession_that_a_crash_has_cut_short_is_given_up_with_the_data_that_it_was_in(tmp_path: Path) -> None:
    """The journal has the old key already, the keyring still holds it, and data.db is lost: the old key lives on."""
    scene = Scene(tmp_path)
    scene.give()
    scene.store.record(event(id="old"))
    scene.store.back_up(tmp_path / "data.backup")
    scene.clock.move(days=70)
    scene.store.record(event(at=scene.clock.now, id="new"))
    scene.clock.move(days=50)

    class Ended(BaseException):
        """The process ended here."""

    def end(step: str) -> None:
        if step == "journalled":
            raise Ended

    scene.store._session.ground.pending._observe = end
    with pytest.raises(Ended):
        scene.store.upkeep.run_retention(attended=True)
    assert scene.store._session.ground.journal.path.exists()
    shutil.copytree(tmp_path / "store", tmp_path / "left")
    scene.store._session.ground.pending._observe = lambda _: None
    scene.store.close()
    (tmp_path / "left" / "data.db").write_bytes(b"lost")
    (tmp_path / "left" / "data.db-wal").unlink()
    done = cp.Store.restore(tmp_path / "left", key=scene.key, clock=scene.clock, data=tmp_path / "data.backup")
    assert (done.destroyed_again, done.opens["block"]) == (0, 1)
    with cp.Store.open(tmp_path / "left", key=scene.key, clock=scene.clock) as store:
        assert store.consents(ACCOUNT)["support"].state == "given"
        assert store.check().findings == ()


# ---- without the store's own log ----------------------------------------------------------------------


def test_a_log_that_was_lost_goes_on_as_a_new_lineage(ruin: Ruin) -> None:
    ruin.open()
    seen = ruin.store.audit.checkpoint()
    public, size = ruin.store.audit.public_key, len(ruin.leaves())
    ruin.store.close()
    ruin.lose("data.db")
    done = ruin.restore(data=ruin.data)
    assert (done.log, done.origin) == ("lineage", f"{public.split('+')[0]}/lineage-2")
    assert done.without_id == 1
    assert done.lost == size - next(leaf.sequence for leaf in ruin.leaves() if leaf.operation == "lineage-begun")
    leaf = next(leaf for leaf in ruin.leaves() if leaf.operation == "lineage-begun")
    assert leaf.facts["size"] == size
    assert bytes.fromhex(str(leaf.facts["root"])) == cp_root(seen)
    assert ruin.store.audit.public_key.split("+")[0] == done.origin
    assert ruin.store.audit.public_key.split("+")[2] == public.split("+")[2]
    ruin.sound(without_id=1)
    with pytest.raises(cp.ProofRefused):
        ruin.store.audit.extends(seen)  # it vouches for leaves that are lost


def test_a_head_of_the_old_lineage_over_what_is_left_still_holds(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.give()
    early = scene.store.audit.checkpoint()
    scene.store.audit.export(tmp_path / "log")
    scene.store.back_up(tmp_path / "data.backup")
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    ended = scene.store.audit.checkpoint()
    certificate = scene.store.erase(ACCOUNT)
    public = scene.store.audit.public_key
    scene.store.close()
    (tmp_path / "store" / "data.db").unlink()
    cp.Store.restore(tmp_path / "store", key=scene.key, clock=scene.clock, data=tmp_path / "data.backup")
    scene.store = cp.Store.open(tmp_path / "store", key=scene.key, clock=scene.clock)
    assert scene.store.audit.extends(early) > 0
    with pytest.raises(cp.ProofRefused):
        scene.store.audit.extends(ended)
    assert scene.store.audit.export(tmp_path / "log").size == len(scene.leaves())
    assert scene.store.audit.prove(0)
    assert scene.store.audit.prove(len(scene.leaves()) - 1)
    assert cp.open_certificate(certificate.file, public).statement.kind == "erasure"  # of before, by the key of before
    scene.give(account="acct-new")
    after = scene.store.erase("acct-new")
    assert cp.open_certificate(after.file, scene.store.audit.public_key).statement.kind == "erasure"
    with pytest.raises(cp.ProofRefused):
        cp.open_certificate(after.file, public)
    assert scene.store.check().findings == ()
    scene.store.close()


def test_a_second_loss_begins_a_third_lineage(ruin: Ruin) -> None:
    for number in (2, 3):
        ruin.lose("data.db")
        assert ruin.restore(data=ruin.data).origin.endswith(f"/lineage-{number}")
        ruin.give(account=f"acct-{number}")
        ruin.store.audit.verify()
        if number == 2:
            ruin.store.back_up(ruin.folder / "second")
            ruin.data = ruin.folder / "second"
            ruin.give(account="acct-lost")
        ruin.store.close()
    ruin.open()
    ruin.sound(without_id=2)


def test_keys_whose_leaves_were_lost_are_accounted_for(ruin: Ruin) -> None:
    ruin.lose("data.db")
    done = ruin.restore(data=ruin.data)
    assert (done.keys_gone, done.keys_found) == (3, 1)
    gone = [leaf for leaf in ruin.leaves() if leaf.operation == "key-gone"]
    found = [leaf for leaf in ruin.leaves() if leaf.operation == "key-found"]
    assert sorted(leaf.purpose for leaf in gone) == ["planning", "support", "support"]
    assert [leaf.purpose for leaf in found] == ["support"]
    assert ruin.seen() == [None, None, 3, 0]


def test_a_log_that_reaches_what_was_signed_goes_on_under_its_name(tmp_path: Path) -> None:
    """The copy has every leaf that was signed over: nobody was shown more."""
    scene = Scene(tmp_path)
    scene.give()
    scene.store.record(event())
    origin = scene.store.audit.public_key.split("+")[0]
    scene.store.back_up(tmp_path / "data.backup")
    seen = scene.store.audit.checkpoint()
    scene.store._session.close()
    (tmp_path / "store" / "data.db").unlink()
    with closing(sqlite3.connect(tmp_path / "data.backup")) as copy, copy:
        assert copy.execute("SELECT max(sequence) + 1 FROM leaf").fetchone()[0] == int(seen.splitlines()[1])
    done = cp.Store.restore(tmp_path / "store", key=scene.key, clock=scene.clock, data=tmp_path / "data.backup")
    assert (done.log, done.origin, done.lost) == ("copied", origin, 0)
    scene.store = cp.Store.open(tmp_path / "store", key=scene.key, clock=scene.clock)
    assert scene.store.audit.extends(seen) > 0
    assert scene.store.check().is_clean
    scene.store.close()


def test_a_damaged_file_in_place_is_replaced(ruin: Ruin) -> None:
    (ruin.path / "data.db").write_bytes(b"\x00" * 8192)
    assert ruin.restore(data=ruin.data).log == "lineage"
    assert ruin.seen() == [None, None, 3, 0]


def test_a_log_in_place_that_was_tampered_with_is_not_kept(ruin: Ruin) -> None:
    edit(ruin.path, "data.db", "UPDATE leaf SET hash = zeroblob(32) WHERE sequence = 3")
    done = ruin.restore(data=ruin.data)
    assert done.log == "lineage"
    ruin.sound(without_id=1)


def test_a_log_in_place_that_was_cut_is_not_kept(ruin: Ruin) -> None:
    shutil.copy(ruin.data, ruin.path / "data.db")  # somebody has put the file of yesterday there by hand
    assert ruin.restore(data=ruin.data).log == "lineage"
    ruin.sound(without_id=1)


def test_a_consent_that_a_crash_cut_short_is_finished_on_the_data_whose_log_is_taken(ruin: Ruin) -> None:
    """Three faults at once: killed between the files, data.db damaged so that it opens no more, its log edited.

    What the keyring has noted was finished on the store's own log, which then does not hold, and must not be lost with
    it.
    """
    late = "acct-late"

    class Ended(BaseException):
        """The process ended here."""

    def end(step: str) -> None:
        raise Ended

    ruin.open()
    ruin.store._session.ground.pending._observe = end
    with pytest.raises(Ended):
        ruin.give("support", account=late)
    shutil.copytree(ruin.path, ruin.folder / "left")
    ruin.store._session.ground.pending._observe = lambda _: None
    ruin.store.close()
    ruin.path = ruin.folder / "left"
    edit(ruin.path, "data.db", "UPDATE leaf SET hash = zeroblob(32) WHERE sequence = 3")
    edit(ruin.path, "data.db", "DROP TABLE operation")
    assert ruin.restore(data=ruin.data).log == "lineage"
    assert ruin.store.access(late).account == late
    assert [entry.act for entry in ruin.state("support", late).history] == ["give"]
    assert len([leaf for leaf in ruin.leaves() if leaf.operation == "consent-given"]) == 7
    ruin.sound(without_id=1)


# ---- whose id the copy does not have -------------------------------------------------------------------


def give_again(ruin: Ruin) -> None:
    ruin.give(account=ZOE)


def withdraw(ruin: Ruin) -> None:
    ruin.store.withdraw_consent(ZOE, ["support"])


def import_again(ruin: Ruin) -> None:
    at = ruin.clock.now.replace(year=2023)
    old = cp.Decision(account=ZOE, purposes=("support",), notice="2024-01", method="form", at=at)
    assert ruin.store.give_consents([old]) == 0


def read_the_trail(ruin: Ruin) -> None:
    ruin.store.audit.account(ZOE)


def look_at(ruin: Ruin) -> None:
    assert ruin.store.access(ZOE).account == ZOE


def note_a_reason(ruin: Ruin) -> None:
    ruin.store.suppress(ZOE, "deceased")


@pytest.mark.parametrize(
    "act", [give_again, withdraw, import_again, look_at, read_the_trail, note_a_reason], ids=lambda act: act.__name__
)
def test_an_id_that_was_lost_with_the_data_is_found_missing_and_written_again_by_whoever_names_the_account(
    ruin: Ruin, act: Callable[[Ruin], None]
) -> None:
    """Also by what changes nothing else: once, and with a leaf."""
    ruin.lose("data.db")
    assert ruin.restore(data=ruin.data).without_id == 1
    (finding,) = ruin.store.check().findings
    assert (finding.where, finding.repaired) == ("account", False)
    assert "access" in finding.what
    assert ZOE not in finding.what
    before = len(ruin.leaves())
    act(ruin)
    new = [leaf.operation for leaf in ruin.leaves()[before:]]
    assert new
    assert ruin.store.check().findings == ()
    assert ruin.store.access(ZOE).account == ZOE
    act(ruin)
    assert [leaf.operation for leaf in ruin.leaves()[before:]].count("repaired") == new.count("repaired") <= 1
    ruin.store.close()
    assert look(ruin.path, "data.db", "SELECT count(*), count(DISTINCT slot) FROM account") == [(3, 3)]


def test_of_nobody_alive_nothing_is_written_again(ruin: Ruin) -> None:
    """Who was erased, and who was never there, are named in vain."""
    ruin.lose("data.db")
    ruin.restore(data=ruin.data)
    for account in (BOB, "acct-nobody"):
        ruin.store.access(account)
        ruin.store.audit.account(account)
    assert "repaired" not in [leaf.operation for leaf in ruin.leaves()]
    ruin.sound(without_id=1)


# ---- yesterday's keyring ------------------------------------------------------------------------------


def test_an_older_keyring_is_told_by_the_log_what_had_died(ruin: Ruin) -> None:
    ruin.lose("keys.db", JOURNAL)
    done = ruin.restore(keyring=ruin.keyring)
    assert ruin.seen() == [None, None, 4, None]
    assert ruin.seen("planning") == [3, None, 4, None]
    assert ruin.state("support", ADA).state == "withdrawn"
    assert (done.destroyed_again, done.unknown, done.log) == (4, False, "kept")
    assert ruin.store.access(BOB).account is None
    ruin.sound()


def test_an_older_keyring_is_told_by_the_journal_what_had_died(ruin: Ruin) -> None:
    """Both files are lost; what is left is yesterday's, and the journal that was shipped."""
    ruin.lose("keys.db", "data.db", JOURNAL)
    done = ruin.restore(data=ruin.data, keyring=ruin.keyring, journal=ruin.journal)
    assert ruin.seen() == [None, None, 3, None]
    assert ruin.state("support", ADA).state == "withdrawn"
    assert (done.destroyed_again, done.unknown) == (4, False)
    assert ruin.store.journal() == ruin.journal.read_bytes()  # the store goes on with it
    assert ruin.store.check().findings == ()


def test_the_journal_in_place_tells_it_too(ruin: Ruin) -> None:
    ruin.lose("keys.db", "data.db")
    assert ruin.restore(data=ruin.data, keyring=ruin.keyring).destroyed_again == 4
    assert ruin.seen() == [None, None, 3, None]


def test_without_anything_that_tells_it_is_refused_with_the_number_of_keys(ruin: Ruin) -> None:
    ruin.lose("keys.db", "data.db", JOURNAL)
    with pytest.raises(cp.RestoreRefused, match="12 live in it"):
        ruin.restore(data=ruin.data, keyring=ruin.keyring)
    assert [path.name for path in ruin.path.iterdir() if not path.name.endswith(".lock")] == []
    planned = ruin.plan(data=ruin.data, keyring=ruin.keyring)
    assert (planned.unknown, planned.keys) == (True, 12)


def test_somebody_may_take_it_upon_themselves(ruin: Ruin) -> None:
    ruin.lose("keys.db", "data.db", JOURNAL)
    done = ruin.restore(data=ruin.data, keyring=ruin.keyring, accept_undone=True)
    assert (done.unknown, done.destroyed_again) == (True, 0)
    assert ruin.seen() == [3, 3, 3, None]
    assert ruin.store.check().findings == ()


def test_a_keyring_in_place_that_is_whole_and_newer_is_not_replaced(ruin: Ruin) -> None:
    before = ruin.snapshot()
    with pytest.raises(cp.RestoreRefused, match="whole, and"):
        ruin.restore(keyring=ruin.keyring)
    assert ruin.snapshot() == before


def test_a_keyring_that_was_put_back_by_hand_is_told_by_the_journal_alone(ruin: Ruin) -> None:
    shutil.copy(ruin.keyring, ruin.path / "keys.db")
    assert ruin.restore(journal=ruin.journal).destroyed_again == 4
    assert ruin.seen() == [None, None, 4, None]
    ruin.sound()


def test_rows_of_a_later_generation_show_that_a_key_had_died(tmp_path: Path) -> None:
    """Given anew since: whatever the log says, the key that the older keyring has was destroyed before."""
    scene = Scene(tmp_path)
    scene.give()
    scene.store.record(event(id="first"))
    scene.store.back_up_keyring(tmp_path / "keys.backup")
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    scene.give()
    scene.store.record(event(id="second"))
    scene.store.back_up(tmp_path / "data.backup")
    scene.store.close()
    shutil.rmtree(tmp_path / "store")
    edit_log(tmp_path / "data.backup")
    done = cp.Store.restore(
        tmp_path / "store",
        key=scene.key,
        clock=scene.clock,
        data=tmp_path / "data.backup",
        keyring=tmp_path / "keys.backup",
        accept_undone=True,
    )
    scene.store = cp.Store.open(tmp_path / "store", key=scene.key, clock=scene.clock)
    assert done.log == "broken"
    assert (done.destroyed_again, sum(done.quarantined.values())) == (1, 1)
    assert scene.profile() is None
    scene.give()
    scene.store.record(event(id="third"))
    events = scene.events()
    assert events is not None
    assert len(events) == 1
    scene.store.close()


def edit_log(data: Path) -> None:
    """Spoil the log, so that it tells of nothing."""
    with closing(sqlite3.connect(data)) as connection, connection:
        connection.execute("UPDATE leaf SET hash = zeroblob(32) WHERE sequence = 0")


def test_no_later_key_comes_to_live_where_lost_rows_lie(ruin: Ruin) -> None:
    """Accounts that are new to the older keyring get slots that no row of the data names."""
    ruin.lose("keys.db")
    ruin.restore(keyring=ruin.keyring)
    for number in range(4):
        ruin.give("support", "marketing", account=f"acct-later-{number}")
        ruin.store.record(event(account=f"acct-later-{number}", at=ruin.clock.now))
        events = ruin.events(account=f"acct-later-{number}")
        assert events is not None
        assert len(events) == 1
    ruin.give("support", account=ZOE)
    ruin.store.record(event(account=ZOE, at=ruin.clock.now))
    assert ruin.seen() == [None, None, 4, 1]
    ruin.sound()


def test_the_keyring_that_is_replaced_is_overwritten(ruin: Ruin) -> None:
    """What of it lies on the disk is zeroes: no key that is erased later is left in it."""
    with open(ruin.path / "keys.db", "rb") as held:  # the file as it is on the disk, whatever its name
        ruin.restore(data=ruin.data)
        assert set(held.read()) == {0}


# ---- wrong files --------------------------------------------------------------------------------------


def test_another_store_s_keyring_is_refused(ruin: Ruin, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Scene(tmp_path / "other")
    other.store.back_up_keyring(tmp_path / "foreign")
    other.store.close()
    ruin.lose("keys.db")
    before = ruin.snapshot()
    for key in (ruin.key, other.key):
        with pytest.raises((cp.WrongKey, cp.CorruptRecord)):
            cp.Store.restore(ruin.path, key=key, clock=ruin.clock, keyring=tmp_path / "foreign", journal=ruin.journal)
    assert ruin.snapshot() == before


def test_another_store_s_data_is_refused(ruin: Ruin, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Scene(tmp_path / "other")
    other.store.back_up(tmp_path / "foreign")
    other.store.close()
    before = ruin.snapshot()
    with pytest.raises(cp.CorruptRecord, match="different stores"):
        ruin.restore(data=tmp_path / "foreign")
    assert ruin.snapshot() == before


def test_where_everything_is_from_elsewhere_nothing_is_purged(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.store.back_up_keyring(tmp_path / "empty")
    scene.give()
    scene.store.record(event())
    scene.store.close()
    (tmp_path / "store" / "keys.db").unlink()
    before = look(tmp_path / "store", "data.db", "SELECT * FROM block, evidence, account")
    planned = cp.Store.plan_restore(tmp_path / "store", key=scene.key, clock=scene.clock, keyring=tmp_path / "empty")
    assert (sum(planned.opens.values()), sum(planned.purged.values()), planned.quarantined["block"]) == (0, 0, 1)
    with pytest.raises(cp.RestoreRefused, match="no row of the data opens"):
        cp.Store.restore(tmp_path / "store", key=scene.key, clock=scene.clock, keyring=tmp_path / "empty")
    assert look(tmp_path / "store", "data.db", "SELECT * FROM block, evidence, account") == before
    assert not (tmp_path / "store" / "keys.db").exists()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192:16384] = bytes(8192)
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, Callable[[Path], object]] = {
    "truncated": _cut,
    "a page of zeroes": _zero,
    "empty": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("data\n"),
    "missing": Path.unlink,
    "a directory": _folder,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("what", ["data", "keyring"])
def test_a_backup_that_is_no_backup_changes_nothing(ruin: Ruin, what: str, spoil: Callable[[Path], object]) -> None:
    source = ruin.data if what == "data" else ruin.keyring
    spoil(source)
    if what == "keyring":
        ruin.lose("keys.db")
    before = ruin.snapshot()
    with pytest.raises(cp.ConsentProfileError):
        ruin.restore(data=source if what == "data" else None, keyring=source if what == "keyring" else None)
    assert ruin.snapshot() == before
    assert not any("restoring" in path.name for path in ruin.path.iterdir())


def test_a_journal_that_is_no_journal_changes_nothing(ruin: Ruin) -> None:
    ruin.lose("keys.db")
    before = ruin.snapshot()
    for text in ("not a line\n", ruin.journal.read_text().replace("}", " }")):
        ruin.journal.write_text(text)
        with pytest.raises(cp.CorruptRecord, match="line 1 of the destruction journal"):
            ruin.restore(keyring=ruin.keyring, journal=ruin.journal)
    with pytest.raises(cp.UnreadableInput):
        ruin.restore(keyring=ruin.keyring, journal=ruin.folder / "missing")
    assert ruin.snapshot() == before


def test_a_journal_torn_repeated_or_with_lines_of_others_does_what_its_lines_say(ruin: Ruin, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Scene(tmp_path / "other")
    other.give()
    other.store.erase(ACCOUNT)
    lines = ruin.journal.read_bytes()
    ruin.journal.write_bytes(other.store.journal() + lines + lines + lines[:30])
    other.store.close()
    ruin.lose("keys.db", "data.db", JOURNAL)
    assert ruin.restore(data=ruin.data, keyring=ruin.keyring, journal=ruin.journal).destroyed_again == 4
    assert ruin.seen() == [None, None, 3, None]


def test_nothing_to_restore_from_is_wrong_usage(ruin: Ruin) -> None:
    with pytest.raises(cp.InputError):
        ruin.restore()


def test_a_store_that_somebody_has_open_is_not_restored(ruin: Ruin) -> None:
    ruin.open()
    with pytest.raises(cp.StoreBusy, match="close it everywhere"):
        cp.Store.restore(ruin.path, key=ruin.key, clock=ruin.clock, data=ruin.data, wait=0.05)
    assert ruin.seen() == [None, None, 4, 1]
    ruin.store.close()


def test_the_wrong_key_changes_nothing(ruin: Ruin, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(cp.new_key_text() + "\n")
    (tmp_path / "wrong").chmod(0o600)
    before = ruin.snapshot()
    with pytest.raises(cp.WrongKey, match="nothing was changed"):
        cp.Store.restore(ruin.path, key=cp.KeyFile(tmp_path / "wrong"), clock=ruin.clock, data=ruin.data)
    assert ruin.snapshot() == before


def test_a_leftover_wal_of_another_database_goes_away_first(ruin: Ruin) -> None:
    ruin.lose("data.db")
    shutil.copy(ruin.data, ruin.path / "data.db")
    with closing(sqlite3.connect(ruin.folder / "other.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = wal")
        other.execute("CREATE TABLE t AS SELECT hex(randomblob(20000)) AS x")
        shutil.copy(ruin.folder / "other.db-wal", ruin.path / "data.db-wal")
    ruin.restore(data=ruin.data)
    assert ruin.seen() == [None, None, 3, 0]
    ruin.sound(without_id=1)


def test_a_store_is_restored_into_a_new_place(ruin: Ruin, tmp_path: Path) -> None:
    ruin.path = tmp_path / "new"
    ruin.restore(data=ruin.data, keyring=ruin.keyring, journal=ruin.journal)
    ruin.store.close()
    with cp.Store.open(tmp_path / "new", key=ruin.key, clock=ruin.clock) as store:
        assert store.check().findings == ()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o600}


def test_a_new_place_in_which_nothing_could_be_restored_is_gone_again(ruin: Ruin, tmp_path: Path) -> None:
    with pytest.raises(cp.RestoreRefused):
        cp.Store.restore(tmp_path / "new", key=ruin.key, clock=ruin.clock, data=ruin.data, keyring=ruin.keyring)
    assert not (tmp_path / "new").exists()


def test_a_passphrase_is_asked_for_once(tmp_path: Path) -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        return "correct horse battery staple"

    key = cp.Passphrase(ask, memory_kib=19 * 1024, iterations=2)
    policy = read_policy(POLICY, "policy.toml")
    with cp.Store.create(tmp_path / "store", policy=policy, key=key) as store:
        store.give_consent("acct", ["support"], notice="2024-01", method="form")
        store.back_up(tmp_path / "data.backup")
        store.erase("acct")
    (tmp_path / "store" / "data.db").unlink()
    asked.clear()
    assert cp.Store.restore(tmp_path / "store", key=key, data=tmp_path / "data.backup").log == "lineage"
    assert len(asked) == 1


# ---- a policy since -----------------------------------------------------------------------------------

SECOND = POLICY.replace(
    "[suppression]",
    """[purposes.research]
title = "Find out what helps"
dpv = "dpv:ResearchAndDevelopment"
notice = "2024-01"
lifetime = "365 days"
retention = "3 months"
evidence = "6 months"
readers = ["planner"]
precision = "hour"
keep = 100
collect = { login = ["platform"] }

[suppression]""",
)


def accept(ruin: Ruin) -> cp.Policy:
    """Let the store accept another policy, with a purpose more, after the copies were made, and go by it."""
    policy = read_policy(SECOND, "policy.toml")
    ruin.open()
    ruin.store.apply_policy(policy, key=ruin.key)
    ruin.give("research", account=EVE)
    ruin.store.record(event(account=EVE, at=ruin.clock.now, id="under the second"))
    ruin.store.close()
    return policy


def test_policies_accepted_since_are_kept_from_the_store_s_own_data(ruin: Ruin) -> None:
    policy = accept(ruin)
    assert ruin.restore(data=ruin.data).log == "kept"
    assert ruin.store.policy.digest == policy.digest
    assert ruin.seen() == [None, None, 3, 0]


def test_where_that_is_gone_their_files_are_asked_for(ruin: Ruin) -> None:
    policy = accept(ruin)
    ruin.lose("data.db")
    with pytest.raises(cp.RestoreRefused, match="name its file"):
        ruin.restore(data=ruin.data)
    other = read_policy(POLICY.replace("Example Shop GmbH", "Another Shop GmbH"), "policy.toml")
    with pytest.raises(cp.RestoreRefused, match="name its file"):
        cp.Store.restore(ruin.path, key=ruin.key, clock=ruin.clock, data=ruin.data, policies=[other])
    cp.Store.restore(ruin.path, key=ruin.key, clock=ruin.clock, data=ruin.data, policies=[other, policy])
    ruin.open()
    assert ruin.store.policy.digest == policy.digest
    assert ruin.seen() == [None, None, 3, 0]
    ruin.sound(without_id=1)


@pytest.mark.parametrize("both", [False, True])
def test_a_keyring_from_before_a_policy_accepts_it_again(ruin: Ruin, both: bool) -> None:
    """What was recorded under it since can be read; what was given for its new purpose has to be given again."""
    policy = accept(ruin)
    ruin.lose("keys.db")
    ruin.restore(keyring=ruin.keyring, data=ruin.data if both else None)
    assert ruin.store.policy.digest == policy.digest
    assert ruin.seen() == [None, None, 3 if both else 5, None]
    assert ruin.state("research", EVE).state == "none"
    ruin.give("research", account=EVE)
    ruin.store.record(event(account=EVE, at=ruin.clock.now, id="once more"))
    assert (ruin.events("support", EVE) or [])[-1].kind == "login"
    ruin.sound()


def test_a_policy_that_the_signed_log_does_not_know_is_not_accepted(ruin: Ruin) -> None:
    """Somebody who writes data.db puts a policy with more readers beside an older keyring."""
    policy = read_policy(SECOND.replace('readers = ["marketer"]', 'readers = ["marketer", "planner"]'), "policy.toml")
    edit(ruin.path, "data.db", "INSERT INTO policy VALUES (2, ?, ?)", policy.digest, policy.text)
    ruin.lose("keys.db")
    with pytest.raises(cp.RestoreRefused, match="the signed log does not know"):
        ruin.restore(keyring=ruin.keyring)
    assert not (ruin.path / "keys.db").exists()


# ---- epochs --------------------------------------------------------------------------------------------


def test_a_keyring_from_before_a_rotation_opens_nothing_with_the_new_key(ruin: Ruin, tmp_path: Path) -> None:
    ruin.open()
    ruin.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
    ruin.store.close()
    ruin.lose("keys.db")
    before = ruin.snapshot()
    with pytest.raises(cp.WrongKey, match="of an epoch that has ended"):
        cp.Store.restore(ruin.path, key=cp.KeyFile(tmp_path / "new-key"), clock=ruin.clock, keyring=ruin.keyring)
    assert ruin.snapshot() == before


def test_data_from_before_a_rotation_is_restored_under_the_new_key(ruin: Ruin, tmp_path: Path) -> None:
    ruin.open()
    ruin.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
    ruin.store.close()
    ruin.key = cp.KeyFile(tmp_path / "new-key")
    assert ruin.restore(data=ruin.data).log == "kept"
    assert ruin.seen() == [None, None, 3, 0]
    assert ruin.store.check().findings == ()


def test_nobody_stands_in_the_journal_the_report_or_an_error(ruin: Ruin) -> None:
    ruin.lose("keys.db", "data.db", JOURNAL)
    with pytest.raises(cp.RestoreRefused) as refused:
        ruin.restore(data=ruin.data, keyring=ruin.keyring)
    done = ruin.restore(data=ruin.data, keyring=ruin.keyring, journal=ruin.journal)
    said = [str(refused.value), repr(done), ruin.journal.read_text(), ruin.store.journal().decode()]
    assert [text for text in said for account in (ADA, BOB, EVE, ZOE) if account in text] == []


def cp_root(note: bytes) -> bytes:
    """The root in a checkpoint."""
    return b64decode(note.splitlines()[2])
