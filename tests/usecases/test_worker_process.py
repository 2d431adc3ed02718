"""A worker begins with what it needs and with nothing else: what it imports is time in which it does not work."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import consentprofile
from consentprofile.usecases import worker_process
from consentprofile.usecases.counting_crew import CountingCrew
from tests.usecases import counting_scene
from tests.usecases.counting_scene import ReadyCrew, taken
from tests.usecases.scene import Scene
from tests.usecases.test_release import populated

PROGRAMS = ("counting_worker", "sealing_worker")


def imported(program: str, path: list[str]) -> set[str]:
    """The modules of a worker whose store has ended before it said anything; nothing but ``path`` is searched."""
    near, far = socket.socketpair()
    with far:
        near.close()
        started = subprocess.run(
            [sys.executable, "-I", "-c", worker_process.START.format(program) + "print(*sys.modules)", *path],
            stdin=far.fileno(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    return set(started.stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_worker_does_not_import_what_a_store_can_do_besides(program: str) -> None:
    modules = imported(program, [worker_process.PACKAGE, *sys.path])
    assert f"consentprofile.usecases.{program}" in modules
    assert not {name for name in modules if name.startswith(("consentprofile.client", "consentprofile.cli", "asyncio"))}


def test_a_worker_is_of_the_same_package_as_its_store(tmp_path: Path) -> None:
    """Whatever else of that name is found first."""
    (tmp_path / "consentprofile").mkdir()
    (tmp_path / "consentprofile" / "__init__.py").write_text("raise ImportError('another')\n", encoding="utf-8")
    assert worker_process.PACKAGE in list(consentprofile.__path__)
    assert "consentprofile.usecases" in imported("counting_worker", [worker_process.PACKAGE, str(tmp_path), *sys.path])


def test_a_counting_worker_has_one_thread(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    populated(scene)
    counting_scene.short_stretches(monkeypatch)
    threads: list[int] = []
    end = CountingCrew.end

    def looking(crew: CountingCrew) -> None:
        threads.extend(len(list(Path(f"/proc/{process}/task").iterdir())) for process in crew.processes)
        end(crew)

    monkeypatch.setattr(ReadyCrew, "end", looking)
    taken(scene.store._session, workers=2)
    assert threads == [1, 1]
