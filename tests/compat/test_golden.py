"""Stores of format 1, closed by the version that made them, are opened by this one: all is there, and life goes on.

The stores and what they are expected to answer are never edited and never made again (CONTRIBUTING.md).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

import consentprofile as cp
from consentprofile.tlog import leaf as leaves
from tests.compat.answers import FOLDER, PASSPHRASE, SPEC, STORES, WHOLE, Golden, Json, ask, missing, plain
from tests.compat.releases import RELEASES
from tests.format.decoder import Decoder
from tests.support.people import look

LARGEST: Final = 300_000
"""Bytes of an archive."""


@pytest.fixture(params=STORES, ids=[golden.name for golden in STORES])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    """Each golden store, a copy unpacked."""
    chosen: Golden = request.param
    chosen.unpack(tmp_path)
    return chosen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    """The store that has everything in it, as it was closed, under the eyes of the independent decoder."""
    folder = tmp_path_factory.mktemp("whole")
    WHOLE.unpack(folder)
    decoder = Decoder(folder / "store", (folder / "key").read_text())
    yield decoder
    decoder.close()


def expected(golden: Golden) -> dict[str, Json]:
    said: dict[str, Json] = json.loads(golden.expected.read_text(encoding="utf-8"))
    return said


def test_there_is_an_archive_for_every_store_and_no_other() -> None:
    archives = {path.name: path.stat().st_size for path in FOLDER.glob("*.tar.gz")}
    assert archives.keys() == {f"{golden.name}.tar.gz" for golden in (*STORES, RELEASES)}
    assert max(archives.values()) < LARGEST


def test_it_answers_as_on_the_day_when_it_was_made(golden: Golden, tmp_path: Path) -> None:
    said = ask(golden, tmp_path)
    assert "\n".join(missing(expected(golden), said)) == ""


def test_its_releases_are_listed_shown_and_drawn(golden: Golden, tmp_path: Path) -> None:
    """Releases of the version that made the store: their figures are those of the files that it wrote then."""
    with golden.open(tmp_path) as store:
        found = store.released()
        assert [one.number for one in found] == ([1] if golden.released else [])
        for one in found:
            figures = store.figures(one.number)
            release = store.release(SPEC, tmp_path / "released", also=("parquet", "pictures"))
            assert (release.repeated, release.figures) == (True, figures)
            assert (one.measure, one.purpose) == (figures.measure, figures.purpose)
            rows = list(csv.reader(io.StringIO(release.files["data.csv"].decode())))
            assert rows[0] == list(figures.columns)
            assert rows[1:] == [["" if part is None else str(part) for part in row] for row in figures.rows]
            assert {"data.parquet", "picture.svg", "picture.png"} <= set(release.files)


def test_what_is_missing_or_changed_would_be_told() -> None:
    given: Json = {"a": [1, {"b": "x"}]}
    assert missing(given, {"a": [1, {"b": "x", "more": None}], "c": 1}) == []
    for other in ({"a": [1]}, {"a": [1, {"b": "y"}]}, {"a": [1, {}]}, {}, [given]):
        assert len(missing(given, plain(other))) == 1


def test_the_days_went_by_and_nobody_sees_a_difference(golden: Golden, tmp_path: Path) -> None:
    """Compaction of everything, and closing and opening: the same profiles, events and consents."""
    with golden.open(tmp_path) as store:
        store.upkeep.compact(everything=True)
    said = ask(golden, tmp_path)
    views = {name: answer for name, answer in expected(golden).items() if name.split(" ")[0] in VIEWS}
    assert len(views) == 5 * len(golden.accounts)
    assert "\n".join(missing(views, said)) == ""


VIEWS: Final = {"profile", "events", "consents"}


def test_it_is_used_further(golden: Golden, tmp_path: Path) -> None:
    first = golden.accounts[0]
    with golden.open(tmp_path) as store:
        before = store.audit.verify()
        notice = store.policy.purposes["support"].notice
        store.give_consent("acct-fresh", ["support"], notice=notice, method="form")
        for account in ("acct-fresh", first):
            login = cp.Event(account=account, kind="login", at=golden.now, id="golden", fields={"channel": "web"})
            assert store.record(login)["support"] is cp.Outcome.RECORDED
            with store.view("support", "support-agent:17") as view:
                found = view.events(account)
            assert found is not None
            assert found[-1].fields == {"channel": "web"}
        withdrawn = store.withdraw_consent("acct-fresh", ["support"])
        erased = store.erase(first, reference="golden")
        for issued in (withdrawn, erased):
            assert cp.open_certificate(issued.file, store.audit.public_key).statement.key_ids == issued.key_ids
        store.upkeep.compact(everything=True)
        with store.view("support", "support-agent:17") as view:
            assert view.profile(first) is None
            assert view.profile("acct-fresh") is None
        head = store.audit.verify()
        assert head.size > before.size
        assert store.check().findings == ()
    with golden.open(tmp_path) as store:
        assert store.audit.verify().root == head.root


def test_it_takes_a_policy_that_narrows(golden: Golden, tmp_path: Path) -> None:
    with golden.open(tmp_path) as store:
        policy = store.policy
        coarser = [msgspec.structs.replace(purpose, precision="month", keep=2) for purpose in policy.purpose_list]
        narrower = msgspec.structs.replace(policy, purpose_list=tuple(coarser))
        assert {change.kind for change in store.plan_policy(narrower).changes} == {"narrowing"}
        store.apply_policy(narrower, key=golden.key(tmp_path))
        seen = {}
        for account in golden.accounts:
            with store.view("support", "support-agent:17") as view:
                seen[account] = view.events(account)
        shown = [event for events in seen.values() for event in events or ()]
        assert shown
        assert {(event.at.hour, event.at.minute) for event in shown} <= {(0, 0), (22, 0), (23, 0)}
        assert max(len(events or ()) for events in seen.values()) == 2
        assert store.upkeep.run_retention(attended=True).resealed
        for account, events in seen.items():
            with store.view("support", "support-agent:17") as view:
                assert view.events(account) == events
        assert store.check().findings == ()
    with golden.open(tmp_path) as store:
        assert store.policy.digest == narrower.digest


def test_certificates_of_old_destructions_are_made_and_verify(golden: Golden, tmp_path: Path) -> None:
    with golden.open(tmp_path) as store:
        destroyed = [entry for entry in store.audit.log() if entry.operation in {"erased", "consent-withdrawn"}]
        for entry in destroyed:
            together = [
                other.sequence for other in destroyed if other.facts.get("reference") == entry.facts.get("reference")
            ]
            sequences = together if entry.operation == "erased" else [entry.sequence]
            statement = cp.open_certificate(store.audit.certificate(sequences), store.audit.public_key).statement
            assert entry.facts["key-id"] in statement.key_ids
    assert len(destroyed) >= 8 or golden is not WHOLE


def test_its_keys_are_rotated_and_nobody_sees_a_difference(golden: Golden, tmp_path: Path) -> None:
    key = tmp_path / "rotated.key"
    with golden.open(tmp_path) as store:
        assert store.rotate_keys(cp.KeyFile(key)).damaged == 0
        assert store.check().findings == ()
    (tmp_path / "key").unlink(missing_ok=True)
    key.rename(tmp_path / "key")
    said = ask(golden, tmp_path)
    lasting = VIEWS | {"public", "release", "retention", "expiry"}
    answers = {name: answer for name, answer in expected(golden).items() if name.split(" ")[0] in lasting}
    assert "\n".join(missing(answers, said)) == ""
    assert len(answers) > 5 * len(golden.accounts)


def test_another_key_opens_nothing(golden: Golden, tmp_path: Path) -> None:
    other = cp.Passphrase(PASSPHRASE + "!")
    if (tmp_path / "key").exists():
        (tmp_path / "other").write_text(cp.new_key_text())
        (tmp_path / "other").chmod(0o600)
        with pytest.raises(cp.WrongKey):
            cp.Store.open(tmp_path / "store", key=cp.KeyFile(tmp_path / "other"))
    else:
        with pytest.raises(cp.WrongKey):
            cp.Store.open(tmp_path / "store", key=other)


# ---- that there is in them what they are kept for ---------------------------------------------------


def test_every_state_and_every_kind_of_slot_is_in_it(whole: Decoder) -> None:
    records = [record for (record,) in whole.keys.execute("SELECT record FROM slot")]
    assert {record[1] for record in records} == {0, 1, 2, 3}
    assert {record[2] for record in records if record[1] == 1} == {1, 2, 3, 4, 5, 6}
    assert {record[81:] == bytes(92) for record in records} == {True, False}


def test_blocks_lie_in_the_tail_in_runs_and_amid_a_merge(whole: Decoder) -> None:
    runs = whole.runs()
    assert len(runs) >= 3
    assert any(target for (target,) in whole.data.execute("SELECT target FROM run"))
    assert whole.one(whole.data, "SELECT count(*) FROM block")[0] >= 10
    assert any(len(packs) > 3 for packs in runs.values())


def test_most_operations_are_in_its_log_and_the_rows_beside_them(whole: Decoder) -> None:
    never = {"suppression-lifted", "audit-read", "release-read", "release-planned", "repaired", "keyring-backed-up"}
    assert {leaf[3] for leaf in whole.leaves()} >= OPERATIONS
    assert {operation.value for operation in leaves.Operation} >= OPERATIONS | never
    for table in ("evidence", "account", "trail", "actor_book", "release", "checkpoint", "node", "tree", "policy"):
        assert whole.one(whole.data, f"SELECT count(*) FROM {table}")[0] >= 1
    assert whole.suppressions("acct-quiet") == ["do-not-contact"]
    whole.root()
    whole.nodes()


OPERATIONS: Final = {
    *("store-created", "policy-accepted", "consent-given", "consent-renewed", "consent-refused", "consent-withdrawn"),
    *("consent-invalidated", "consent-expired", "resealed", "retention-applied", "consent-read", "recorded"),
    *("compacted", "read", "read-refused", "suppressed", "erased", "accessed", "released"),
}


def test_work_is_pending_and_is_finished_by_the_first_who_comes(golden: Golden, tmp_path: Path) -> None:
    path = tmp_path / "store"
    assert look(path, "keys.db", "SELECT count(*) FROM pending") == [(1,)]
    untouched = tmp_path / "untouched"
    shutil.copytree(path, untouched)
    with golden.open(tmp_path) as store:
        store.suppress(golden.accounts[-1], "do-not-contact")
    assert look(path, "keys.db", "SELECT count(*) FROM pending") == [(0,)]
    assert look(untouched, "keys.db", "SELECT count(*) FROM pending") == [(1,)]
