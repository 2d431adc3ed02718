"""Releases, charges and approvals of earlier versions are answered, counted and held against by this one."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

import consentprofile as cp
from tests.compat.answers import missing
from tests.compat.releases import ANSWERED, RELEASES, TAKEN_BACK, UNANSWERED, WAITING, ask_releases, written
from tests.format.decoder import Decoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a copy of the store is."""
    RELEASES.unpack(tmp_path)
    return tmp_path


def test_they_are_answered_as_on_the_day_when_the_store_was_made(folder: Path) -> None:
    said = json.loads(RELEASES.expected.read_text(encoding="utf-8"))
    assert "\n".join(missing(said, ask_releases(folder))) == ""


def test_every_format_of_the_ledger_is_in_it(folder: Path) -> None:
    with closing(Decoder(folder / "store", (folder / "key").read_text())) as decoder:
        forms = [form for form, *_ in decoder.ledger()]
        operations = [leaf[3] for leaf in decoder.leaves()]
    assert forms == [1, 2, 2, 3, 3, 3, 4, 4, 3]
    assert {"budget-charged", "release-approved", "release-disapproved"} <= set(operations)


def test_one_who_went_is_not_seen_beside_what_an_earlier_version_answered(folder: Path) -> None:
    """An account withdrew since. A question that means nearly the same is answered with the figures of then: 16,000
    beside 17,000 would tell of it."""
    other = ANSWERED["sums"].replace("[protection]", 'where = { kind = ["purchase", "add_to_cart"] }\n[protection]')
    with RELEASES.open(folder) as store:
        spec = written(folder, "other", other)
        store.approve_release(spec, actor="officer:ada")
        released = store.release(spec, folder / "other", actor="officer:max")
        assert released.repeated is False
        assert released.figures.rows == store.figures(2).rows


def test_what_was_paid_for_and_never_drawn_is_drawn_without_another_charge(folder: Path) -> None:
    spec = written(folder, "unanswered", UNANSWERED)
    with RELEASES.open(folder) as store:
        spent = store.budget("analytics").spent
        store.approve_release(spec, actor="officer:ada")
        released = store.release(spec, folder / "out", actor="officer:max")
        assert (released.number, released.repeated) == (8, False)
        assert store.budget("analytics").spent == spent
        assert [charge.answered for charge in store.budget("analytics").charges] == [True, True]


def test_approvals_that_stood_stand_and_one_that_was_taken_back_does_not(folder: Path) -> None:
    waiting, taken_back = written(folder, "waiting", WAITING), written(folder, "taken-back", TAKEN_BACK)
    with RELEASES.open(folder) as store:
        with pytest.raises(cp.ReleaseRefused, match="approve"):
            store.release(taken_back, folder / "out", actor="officer:max")
        with pytest.raises(cp.ReleaseRefused):
            store.release(waiting, folder / "out", actor="officer:ada")
        assert store.release(waiting, folder / "out", actor="officer:max").repeated is False
        assert store.approvals() == ()


def test_keys_are_rotated_and_every_answer_is_the_same(folder: Path) -> None:
    key = folder / "rotated.key"
    with RELEASES.open(folder) as store:
        assert store.rotate_keys(cp.KeyFile(key)).damaged == 0
    key.replace(folder / "key")
    said = ask_releases(folder)
    lasting = ("released", "budget", "approvals", "findings", "policy", "figures", "repetition")
    expected = json.loads(RELEASES.expected.read_text(encoding="utf-8"))
    kept = {name: answer for name, answer in expected.items() if name.split(" ")[0] in lasting}
    assert len(kept) == 5 + 2 * len(ANSWERED)
    assert "\n".join(missing(kept, said)) == ""
