"""A release with differential privacy: paid for once, drawn once, answered once, whatever fails on the way."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

import consentprofile as cp
from consentprofile.release.dp import mechanisms
from consentprofile.release.dp.intervals import half_width
from consentprofile.usecases import heads, noising
from tests.usecases.changes import apply, asking_anew, edited
from tests.usecases.noisy_shop import APRIL, COUNTS, EPSILON, RHO, NoisyShop

KILLED = 9


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[NoisyShop]:
    made = NoisyShop(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[NoisyShop]:
    """One that keeps events for three years."""
    kept = 'retention = "{} months"\nevidence = "6 months"\nreaders = ["planner"]'
    made = NoisyShop(tmp_path, edited((kept.format(3), kept.format(36)), text=EPSILON), {"desktop": 3})
    yield made
    made.store.close()


def figures(release: cp.Release) -> dict[str, int]:
    return {str(row[0]): int(str(row[1])) for row in release.figures.rows}


def test_every_listed_key_has_a_figure_near_what_was_counted(shop: NoisyShop) -> None:
    """Within 40 of it, which noise of scale 3 misses less often than once in 10^5 times; the tablet has nobody."""
    release = shop.release(shop.spec())
    found = figures(release)
    assert list(found) == ["desktop", "mobile", "tablet"]
    assert all(abs(found[name] - count) <= 40 for name, count in {**COUNTS, "tablet": 0}.items())
    assert release.figures.values == ("accounts", "accounts_low", "accounts_high")
    interval = release.figures.intervals["accounts"]
    assert all(row[2:] == (int(str(row[1])) - interval, int(str(row[1])) + interval) for row in release.figures.rows)


def test_the_manifest_says_what_is_guaranteed_at_what_cost(shop: NoisyShop) -> None:
    manifest = json.loads(shop.release(shop.spec("epsilon = 0.5", cells_per_account="2")).files["manifest.json"])
    assert manifest["guarantee"] == "differential privacy"
    assert manifest["spec"]["protection"] == {"kind": "dp", "epsilon": 0.5}
    protection, parameters = manifest["protection"], manifest["parameters"]
    assert protection["distribution"] == "laplace"
    assert protection["epsilon"] == 0.5
    assert "delta" not in protection
    assert "one account" in protection["neighbours"]
    (figure,) = parameters["figures"]
    assert figure["scale"] == pytest.approx(2 / (0.5 * 19 / 20))
    assert (figure["limit"], manifest["bound"], parameters["keys"]) == (1, {"cells_per_account": 2}, "listed")
    assert manifest["bounding"]["low"] <= manifest["bounding"]["accounts"] <= manifest["bounding"]["high"]


def test_a_repetition_has_the_same_bytes_and_costs_nothing(shop: NoisyShop) -> None:
    first = shop.release(shop.spec())
    shop.store.erase([f"acct-{number}" for number in range(20)])
    shop.reopen()
    again = shop.release(shop.spec(name="another-name"), "again")
    assert (again.number, again.repeated, again.files) == (1, True, first.files)
    assert shop.budget().spent == 1


def test_the_log_says_what_was_charged_before_it_says_that_it_was_released(shop: NoisyShop) -> None:
    first = len(shop.leaves())
    shop.release(shop.spec())
    leaves = shop.leaves()[first:]
    assert [(leaf.operation, leaf.purpose) for leaf in leaves] == [
        ("budget-charged", "planning"),
        ("released", "planning"),
    ]
    charged = leaves[0].facts
    assert (charged["release"], charged["epsilon"], charged["delta"]) == (1, 10**12, 0)
    assert charged["specification"] == leaves[1].facts["specification"]
    shop.store.audit.verify()
    assert shop.store.check().findings == ()


def test_the_budget_tells_what_was_spent_by_which_release_and_when_more_comes(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 0.5"))
    shop.clock.move(days=30)
    shop.release(shop.spec("epsilon = 1.25", "total", by="[]"), "total")
    found = shop.budget()
    assert (found.currency, found.per_year, found.spent, found.left) == ("epsilon", 2, 1.75, 0.25)
    assert [(one.number, one.amount, one.answered) for one in found.charges] == [(1, 0.5, True), (2, 1.25, True)]
    hour = APRIL.replace(minute=0)
    assert found.charges[0].hour == hour
    assert found.more == found.charges[0].until == hour + timedelta(days=365, hours=1)


def test_what_the_budget_cannot_pay_for_is_refused_with_the_date_before_anybody_is_counted(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 1.5"))
    told: list[int] = []
    more = shop.spec("epsilon = 1", "total", by="[]")
    with pytest.raises(cp.ReleaseRefused, match=r"epsilon 0\.5 left.*costs epsilon 1.*2025-04-02 11:00 UTC"):
        shop.store.release(more, shop.folder / "total", progress=lambda done, total: told.append(done))
    assert told == []
    assert not (shop.folder / "total").exists()
    assert shop.budget().spent == 1.5
    assert [leaf.operation for leaf in shop.leaves()][-1] == "released"


def test_the_budget_of_any_365_days_is_kept(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 2"))
    until = shop.budget().charges[0].until
    later = shop.spec("epsilon = 2", "later", by="[]", from_="2025-03-01", until="2025-04-01")
    shop.clock.now = until - timedelta(seconds=1)
    with pytest.raises(cp.ReleaseRefused, match="epsilon 0 left"):
        shop.release(later, "later")
    shop.clock.now = until
    assert shop.release(later, "later").number == 2


def test_the_same_question_is_not_answered_twice_at_another_price(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 0.5"))
    with pytest.raises(cp.ReleaseRefused, match="answered for this period"):
        shop.release(shop.spec("epsilon = 1"), "again")
    with pytest.raises(cp.ReleaseRefused, match="answered for this period"):
        shop.release(shop.spec(protection_='{ kind = "threshold" }'), "again")
    assert shop.budget().spent == 0.5


def test_a_budget_in_rho_is_charged_half_the_square_of_epsilon(tmp_path: Path) -> None:
    shop = NoisyShop(tmp_path, RHO)
    shop.release(shop.spec("rho = 0.1"))
    shop.release(shop.spec("epsilon = 0.5", "total", by="[]"), "total")
    found = shop.budget()
    assert [(one.currency, one.amount, one.counts) for one in found.charges] == [
        ("rho", 0.1, 0.1),
        ("epsilon", 0.5, 0.125),
    ]
    assert (found.left, found.delta_left) == (0.275, 1e-6)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["protection"]["distribution"] == "gaussian"
    assert manifest["protection"]["implied"]["delta"] == 1e-6
    shop.store.close()


# ---- crashes --------------------------------------------------------------------------------------------


def dies(*_: object, **__: object) -> NoReturn:
    os._exit(KILLED)


@pytest.mark.parametrize("at", ["_draw", "_keep"])
def test_a_crash_after_the_charge_leaves_it_spent_and_the_same_question_is_drawn_under_it(
    shop: NoisyShop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Before the noise and after it, before the bytes are kept: nothing of the first draw was ever shown."""
    spec = shop.spec("epsilon = 1.5")
    with monkeypatch.context() as patch:
        patch.setattr(noising, at, dies)
        assert shop.elsewhere(lambda store: store.release(spec, shop.folder / "out")) == KILLED
    assert not (shop.folder / "out").exists()
    shop.reopen()
    assert [(one.number, one.amount, one.answered) for one in shop.budget().charges] == [(1, 1.5, False)]
    assert shop.store.released() == ()
    with pytest.raises(cp.InputError, match="no release of this number"):
        shop.store.figures(1)
    assert shop.store.check().findings == ()
    release = shop.release(spec)
    assert (release.number, release.repeated) == (1, False)
    assert [(one.amount, one.answered) for one in shop.budget().charges] == [(1.5, True)]
    assert [one.number for one in shop.store.released()] == [1]
    assert shop.release(spec, "again").files == release.files
    assert shop.store.check().findings == ()


def test_a_crash_after_the_charge_does_not_open_the_question_to_another_price(
    shop: NoisyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(noising, "_draw", dies)
        shop.elsewhere(lambda store: store.release(shop.spec("epsilon = 0.5"), shop.folder / "out"))
    with pytest.raises(cp.ReleaseRefused, match="answered for this period"):
        shop.release(shop.spec("epsilon = 1"))


def crashes_unanswered(shop: NoisyShop, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release of ``spec`` is charged, and its process dies before anything is drawn."""
    with monkeypatch.context() as patch:
        patch.setattr(noising, "_draw", dies)
        assert shop.elsewhere(lambda store: store.release(spec, shop.folder / "out")) == KILLED
    shop.reopen()


def test_what_is_drawn_long_after_its_charge_weighs_from_when_it_was_drawn(
    lasting: NoisyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a charge without an answer could be kept until it weighs next to nothing any more, and be drawn then."""
    spec = lasting.spec("epsilon = 1.5")
    crashes_unanswered(lasting, spec, monkeypatch)
    (waiting,) = lasting.budget().charges
    lasting.clock.now = waiting.until - timedelta(days=1)
    lasting.release(spec)
    (drawn,) = lasting.budget().charges
    assert (drawn.amount, drawn.answered) == (1.5, True)
    assert drawn.hour == lasting.clock.now
    assert drawn.until == drawn.hour + timedelta(days=365, hours=1)
    lasting.clock.move(days=2)
    assert lasting.budget().spent == 1.5
    assert lasting.store.check().findings == ()


def test_a_charge_that_weighs_no_more_pays_for_nothing(lasting: NoisyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same question is paid for again, under the same number; where nothing is left, it is refused."""
    spec = lasting.spec("epsilon = 1.5")
    crashes_unanswered(lasting, spec, monkeypatch)
    lasting.clock.now = lasting.budget().charges[0].until
    assert lasting.budget().spent == 0
    other = lasting.spec("epsilon = 1", "total", by="[]")
    lasting.release(other, "total")
    with pytest.raises(cp.ReleaseRefused, match="epsilon 1 left"):
        lasting.release(spec)
    planned = lasting.store.plan_release(spec).noise
    assert planned is not None
    assert (planned.cost, planned.left) == (1.5, 1)
    lasting.clock.now = lasting.budget().charges[0].until
    assert lasting.release(spec).number == 1
    assert [(one.number, one.amount, one.answered) for one in lasting.budget().charges] == [(1, 1.5, True)]
    assert lasting.store.check().findings == ()


def test_nothing_is_drawn_under_a_charge_that_may_have_been_answered_in_what_the_log_has_lost(
    lasting: NoisyShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charged, copied, answered, lost and restored: the answer is out, and a second one would have been free."""
    spec, backup = lasting.spec("epsilon = 0.5"), tmp_path / "backup.db"
    crashes_unanswered(lasting, spec, monkeypatch)
    lasting.store.back_up(backup)
    lasting.release(spec)
    lasting.store.close()
    for name in ("data.db", "data.db-wal", "data.db-shm"):
        (lasting.path / name).unlink(missing_ok=True)
    assert cp.Store.restore(lasting.path, key=lasting.key, clock=lasting.clock, data=backup).log == "lineage"
    lasting.reopen_after()
    with pytest.raises(cp.ReleaseRefused, match="epsilon 0 left"):
        lasting.release(spec, "again")
    assert not (tmp_path / "again").exists()
    lasting.clock.now = lasting.budget().more or lasting.clock.now
    assert lasting.release(spec, "again").repeated is False
    assert lasting.budget().spent == 0.5


def test_a_crash_before_the_charge_costs_nothing(shop: NoisyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(noising, "note", dies)  # within the transaction of the charge
        assert shop.elsewhere(lambda store: store.release(shop.spec(), shop.folder / "out")) == KILLED
    assert shop.budget().charges == ()
    assert shop.release(shop.spec()).number == 1


def test_no_noise_is_drawn_before_the_charge_is_anchored(shop: NoisyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a ``data.db`` from before the charge does not reach the anchor, whenever the process dies."""
    seen: list[tuple[str, int, int]] = []
    ground = shop.store._session.ground
    inner = noising._draw

    def watched(*args: object) -> dict[str, bytes]:
        ((size, _),) = ground.keyring.anchors()
        seen.append((shop.leaves()[-1].operation, size, ground.log.size()))
        return inner(*args)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(noising, "_draw", watched)
    shop.release(shop.spec())
    ((last, anchored, size),) = seen
    assert (last, anchored) == ("budget-charged", size)


def test_a_data_file_from_between_charge_and_answer_does_not_give_a_second_draw(
    shop: NoisyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is signed for before its files are out, even if the process dies in the moment after."""
    spec, between = shop.spec("epsilon = 1.5"), shop.folder / "between.db"
    keep = noising._keep

    def copies(*args: object) -> None:
        with closing(sqlite3.connect(shop.path / "data.db")) as data, closing(sqlite3.connect(between)) as copy:
            data.backup(copy)
        keep(*args)  # type: ignore[arg-type]  # as it was called

    with monkeypatch.context() as patch:
        patch.setattr(noising, "_keep", copies)
        patch.setattr("consentprofile.usecases.release.Release", dies)  # its files are written
        assert shop.elsewhere(lambda store: store.release(spec, shop.folder / "out")) == KILLED
    assert (shop.folder / "out" / "data.csv").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(heads, "checkpoint_if_grown", lambda _session: None)
        shop.store.close()
    for name in ("data.db-wal", "data.db-shm"):
        (shop.path / name).unlink(missing_ok=True)
    shutil.copy(between, shop.path / "data.db")
    shop.reopen_after()
    assert [one.answered for one in shop.budget().charges] == [False]
    with pytest.raises(cp.BrokenLog, match="the log was cut"):
        shop.release(spec, "again")
    assert not (shop.folder / "again").exists()


# ---- several at once ------------------------------------------------------------------------------------


def test_two_who_ask_at_once_get_one_charge_and_one_answer(shop: NoisyShop) -> None:
    spec = shop.spec("epsilon = 1.5")
    both = [shop.begin(lambda store, n=n: store.release(spec, shop.folder / f"out-{n}")) for n in range(2)]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in both] == [0, 0]
    assert [(one.number, one.amount) for one in shop.budget().charges] == [(1, 1.5)]
    one, other = ((shop.folder / f"out-{n}" / "data.csv").read_bytes() for n in range(2))
    assert one == other


def test_a_hundred_releases_at_once_with_kills_never_exceed_the_budget_and_are_never_undercharged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes, each with a fourth of the questions, killed on every seventh draw; the budget pays for 80.

    Whatever has left is charged, whatever was charged is in the budget, and the budget is spent to its end.
    """
    shop = NoisyShop(tmp_path, EPSILON, {"desktop": 3})
    specs = [shop.spec("epsilon = 0.025", f"n{limit}", measure='"counts"', limit=str(limit)) for limit in range(1, 101)]
    inner, drawn = noising._draw, [0]

    def sometimes_dies(*args: object) -> dict[str, bytes]:
        drawn[0] += 1
        return dies() if drawn[0] % 7 == 0 else inner(*args)  # type: ignore[arg-type]  # as it was called

    def ask(store: cp.Store, mine: list[Path]) -> None:
        for spec in mine:
            try:
                store.release(spec, tmp_path / "out" / spec.stem)
            except cp.ReleaseRefused:
                continue

    monkeypatch.setattr(noising, "_draw", sometimes_dies)
    questions = [specs[part::4][:: 1 - 2 * (part % 2)] for part in range(4)]
    while questions:
        children = [shop.begin(lambda store, some=some: ask(store, some)) for some in questions]  # type: ignore[misc]
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(ends) <= {0, KILLED}
        questions = [some for some, end in zip(questions, ends, strict=True) if end == KILLED]
    shop.reopen()
    found = shop.budget()
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert (found.spent, found.left, len(found.charges)) == (2.0, 0.0, 80)
    assert all(charge.answered for charge in found.charges)
    assert len(folders) == 80
    assert len(shop.store.released()) == 80
    assert shop.store.check().findings == ()
    shop.store.close()


# ---- what was lost, cut or made up ----------------------------------------------------------------------


def test_an_older_data_file_does_not_give_budget_back(shop: NoisyShop, tmp_path: Path) -> None:
    """The store's own log is kept where it can be; where it was lost, all of the budget counts as spent for a year."""
    backup = tmp_path / "backup.db"
    shop.store.back_up(backup)
    shop.release(shop.spec("epsilon = 0.5"))
    shop.store.close()
    cp.Store.restore(shop.path, key=shop.key, clock=shop.clock, data=backup)
    shop.reopen_after()
    assert shop.budget().spent == 0.5
    shop.store.close()
    for name in ("data.db", "data.db-wal", "data.db-shm"):
        (shop.path / name).unlink(missing_ok=True)
    done = cp.Store.restore(shop.path, key=shop.key, clock=shop.clock, data=backup)
    assert done.log == "lineage"
    shop.reopen_after()
    found = shop.budget()
    assert (found.spent, found.left) == (2, 0)
    assert [(one.number, one.currency) for one in found.charges] == [(None, None)]
    with pytest.raises(cp.ReleaseRefused, match="enough of it comes back at 2025-04-02"):
        shop.release(shop.spec("epsilon = 0.001"), "again")


def test_over_a_log_that_was_cut_nothing_is_charged(shop: NoisyShop) -> None:
    """It could not be signed for, so an older file could pass for it."""
    shop.store.audit.checkpoint()
    before = shop.leaves()[-1].sequence
    write(shop, "UPDATE node SET hash = zeroblob(32)", "UPDATE checkpoint SET root = zeroblob(32)")
    with pytest.raises(cp.BrokenLog):
        shop.release(shop.spec())
    assert shop.leaves()[-1].sequence == before
    assert shop.budget().charges == ()


def test_both_files_of_an_earlier_day_give_budget_back(shop: NoisyShop, tmp_path: Path) -> None:
    """What works, and is said: nothing on this machine is left to tell. The manifest that is out tells."""
    shop.store.close()
    shutil.copytree(shop.path, tmp_path / "yesterday")
    shop.reopen_after()
    shop.release(shop.spec("epsilon = 2"))
    shop.store.close()
    shutil.rmtree(shop.path)
    shutil.copytree(tmp_path / "yesterday", shop.path)
    shop.reopen_after()
    assert shop.budget().spent == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["protection"]["epsilon"] == 2


@pytest.mark.parametrize("rho", [False, True])
def test_how_wide_intervals_are_is_found_before_others_have_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rho: bool
) -> None:
    """Sums of many rows take long to find it for, and whoever draws holds the writer lock."""
    shop = NoisyShop(tmp_path, RHO if rho else EPSILON, {"desktop": 3})
    inner, missed = noising._draw, []

    def watched(*args: object) -> dict[str, bytes]:
        before = half_width.cache_info().misses
        files = inner(*args)  # type: ignore[arg-type]  # as it was called
        missed.append(half_width.cache_info().misses - before)
        return files

    monkeypatch.setattr(noising, "_draw", watched)
    half_width.cache_clear()
    loss = "rho = 0.0123" if rho else "epsilon = 0.123"
    shop.release(shop.spec(loss, by="[]", measure='"frequency"', most="20"))
    assert missed == [0]
    shop.store.close()


def write(shop: NoisyShop, *statements: str) -> None:
    shop.store.close()
    with closing(sqlite3.connect(shop.path / "data.db")) as data, data:
        for statement in statements:
            data.execute(statement)
    shop.reopen_after()


def test_a_charge_whose_entry_was_deleted_is_still_counted_and_found(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 1.5"))
    write(shop, "DELETE FROM release")
    assert shop.budget().spent == 1.5
    assert any("charged" in finding.what for finding in shop.store.check().findings)


def test_a_charge_whose_leaf_was_deleted_is_still_counted(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 1.5"))
    write(shop, "DELETE FROM leaf WHERE instr(body, 'budget-charged')")
    assert shop.budget().spent == 1.5


# ---- who counts, and who may ----------------------------------------------------------------------------


def test_who_consented_to_a_smaller_budget_is_not_in_a_release_under_a_larger_one(shop: NoisyShop) -> None:
    """Until they consent anew: the budget was part of what they were told. No noise here is near 90 accounts."""
    larger = ("epsilon_per_year = 2 }", "epsilon_per_year = 20 }")
    apply(shop, asking_anew("planning", larger, text=EPSILON))
    total = shop.release(shop.spec("epsilon = 10", by="[]"))
    assert int(str(total.figures.rows[0][0])) < 20


def test_without_the_extra_nothing_is_charged(shop: NoisyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "has_opendp", lambda: False)
    with pytest.raises(cp.UnsupportedEnvironment, match=r"consentprofile\[dp\]"):
        shop.release(shop.spec())
    with pytest.raises(cp.UnsupportedEnvironment, match=r"consentprofile\[dp\]"):
        shop.store.plan_release(shop.spec())
    assert shop.budget().charges == ()


def test_an_approval_is_asked_for_before_anything_is_charged(tmp_path: Path) -> None:
    text = edited(("epsilon_per_year = 2 }", "epsilon_per_year = 2, approval = true }"), text=EPSILON)
    shop = NoisyShop(tmp_path, text)
    spec = shop.spec()
    with pytest.raises(cp.ReleaseRefused, match="approval"):
        shop.store.release(spec, tmp_path / "out", actor="planner:eve")
    assert shop.budget().charges == ()
    shop.store.approve_release(spec, actor="officer:ada")
    assert shop.store.release(spec, tmp_path / "out", actor="planner:eve").number == 1
    shop.store.close()


def test_a_rotation_of_keys_keeps_charges_and_answers(shop: NoisyShop, tmp_path: Path) -> None:
    first = shop.release(shop.spec("epsilon = 0.5"))
    key = cp.KeyFile(tmp_path / "new-key")
    shop.store.rotate_keys(key)
    shop.store.close()
    shop.key = key
    shop.reopen_after()
    assert shop.budget().spent == 0.5
    assert shop.release(shop.spec("epsilon = 0.5"), "again").files == first.files


@pytest.mark.parametrize("purpose", ["support", "marketing"])
def test_a_purpose_without_a_budget_has_none_to_show(shop: NoisyShop, purpose: str) -> None:
    with pytest.raises(cp.InputError, match="no privacy budget"):
        shop.store.budget(purpose)


# ---- the plan -------------------------------------------------------------------------------------------


def test_a_plan_tells_width_and_cost_counts_nobody_and_spends_nothing(shop: NoisyShop) -> None:
    told: list[int] = []
    spec = shop.spec("epsilon = 0.5", cells_per_account="2")
    plan = shop.store.plan_release(spec, progress=lambda done, _: told.append(done))
    assert told == []
    noise = plan.noise
    assert noise is not None
    assert (noise.currency, noise.cost, noise.left, noise.affordable) == ("epsilon", 0.5, 2, APRIL.replace(second=0))
    assert (noise.keys, plan.guarantee, plan.min_accounts) == ("listed", "differential privacy", 0)
    release = shop.release(spec)
    assert release.figures.intervals == {"accounts": noise.figures[0].interval} == {"accounts": plan.largest_error}
    paid = shop.store.plan_release(spec).noise
    assert paid is not None
    assert (paid.cost, paid.left) == (0, 1.5)


def test_a_plan_of_what_cannot_be_paid_for_yet_says_from_when_on_it_can(shop: NoisyShop) -> None:
    shop.release(shop.spec("epsilon = 2"))
    noise = shop.store.plan_release(shop.spec("epsilon = 1", "total", by="[]")).noise
    assert noise is not None
    assert (noise.left, noise.affordable) == (0, datetime(2025, 4, 2, 11, tzinfo=UTC))


def test_the_number_of_cells_that_a_plan_suggests_keeps_figures_within_the_minimum(shop: NoisyShop) -> None:
    """The policy's minimum is 3: noise for two cells stays within 3 of what is counted, for three it does not."""

    def planned(**changes: str) -> cp.PlannedNoise:
        noise = shop.store.plan_release(shop.spec("epsilon = 2", by='["platform", "day"]', **changes)).noise
        assert noise is not None
        return noise

    assert planned().suggested_cells_per_account == 2
    widths = [planned(cells_per_account=str(cells)).figures[0].interval for cells in (2, 3)]
    assert widths[0] <= 3 < widths[1]


# ---- the canary -----------------------------------------------------------------------------------------


def test_no_account_no_path_and_no_exact_count_is_in_any_file(shop: NoisyShop) -> None:
    release = shop.store.release(shop.spec("epsilon = 0.01"), shop.folder / "out", also=("parquet", "pictures"))
    for name, data in release.files.items():
        assert b"acct-" not in data, name
        assert str(shop.folder).encode() not in data, name
    assert {"parquet", "svg", "png"} <= {name.rpartition(".")[2] for name in release.files}
