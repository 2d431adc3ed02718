"""The public face: opening, closing, policies, and what everything says of itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import consentprofile as cp
from consentprofile.model.policy_file import read_policy
from tests.usecases.scene import ACCOUNT, AGENT, NEW, POLICY, Scene, event


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.store.close()


def test_the_example_of_the_design_runs(scene: Scene) -> None:
    store = scene.store
    store.give_consent(ACCOUNT, ["support", "marketing"], notice=NEW, method="signup form")
    outcome = store.record(event(channel="web", platform="desktop", device="d-1", id="e-1"))
    assert outcome["support"] is cp.Outcome.RECORDED
    with store.view("support", actor="support-agent:17", reason="ticket") as view:
        profile = view.profile(ACCOUNT)
    assert profile is not None
    assert (profile.events, dict(profile.platforms)) == (1, {"desktop": 1})
    store.withdraw_consent(ACCOUNT, ["marketing"])
    assert store.erase(ACCOUNT, reference="request 2026-118").found == 1
    assert store.audit.verify().size == len(list(store.audit.log()))


def test_what_is_written_is_there_after_reopening(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(platform="mobile"))
    before = (scene.profile(), scene.state(), scene.store.statistics())
    scene.reopen()
    assert (scene.profile(), scene.state(), scene.store.statistics()) == before


def test_a_single_purpose_may_be_named_as_a_text(scene: Scene) -> None:
    assert set(scene.store.give_consent(ACCOUNT, "support", notice=NEW, method="form")) == {"support"}


# ---- opening ------------------------------------------------------------------------------------


def test_a_policy_may_be_given_on_opening_and_must_be_the_accepted_one(scene: Scene, tmp_path: Path) -> None:
    scene.store.close()
    same = tmp_path / "same.toml"
    same.write_text("# a comment more changes nothing\n" + POLICY)
    with cp.Store.open(tmp_path / "store", key=scene.key, policy=same, clock=scene.clock):
        pass
    other = read_policy(POLICY.replace('"3 months"', '"2 months"'), "policy.toml")
    with pytest.raises(cp.PolicyChanged) as refusal:
        cp.Store.open(tmp_path / "store", key=scene.key, policy=other, clock=scene.clock)
    assert "`policy diff`" in str(refusal.value)
    assert "`policy apply`" in str(refusal.value)
    with cp.Store.open(tmp_path / "store", key=scene.key, clock=scene.clock, wait=0) as store:
        assert store.policy == read_policy(POLICY, "policy.toml")


def test_a_policy_that_is_refused_leaves_no_store_behind(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY.replace('"365 days"', '"for ever"'))
    with pytest.raises(cp.InvalidPolicy) as refusal:
        cp.Store.create(tmp_path / "store", policy=tmp_path / "policy.toml", key=cp.KeyFile(tmp_path / "key"))
    assert len(refusal.value.faults) == 2
    with pytest.raises(cp.InvalidPolicy):
        cp.Store.create(tmp_path / "store", policy=tmp_path / "missing.toml", key=cp.KeyFile(tmp_path / "key"))
    assert [path.name for path in tmp_path.iterdir()] == ["policy.toml"]


def test_a_store_is_never_made_over_anything(scene: Scene, tmp_path: Path) -> None:
    for place in (tmp_path / "store", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(cp.StoreExists):
            cp.Store.create(place, policy=scene.store.policy, key=scene.key)
    assert scene.state().state == "none"


def other_key(scene: Scene) -> cp.KeyProvider:
    key = cp.KeyFile(scene.folder / "other-key")
    cp.Store.create(scene.folder / "other", policy=scene.store.policy, key=key).close()
    return key


def missing_key(scene: Scene) -> cp.KeyProvider:
    return cp.KeyFile(scene.folder / "missing")


def loose_key(scene: Scene) -> cp.KeyProvider:
    (scene.folder / "key").chmod(0o644)
    return scene.key


KEYS: list[tuple[Callable[[Scene], cp.KeyProvider], type[cp.KeyFault]]] = [
    (other_key, cp.WrongKey),
    (missing_key, cp.KeyUnavailable),
    (loose_key, cp.KeyUnavailable),
]


@pytest.mark.parametrize(("key", "error"), KEYS, ids=[key.__name__ for key, _ in KEYS])
def test_without_its_key_a_store_does_not_open(
    scene: Scene, key: Callable[[Scene], cp.KeyProvider], error: type[cp.KeyFault]
) -> None:
    with pytest.raises(error):
        cp.Store.open(scene.folder / "store", key=key(scene))
    (scene.folder / "key").chmod(0o600)
    scene.reopen()


@pytest.mark.parametrize("missing", ["store", "store/keys.db", "store/data.db"])
def test_a_store_that_is_not_there_is_not_made_up(scene: Scene, missing: str) -> None:
    scene.store.close()
    (scene.folder / missing).rename(scene.folder / "away")
    with pytest.raises(cp.StoreNotFound):
        cp.Store.open(scene.folder / "store", key=scene.key)
    (scene.folder / "away").rename(scene.folder / missing)
    scene.reopen()


# ---- closing ------------------------------------------------------------------------------------


def test_a_closed_store_does_nothing_and_says_so(scene: Scene) -> None:
    scene.store.close()
    scene.store.close()
    calls: list[Callable[[], object]] = [
        lambda: scene.store.policy,
        lambda: scene.store.record(event()),
        lambda: scene.store.erase(ACCOUNT),
        lambda: scene.store.consents(ACCOUNT),
        lambda: list(scene.store.audit.log()),
        lambda: scene.store.view("support", AGENT).__enter__(),
    ]
    for call in calls:
        with pytest.raises(cp.StoreClosed):
            call()


def test_a_view_that_outlives_its_store_reads_nothing(scene: Scene) -> None:
    scene.give()
    with scene.store.view("support", AGENT) as view:
        scene.store.close()
        with pytest.raises(cp.StoreClosed):
            view.profile(ACCOUNT)


def test_a_store_is_closed_when_its_block_is_left_by_an_error(scene: Scene) -> None:
    with pytest.raises(RuntimeError), scene.store:
        raise RuntimeError
    assert repr(scene.store) == "<Store, closed>"


# ---- together -----------------------------------------------------------------------------------


def test_threads_may_share_a_store(scene: Scene) -> None:
    scene.give()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for index in range(5):
                scene.store.record(event(id=f"e-{number}-{index}"))
                assert scene.profile() is not None
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(scene.events() or []) == 20


def test_a_busy_store_is_a_clear_error_after_the_wait(scene: Scene) -> None:
    with (
        cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock, wait=0) as other,
        scene.store._session.ground.files.writing(),
        pytest.raises(cp.StoreBusy),
    ):
        other.record(event())


# ---- the package --------------------------------------------------------------------------------


def test_every_error_is_of_one_family_and_says_how_to_leave() -> None:
    errors = [found for name in cp.__all__ if isinstance(found := getattr(cp, name), type)
              and issubclass(found, BaseException)]  # fmt: skip
    assert len(errors) > 20
    for error in errors:
        assert issubclass(error, cp.ConsentProfileError)
        assert 3 <= error.exit_code <= 9 or error is cp.ConsentProfileError


def test_every_public_name_is_there_and_explains_itself() -> None:
    assert sorted(cp.__all__) == list(dict.fromkeys(sorted(cp.__all__)))
    for name in cp.__all__:
        found = getattr(cp, name)
        if isinstance(found, type):
            assert found.__doc__, name
            assert found.__module__.startswith("consentprofile."), name


@pytest.mark.parametrize("value", [cp.Profile, cp.Held, cp.Consent, cp.Release, cp.Report, cp.Trace, cp.Imported])
def test_results_are_frozen_values(value: type[msgspec.Struct]) -> None:
    assert value.__struct_config__.frozen


def test_a_policy_is_found_by_name(scene: Scene) -> None:
    policy = scene.store.policy
    assert policy.purposes["support"].readers == ("support-agent",)
    assert policy.notices[NEW].language == "en"
    assert "device" in policy.kinds["login"].fields
    assert cp.load_policy(policy) is policy
