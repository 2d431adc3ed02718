"""The documents say what is so: code runs and prints what stands beside it, and nothing public is left out."""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

import msgspec
import pytest

import consentprofile as cp
from consentprofile.cli.main import COMMANDS
from consentprofile.model.consent import DPV_STATUS, Act, State
from consentprofile.model.policy_file import read_policy
from consentprofile.tlog.leaf import Operation
from tests.documented import fences, function_signature, signatures, tables
from tests.usecases.changes import FEWER, edited
from tests.usecases.scene import ACCOUNT, AGENT, POLICY, Scene, event

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


# ---- the tutorial -------------------------------------------------------------------------------


def test_the_tutorial_runs_block_by_block_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python is run in one namespace, files are written under the name beside ``toml``, ``text`` is the output."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed = ""
    counted = 0
    for fence in fences(page("tutorial.md")):
        if fence.language == "toml":
            Path(fence.rest).write_text(fence.text, encoding="utf-8")
        elif fence.language == "python":
            assert printed == "", "output that the page does not show"
            out = io.StringIO()
            with redirect_stdout(out):
                exec(compile(fence.text, "tutorial.md", "exec", dont_inherit=True), names)
            printed = out.getvalue()
            counted += 1
        elif fence.language == "text":
            assert printed == fence.text
            printed = ""
        else:
            assert fence.language == "console"
            assert re.fullmatch(r'\$ pip install "consentprofile\[(\w+)\]"\n', fence.text)
    assert printed == ""
    assert counted > 8


def test_what_the_tutorial_installs_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extra,) = re.findall(r"consentprofile\[(\w+)\]", page("tutorial.md"))
    assert project["name"] == "consentprofile"
    assert extra in project["optional-dependencies"]


# ---- the first page -----------------------------------------------------------------------------


def test_the_python_of_the_readme_runs_and_says_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "examples" / "shop" / "policy.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = (
        fence for fence in fences((ROOT / "README.md").read_text(encoding="utf-8")) if fence.language == "python"
    )
    names: dict[str, object] = {}
    exec(compile(block.text, "README.md", "exec", dont_inherit=True), names)
    (shown,) = re.findall(r"# (\{.*\})", block.text)
    assert names["outcome"] == ast.literal_eval(shown)
    assert isinstance(names["profile"], cp.Profile)
    assert names["profile"].events == 1


def test_the_commands_of_the_readme_are_commands() -> None:
    consoles = [fence.text for fence in fences((ROOT / "README.md").read_text(encoding="utf-8"))]
    named = {line.split()[2] for text in consoles for line in text.splitlines() if line.startswith("$ consentprofile ")}
    assert named >= {"init", "import", "erase", "audit", "release"}
    assert named <= set(COMMANDS)


# ---- the interface ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cp.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"^(#+ |\| )`{re.escape(name)}[`(]", page("api.md"), flags=re.MULTILINE)


def test_nothing_is_documented_that_is_not_public() -> None:
    headings = re.findall(r"^##+ `(\w+)", page("api.md"), flags=re.MULTILINE)
    assert set(headings) <= set(cp.__all__)


@pytest.mark.parametrize("face", [cp.Store, cp.View, cp.Audit, cp.Upkeep])
def test_every_method_is_documented_with_its_signature(face: type) -> None:
    blocks = {fence.text.rstrip("\n") for fence in fences(page("api.md"))}
    headings = set(re.findall(rf"^### `{face.__name__}\.(\w+)`$", page("api.md"), flags=re.MULTILINE))
    declared = signatures(face)
    assert headings == set(declared)
    assert [signature for signature in declared.values() if signature not in blocks] == []


def test_every_function_is_documented_with_its_signature() -> None:
    blocks = {fence.text.rstrip("\n") for fence in fences(page("api.md"))}
    functions = [found for name in cp.__all__ if inspect.isfunction(found := getattr(cp, name))]
    assert functions
    assert [function.__name__ for function in functions if function_signature(function) not in blocks] == []


def structs() -> Iterator[type[msgspec.Struct]]:
    for name in cp.__all__:
        found = getattr(cp, name)
        if isinstance(found, type) and issubclass(found, msgspec.Struct):
            yield found


def test_the_asynchronous_face_of_the_log_is_documented() -> None:
    section = page("api.md").split("\n## `AsyncStore`\n")[1].split("\n## ")[0]
    assert "`store.audit`" in section
    assert all(f"`{name}`" in section for name in ("log", "actor", "public_key"))


@pytest.mark.parametrize("value", list(structs()))
def test_every_value_is_documented_with_its_fields_in_order(value: type[msgspec.Struct]) -> None:
    section = page("api.md").split(f"\n### `{value.__name__}`\n")[1]
    shown = [line.split(":")[0] for line in fences(section)[0].text.splitlines()]
    assert shown == [field.name for field in msgspec.structs.fields(value)]


def test_every_error_is_documented_with_its_family_and_exit_code() -> None:
    rows = {row[0].strip("`"): row for row in tables(page("api.md"))}
    for name in cp.__all__:
        error = getattr(cp, name)
        if isinstance(error, type) and issubclass(error, cp.ConsentProfileError):
            _, family, code, meaning = rows[name]
            assert int(code) == error.exit_code, name
            assert meaning, name
            if error is not cp.ConsentProfileError:
                assert issubclass(error, getattr(cp, family.strip("`"))), name


@pytest.mark.parametrize("words", [cp.Act, cp.Outcome])
def test_every_word_of_a_vocabulary_is_documented(words: type[cp.Act] | type[cp.Outcome]) -> None:
    for word in words:
        assert f"`{word.name}` (`{word.value}`)" in page("api.md")


# ---- the vocabulary -----------------------------------------------------------------------------

WORDS: Final = (
    "controller", "account", "purpose", "notice", "consent", "evidence", "compartment", "slot", "event",
    "kind, channel, platform, device", "profile", "policy", "view", "capability", "leaf, checkpoint", "trail",
    "actor book", "certificate", "release",
)  # fmt: skip


def test_the_vocabulary_has_every_word_of_the_design_and_every_state_and_outcome() -> None:
    rows = {row[0]: row[1:] for row in tables(page("vocabulary.md"))}
    assert [word for word in WORDS if word not in rows] == []
    for state in State:
        assert rows[state.label][0] == f"`{DPV_STATUS[state]}`"
        assert rows[state.label][1] == ("yes" if state in (State.GIVEN, State.RENEWED) else "no")
    assert [outcome.value for outcome in cp.Outcome if outcome.value not in rows] == []


def test_the_page_about_consent_names_every_state_and_act() -> None:
    text = page("consent.md")
    assert [state.label for state in State if state.label not in text] == []
    assert [act.value for act in Act if act.value not in text] == []
    shown = {row[0].strip("`") for row in tables(text)} | set(re.findall(r"`(\w+)`", text))
    assert [field.name for field in msgspec.structs.fields(cp.Entry) if field.name not in shown] == []


# ---- the audit log ------------------------------------------------------------------------------


def operations() -> dict[str, list[str]]:
    """The rows of the table of operations."""
    return {row[0].strip("`"): row for row in tables(page("audit.md")) if re.fullmatch(r"`[a-z-]+`", row[0])}


def test_every_operation_of_the_log_is_documented_and_no_other() -> None:
    assert list(operations()) == [operation.value for operation in Operation]


APPROVED: Final = ('cadence = "7 days" }', 'cadence = "7 days", approval = true, epsilon_per_year = 1 }')
"""The edit of the policy that makes releases need an approval."""

OF_RESTORES: Final = {"restored", "key-gone", "key-found", "lineage-begun"}
"""What no open store does by itself; tests/usecases/test_restore.py has them."""

FACTS: Final = {"key-id": "key id", "reference": "reference", "commitment": "commitment", "events": "events",
                "epsilon": "what it costs", "delta": "what it costs",
                "merged": "merged",
                "capability": "id of the capability", "epoch": "epoch", "retagged": "retagged",
                "blocks": "blocks", "release": "release", "specification": "specification"}  # fmt: skip


def test_leaves_say_what_the_table_says_and_no_more(tmp_path: Path) -> None:
    """Everything is done once; each leaf's facts, purpose and entry of the actor book are compared with the table."""
    scene = Scene(tmp_path, edited(APPROVED))
    store = scene.store
    (tmp_path / "spec.toml").write_text(
        'format = 1\nname = "r"\npurpose = "planning"\nmeasure = "reach"\nfrom = 2024-02-01\nuntil = 2024-03-01\n'
        'zone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n'
    )
    scene.give("support", "planning")
    store.record(event("login"))
    scene.clock.move(hours=1)
    store.renew_consent(ACCOUNT, ["support"], notice="2024-01")
    store.refuse_consent(ACCOUNT, ["marketing"])
    scene.profile()
    with pytest.raises(cp.RoleNotAllowed), store.view("support", "marketer:1"):
        pytest.fail("the view opened")
    store.suppress(ACCOUNT, "deceased")
    store.lift_suppression(ACCOUNT, "deceased")
    store.access(ACCOUNT)
    store.plan_release(tmp_path / "spec.toml")
    store.disapprove_release(
        store.approve_release(tmp_path / "spec.toml", actor="officer:ada").number, actor="officer:ada"
    )
    store.approve_release(tmp_path / "spec.toml", actor="officer:ada")
    store.release(tmp_path / "spec.toml", tmp_path / "out", actor="officer:bob")
    store.release(tmp_path / "spec.toml", tmp_path / "out")
    noisy = (tmp_path / "spec.toml").read_text().replace('kind = "threshold"', 'kind = "dp"\nepsilon = 1')
    (tmp_path / "noisy.toml").write_text(noisy.replace('"reach"', '"reach"\nby = ["platform"]'))
    store.approve_release(tmp_path / "noisy.toml", actor="officer:ada")
    store.release(tmp_path / "noisy.toml", tmp_path / "noisy", actor="officer:bob")
    store.back_up_keyring(tmp_path / "keys.backup")
    store.issue_capability(tmp_path / "support.cap", "support", "support-agent")
    store.back_up(tmp_path / "data.backup")
    cheap = cp.Passphrase("correct horse battery staple", memory_kib=19 * 1024, iterations=2)
    store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap)
    store.rotate_keys(cp.KeyFile(tmp_path / "new.key"))
    store.audit.account(ACCOUNT)
    assert list(store.audit.actor("support-agent:17"))
    store.withdraw_consent(ACCOUNT, ["support"])
    store.invalidate_consent(ACCOUNT, ["planning"])
    scene.give("marketing", "support")
    store.record(event(at=scene.clock.now))
    store.record(event(at=scene.clock.now))
    store.upkeep.compact(everything=True)
    scene.clock.move(days=200)
    assert store.upkeep.run_retention(attended=True).resealed == 1
    store.record(event(at=scene.clock.now, rating=3))
    store.apply_policy(read_policy(edited(APPROVED, FEWER), os.devnull), key=cp.KeyFile(tmp_path / "new.key"))
    assert store.upkeep.run_retention(attended=True).narrowed == 1
    store.upkeep.expire_consents(attended=True)
    store.erase(ACCOUNT, reference="request 1")
    leaves = scene.leaves()
    with store._session.ground.files.reading():
        booked = {sequence for sequence, _ in store._session.ground.log.actors(0)}
    first_erased = next(leaf.sequence for leaf in leaves if leaf.operation == "erased")
    store.close()

    done = {leaf.operation for leaf in leaves}
    assert set(operations()) - done == {"repaired"} | OF_RESTORES
    for leaf in leaves:
        _, _, facts, purpose, trail, book = operations()[leaf.operation]
        for fact in leaf.facts:
            assert FACTS[fact] in facts, leaf.operation
        assert bool(facts) == bool(leaf.facts), leaf.operation
        assert not leaf.purpose or purpose, leaf.operation
        assert bool(book) == (leaf.sequence in booked) or leaf.sequence > first_erased, leaf.operation
        assert not trail or "commitment" in leaf.facts, leaf.operation


def test_the_code_in_the_other_pages_runs(scene_store: cp.Store) -> None:
    """Python on the pages about a store that is open already."""
    for name in ("audit.md", "consent.md", "vocabulary.md", "upkeep.md"):
        for fence in fences(page(name)):
            if fence.language == "python":
                with redirect_stdout(io.StringIO()) as out:
                    exec(compile(fence.text, name, "exec", dont_inherit=True), {"store": scene_store, "cp": cp})
                assert out.getvalue()


@pytest.fixture
def scene_store(tmp_path: Path) -> Iterator[cp.Store]:
    key = cp.KeyFile(tmp_path / "key")
    with cp.Store.create(tmp_path / "store", policy=read_policy(POLICY, os.devnull), key=key) as store:
        with store.view("support", AGENT) as view:
            assert view.profile(ACCOUNT) is None
        yield store
