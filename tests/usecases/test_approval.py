"""Approval: where the policy asks for it nothing leaves without an officer's, and nobody makes one up."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

import consentprofile as cp
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import EpochKeys
from consentprofile.model.policy_file import read_policy
from consentprofile.store.ports import DATA
from consentprofile.tlog.leaf import Draft, Fact, Operation, decode
from consentprofile.usecases.actor_book import open_entry
from tests.format.decoder import Decoder
from tests.usecases.changes import FEWER, apply, asking_anew, edited
from tests.usecases.scene import POLICY, Scene, event

ASKING = ('cadence = "7 days" }', 'cadence = "7 days", approval = true }')
TEXT = edited(ASKING)
ADA, BOB, EVE = "officer:ada", "officer:bob", "planner:eve"
TIMES = 'from = 2024-03-01\nuntil = 2024-04-01\nzone = "Europe/Berlin"\n'
SPEC = f"""\
format = 1
name = "reach"
purpose = "planning"
measure = "reach"
by = ["platform"]
{TIMES}
[protection]
kind = "threshold"
"""
APRIL = datetime(2024, 4, 2, tzinfo=UTC)


class Shop(Scene):
    """A store whose policy asks for approval, with four accounts that were there in March; it is April."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        super().__init__(folder, text)
        for number in range(4):
            self.give("planning", account=f"acct-{number}")
            self.store.record(event("login", account=f"acct-{number}", platform="mobile"))
        self.clock.now = APRIL
        self.path = folder / "store"
        self.spec = self.write(SPEC)
        self.out = folder / "out"

    def write(self, text: str, name: str = "reach.toml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def approve(self, actor: str = ADA, reason: str | None = None) -> cp.ReleaseApproval:
        return self.store.approve_release(self.spec, actor=actor, reason=reason)

    def release(self, spec: Path | None = None, actor: str = EVE) -> cp.Release:
        return self.store.release(spec or self.spec, self.out, actor=actor)

    def refused(self, words: str = "gives it with", *, actor: str = EVE, spec: Path | None = None) -> None:
        """The release is refused in these words, and nothing is left of it but leaves of other acts."""
        before = self.store.released()
        with pytest.raises(cp.ReleaseRefused, match=words):
            self.release(spec, actor)
        assert not self.out.exists()
        assert self.store.released() == before

    @property
    def keys(self) -> EpochKeys:
        return self.store._session.keys

    def sealed(self) -> dict[int, bytes]:
        """The sealed approvals and what took them back, by leaf."""
        acts = {leaf.sequence for leaf in self.leaves() if leaf.operation.startswith("release-")}
        return {leaf: sealed for leaf, sealed in self.store._session.ground.log.actors(0) if leaf in acts}

    def forge(self, operation: Operation, digest: str, sealed: bytes | None) -> int:
        """What somebody with the right to write ``data.db`` can append: a leaf, and an entry of the actor book."""
        ground, policy = self.store._session.ground, self.store.policy.digest
        facts: tuple[Fact, ...] = (("specification", bytes.fromhex(digest)),)
        with ground.writing(), ground.files.data_transaction(full=True):
            leaf = ground.log.append(
                (Draft(operation, self.store._session.now(), "planning", "officer", facts),), policy
            )
            if sealed is not None:
                ground.log.note_actors([(leaf, sealed)])
        return leaf

    def edit(self, statement: str, *values: object) -> None:
        """Change ``data.db`` behind the store's back."""
        self.store.close()
        with closing(sqlite3.connect(self.path / DATA)) as data, data:
            assert data.execute(statement, values).rowcount == 1
        self.store = cp.Store.open(self.path, key=self.key, clock=self.clock)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.store.close()


# ---- what is promised ---------------------------------------------------------------------------


def test_without_an_approval_nothing_leaves_and_the_refusal_says_how_to_get_one(shop: Shop) -> None:
    shop.refused("release approve SPEC --actor officer:NAME")


def test_what_one_approves_another_one_releases_and_both_stand_in_the_actor_book(shop: Shop) -> None:
    given = shop.approve(reason="planning meeting")
    released = shop.release()
    assert released.figures.rows == (("desktop", None), ("mobile", 5), ("tablet", None))
    acts = [(leaf.operation, leaf.purpose, leaf.role, leaf.facts) for leaf in shop.leaves()[-2:]]
    assert acts == [
        ("release-approved", "planning", "officer", {"specification": given.digest}),
        ("released", "planning", "planner", {"release": 1, "specification": given.digest}),
    ]
    (approved,) = shop.store.audit.actor(ADA)
    assert (approved.leaf, approved.operation, approved.purpose, approved.reason, approved.at) == (
        given.number, "release-approved", "planning", "planning meeting", APRIL,
    )  # fmt: skip
    (asked,) = shop.store.audit.actor(EVE)
    assert (asked.operation, asked.purpose) == ("released", "planning")


def test_what_was_answered_is_answered_again_without_an_approval_whoever_asks(shop: Shop) -> None:
    shop.approve()
    first = shop.release()
    for actor in (ADA, EVE, "officer:unnamed"):
        again = shop.store.release(shop.spec, shop.out, actor=actor)
        assert (again.repeated, again.files) == (True, first.files)
    with pytest.raises(cp.ReleaseRefused, match="released before"):
        shop.approve(BOB)


def test_where_the_policy_does_not_ask_nobody_has_to_and_nobody_can(tmp_path: Path) -> None:
    plain = Shop(tmp_path, POLICY)
    with pytest.raises(cp.ReleaseRefused, match="asks for no approval"):
        plain.approve()
    assert plain.store.plan_release(plain.spec).approved is None
    assert plain.store.release(plain.spec, plain.out).number == 1
    plain.store.close()


def test_a_plan_tells_whether_it_is_approved_and_what_would_be(shop: Shop) -> None:
    plan = shop.store.plan_release(shop.spec)
    assert (plan.approved, plan.measure, plan.purpose, plan.columns) == (False, "reach", "planning", ("platform",))
    assert (plan.since, plan.until) == ("2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z")
    assert shop.store.approve_release(shop.spec, actor=ADA, digest=plan.digest).digest == plan.digest
    assert shop.store.plan_release(shop.spec).approved is True
    assert shop.store.plan_release(shop.spec).answered_by is None
    shop.release()
    plan = shop.store.plan_release(shop.spec)
    assert (plan.approved, plan.answered_by) == (None, 1)


def test_what_was_looked_at_is_what_is_approved(shop: Shop) -> None:
    looked_at = shop.store.plan_release(shop.spec).digest
    shop.write(SPEC.replace('by = ["platform"]\n', ""))
    before = len(shop.leaves())
    with pytest.raises(cp.InputError, match="changed since"):
        shop.store.approve_release(shop.spec, actor=ADA, digest=looked_at)
    assert len(shop.leaves()) == before


def test_the_same_question_spelt_otherwise_is_approved_too(shop: Shop) -> None:
    shop.approve()
    everything = 'where = { platform = ["tablet", "mobile", "desktop"] }\n'
    other = shop.write(SPEC.replace('"reach"\npurpose', '"another name"\npurpose').replace(TIMES, TIMES + everything))
    assert shop.release(other).number == 1


def test_who_has_approved_already_has(shop: Shop) -> None:
    first = shop.approve()
    before = len(shop.leaves())
    assert shop.approve() == first
    assert len(shop.leaves()) == before
    assert shop.approve(BOB).number == first.number + 1


def test_approvals_that_wait_are_listed_and_the_look_is_on_record(shop: Shop) -> None:
    assert shop.store.approvals() == ()
    given = shop.approve(reason="planning meeting")
    before = len(shop.leaves())
    (listed,) = shop.store.approvals(actor=BOB)
    assert listed == given == cp.ReleaseApproval(
        number=given.number, purpose="planning", measure="reach", by=("platform",), where={}, terms={},
        since=datetime(2024, 2, 29, 23, tzinfo=UTC), until=datetime(2024, 3, 31, 22, tzinfo=UTC), min_accounts=3,
        protection="threshold",
        digest=shop.store.plan_release(shop.spec).digest, at=APRIL, actor=ADA, reason="planning meeting",
    )  # fmt: skip
    assert [leaf.operation for leaf in shop.leaves()[before:]] == ["audit-read", "release-planned"]
    shop.release()
    before = len(shop.leaves())
    assert shop.store.approvals() == ()
    assert len(shop.leaves()) == before


def test_an_approval_outlives_restarts_rotations_new_tags_and_a_restore_of_older_data(shop: Shop) -> None:
    shop.store.back_up(shop.folder / "copy")
    given = shop.approve()
    shop.reopen()
    assert shop.store.approvals() == (given,)
    new, newer = cp.KeyFile(shop.folder / "new"), cp.KeyFile(shop.folder / "newer")
    shop.store.rotate_keys(new)
    assert shop.store.approvals() == (given,)
    shop.store.close()
    cp.Store.retag(shop.path, key=new, new_key=newer, clock=shop.clock)
    cp.Store.restore(shop.path, key=newer, data=shop.folder / "copy", clock=shop.clock)
    shop.store = cp.Store.open(shop.path, key=newer, clock=shop.clock)
    assert shop.store.approvals() == (given,)
    assert shop.store.check().is_clean
    assert shop.release().number == 1
    assert shop.store.audit.verify().size == len(shop.leaves())


def test_what_is_sealed_is_what_the_format_says(shop: Shop) -> None:
    given = shop.approve(reason="planning meeting")
    shop.store.close()
    book = dict(Decoder(shop.path, (shop.folder / "key").read_text()).actor_book())
    *entry, policy, specification = book[given.number]
    assert entry == [int(APRIL.timestamp()), "officer", "ada", "release-approved", "planning", "planning meeting"]
    assert policy == read_policy(TEXT, "policy.toml").digest
    assert sha256(specification).hexdigest() == given.digest
    assert json.loads(specification)["measure"] == "reach"


def test_an_approval_does_not_show_itself_in_logs(shop: Shop) -> None:
    assert repr(shop.approve(reason="planning meeting")) == f"<ReleaseApproval {shop.leaves()[-1].sequence}>"


def test_what_an_officer_approves_in_one_process_is_released_in_another_that_was_open_before(shop: Shop) -> None:
    with cp.Store.open(shop.path, key=shop.key, clock=shop.clock) as office:
        shop.refused()
        given = office.approve_release(shop.spec, actor=ADA)
        office.disapprove_release(given.number, actor=ADA)
        shop.refused()
        office.approve_release(shop.spec, actor=ADA)
        assert shop.release().number == 1
        assert office.approvals() == ()


def test_the_asynchronous_face_approves_releases_and_takes_back(shop: Shop) -> None:
    async def work() -> None:
        async with await cp.AsyncStore.open(shop.path, key=shop.key, clock=shop.clock) as store:
            given = await store.approve_release(shop.spec, actor=ADA, reason="planning meeting")
            assert await store.approvals(actor=BOB) == (given,)
            assert await store.disapprove_release(given.number, actor=BOB) == given
            with pytest.raises(cp.ReleaseRefused):
                await store.release(shop.spec, shop.out, actor=EVE)
            await store.approve_release(shop.spec, actor=BOB)
            assert (await store.release(shop.spec, shop.out, actor=EVE)).number == 1

    asyncio.run(work())


# ---- taking it back -----------------------------------------------------------------------------


def test_what_was_taken_back_is_approved_no_more_whoever_approved_it(shop: Shop) -> None:
    first, second = shop.approve(ADA), shop.approve(BOB)
    assert shop.store.disapprove_release(second.number, actor=ADA, reason="a slip") == second
    assert shop.store.approvals() == ()
    shop.refused("not any more")
    shop.reopen()
    shop.refused("not any more")
    told = [(trace.operation, trace.reason) for trace in shop.store.audit.actor(ADA)]
    assert told == [("release-approved", ""), ("release-disapproved", "a slip")]
    with pytest.raises(cp.InputError, match="no approval stands"):
        shop.store.disapprove_release(first.number, actor=ADA)
    shop.approve(BOB)
    assert shop.release().number == 1


def test_what_is_taken_back_while_it_is_counted_does_not_leave(shop: Shop) -> None:
    given = shop.approve()

    def meanwhile(done: int, total: int) -> None:
        if shop.store.approvals():
            shop.store.disapprove_release(given.number, actor=BOB)

    with pytest.raises(cp.ReleaseRefused, match="not any more"):
        shop.store.release(shop.spec, shop.out, actor=EVE, progress=meanwhile)
    assert not shop.out.exists()


def test_what_has_been_released_is_not_taken_back(shop: Shop) -> None:
    given = shop.approve()
    shop.release()
    with pytest.raises(cp.InputError, match="no approval stands"):
        shop.store.disapprove_release(given.number, actor=ADA)


@pytest.mark.parametrize("number", [-1, 0, 10**6, 2**63, 10**30])
def test_a_number_that_is_no_approval_is_refused_without_a_leaf(shop: Shop, number: int) -> None:
    shop.approve()
    before = len(shop.leaves())
    with pytest.raises(cp.InputError, match="no approval stands"):
        shop.store.disapprove_release(number, actor=ADA)
    assert len(shop.leaves()) == before


# ---- who may ------------------------------------------------------------------------------------

SAME = {
    "as the officer that they are": ADA,
    "in another role": "planner:ada",
    "in capitals": "officer:ADA",
    "in letters of full width": "officer:\uff41\uff44\uff41",
}


@pytest.mark.parametrize("actor", SAME.values(), ids=SAME)
def test_who_approves_does_not_release(shop: Shop, actor: str) -> None:
    shop.approve(ADA)
    shop.refused("somebody else ask", actor=actor)
    shop.approve(BOB)
    assert shop.release(actor=actor).number == 1


def test_one_hand_can_hold_two_names(shop: Shop) -> None:
    """What is not protected: names are what the application says. Both stand in the book, for whoever asks later."""
    shop.approve("officer:nobody-1")
    assert shop.release(actor="officer:nobody-2").number == 1
    for name in ("officer:nobody-1", "officer:nobody-2"):
        assert len(list(shop.store.audit.actor(name))) == 1


def test_who_asks_has_to_say_who(shop: Shop) -> None:
    shop.approve()
    shop.refused("say who asks", actor="officer:unnamed")
    shop.refused("say who asks", actor="planner:unnamed")


@pytest.mark.parametrize(
    ("actor", "error"),
    [
        ("planner:eve", cp.RoleNotAllowed),
        ("app:shop", cp.RoleNotAllowed),
        ("Officer:ada", cp.RoleNotAllowed),
        ("officer:unnamed", cp.InvalidActor),
        ("officer:", cp.InvalidActor),
        ("ada", cp.InvalidActor),
    ],
)
def test_nobody_but_an_officer_with_a_name_approves_or_takes_back(
    shop: Shop, actor: str, error: type[cp.ConsentProfileError]
) -> None:
    given = shop.approve(BOB)
    before = len(shop.leaves())
    with pytest.raises(error):
        shop.approve(actor)
    with pytest.raises(error):
        shop.store.disapprove_release(given.number, actor=actor)
    assert len(shop.leaves()) == before
    assert shop.store.approvals() == (given,)


def test_who_asks_is_of_a_role_that_the_policy_knows(shop: Shop) -> None:
    shop.approve()
    with pytest.raises(cp.RoleNotAllowed):
        shop.release(actor="analyst:eve")
    with pytest.raises(cp.InputError, match="printable"):
        shop.approve(BOB, reason="two\nlines")


# ---- attacks: an approval for something else ------------------------------------------------------

OTHERS = {
    "another dimension": ('by = ["platform"]\n', ""),
    "another filter": (TIMES, TIMES + 'where = { platform = ["mobile"] }\n'),
    "another period": ("until = 2024-04-01", "until = 2024-03-20"),
    "another measure": ('measure = "reach"', 'measure = "counts"\nlimit = 2'),
    "another protection": ('kind = "threshold"', 'kind = "threshold"\nmin_accounts = 4'),
    "more cells of an account": (TIMES, TIMES + "cells_per_account = 2\n"),
}


@pytest.mark.parametrize("edit", OTHERS.values(), ids=OTHERS)
def test_an_approval_of_one_question_is_none_of_another(shop: Shop, edit: tuple[str, str]) -> None:
    shop.approve()
    assert edit[0] in SPEC
    shop.refused(spec=shop.write(SPEC.replace(*edit), "other.toml"))


def test_an_approval_under_another_policy_is_none(shop: Shop) -> None:
    shop.approve()
    apply(shop, edited(ASKING, FEWER))
    assert shop.store.approvals() == ()
    shop.refused()
    shop.approve(BOB)
    assert shop.release().number == 1


def test_an_approval_from_before_the_policy_stopped_asking_is_none_when_it_asks_again(shop: Shop) -> None:
    shop.approve()
    apply(shop, asking_anew("planning"))
    with pytest.raises(cp.ReleaseRefused, match="asks for no approval"):
        shop.approve()
    apply(shop, asking_anew("planning", ASKING))
    assert shop.store.approvals() == ()
    shop.refused()


def test_whoever_consented_to_approved_releases_is_in_no_other(shop: Shop) -> None:
    apply(shop, asking_anew("planning"))
    assert shop.store.release(shop.spec, shop.out).figures.rows == (
        ("desktop", None), ("mobile", None), ("tablet", None),
    )  # fmt: skip


# ---- attacks: by whoever writes data.db --------------------------------------------------------------


def test_a_forged_leaf_approves_nothing(shop: Shop) -> None:
    digest = shop.store.plan_release(shop.spec).digest
    shop.forge(Operation.RELEASE_APPROVED, digest, None)
    shop.refused()


def test_a_sealed_approval_of_another_question_does_not_fit_a_forged_leaf(shop: Shop) -> None:
    digest = shop.store.plan_release(shop.spec).digest
    other = shop.write(SPEC.replace('by = ["platform"]\n', ""), "other.toml")
    number = shop.store.approve_release(other, actor=ADA).number
    shop.forge(Operation.RELEASE_APPROVED, digest, shop.sealed()[number])
    shop.refused()


def test_an_approval_that_was_taken_back_is_not_put_behind_that_again(shop: Shop) -> None:
    given = shop.approve()
    shop.store.disapprove_release(given.number, actor=BOB)
    shop.forge(Operation.RELEASE_APPROVED, given.digest, shop.sealed()[given.number])
    shop.refused()


def rewritten(shop: Shop, sequence: int, operation: str) -> None:
    """A leaf says that another thing was done; its stored hash stays."""
    with shop.store._session.ground.files.reading():
        (stored,) = shop.store._session.ground.log.page(sequence, 1)
    body = msgspec.structs.replace(decode(stored.body), operation=operation).encode()
    shop.edit("UPDATE leaf SET body = ? WHERE sequence = ?", body, sequence)


def test_what_took_an_approval_back_does_not_become_one(shop: Shop) -> None:
    given = shop.approve()
    shop.store.disapprove_release(given.number, actor=BOB)
    rewritten(shop, given.number, "audit-read")
    rewritten(shop, given.number + 1, "release-approved")
    shop.refused()


def test_an_approval_that_was_taken_back_counts_again_if_the_leaf_is_rewritten_and_verifying_finds_it(
    shop: Shop,
) -> None:
    """An attack that works: it takes the right to write ``data.db``, and a release that nobody verified the log for."""
    given = shop.approve()
    shop.store.disapprove_release(given.number, actor=BOB)
    rewritten(shop, given.number + 1, "audit-read")
    with pytest.raises(cp.BrokenLog, match=f"leaf {given.number + 1} was edited"):
        shop.store.audit.verify()
    assert shop.release().number == 1


def test_deleting_what_was_sealed_when_it_was_taken_back_does_not_bring_it_back(shop: Shop) -> None:
    given = shop.approve()
    shop.store.disapprove_release(given.number, actor=BOB)
    shop.edit("DELETE FROM actor_book WHERE leaf = ?", given.number + 1)
    shop.refused()


def test_data_from_before_it_was_taken_back_put_in_place_is_found(shop: Shop) -> None:
    given = shop.approve()
    shop.store.close()
    shutil.copy(shop.path / DATA, shop.folder / "older")
    shop.store = cp.Store.open(shop.path, key=shop.key, clock=shop.clock)
    shop.store.disapprove_release(given.number, actor=BOB)
    shop.store.close()
    shutil.copy(shop.folder / "older", shop.path / DATA)
    shop.store = cp.Store.open(shop.path, key=shop.key, clock=shop.clock)
    with pytest.raises(cp.BrokenLog, match="was cut"):
        shop.release()
    assert not shop.out.exists()


def test_a_log_that_goes_on_after_a_loss_may_have_lost_that_it_was_taken_back(shop: Shop) -> None:
    given = shop.approve()
    shop.store.back_up(shop.folder / "copy")
    shop.store.disapprove_release(given.number, actor=BOB)
    shop.store.close()
    (shop.path / DATA).unlink()
    cp.Store.restore(shop.path, key=shop.key, data=shop.folder / "copy", clock=shop.clock)
    shop.store = cp.Store.open(shop.path, key=shop.key, clock=shop.clock)
    assert "lineage-begun" in {leaf.operation for leaf in shop.leaves()}
    shop.refused()
    shop.approve()
    assert shop.release().number == 1


def test_an_approval_of_another_store_does_not_open_in_this_one(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Shop(tmp_path / "other")
    digest = other.approve().digest
    (sealed,) = other.sealed().values()
    leaf = len(shop.leaves())
    assert leaf == len(other.leaves()) - 1, "at the very same place of the log"
    other.store.close()
    assert shop.forge(Operation.RELEASE_APPROVED, digest, sealed) == leaf
    shop.refused()


def test_a_capability_seals_no_approval_that_counts(shop: Shop) -> None:
    """Whoever has the key of a purpose and writes ``data.db`` can seal what looks like one, under that key."""
    shop.store.issue_capability(shop.folder / "cap", "planning", "app")
    digest = shop.store.plan_release(shop.spec).digest
    given = shop.approve()
    plain = shop.keys.open_record(RecordType.ACTOR_BOOK, given.number, shop.sealed()[given.number])
    shop.store.disapprove_release(given.number, actor=BOB)
    with cp.Store.open(shop.path, key=cp.Capability(shop.folder / "cap"), clock=shop.clock) as service:
        at = len(shop.leaves())
        sealed = service._session.keys.seal_record(RecordType.ACTOR_BOOK, at, plain, purpose="planning")
    assert shop.forge(Operation.RELEASE_APPROVED, digest, sealed) == at
    with pytest.raises(cp.CorruptRecord):
        open_entry(shop.keys, at, sealed)
    shop.refused()


def test_a_damaged_approval_is_none_and_check_tells(shop: Shop) -> None:
    given = shop.approve()
    shop.edit("UPDATE actor_book SET sealed = zeroblob(length(sealed)) WHERE leaf = ?", given.number)
    shop.refused()
    assert [finding.where for finding in shop.store.check().findings] == ["actor book"]
