"""What every test can rely on: Hypothesis profiles, a clean environment, and given data if there is some."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.memory import in_memory

# No deadlines, and no complaint about slow generation: nothing here measures time, and machines are shared.
_common = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _common, max_examples=50, stateful_step_count=25)
settings.register_profile("ci", _common, max_examples=200, stateful_step_count=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure() -> None:
    """Let ``tmp_path`` lie in memory, where the machine has room there, unless somebody has said where."""
    place = in_memory()
    if place is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(place))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is killed again and again comes first: a fork costs by what other tests have loaded before it."""
    items.sort(key=lambda item: "tests/faults/" not in item.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_machine() -> Iterator[None]:
    """No test finds a store or a key of whoever runs it, except the one that it names itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CONSENTPROFILE_")]:
            if name != "CONSENTPROFILE_DATA":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def given_data() -> Path:
    """The folder of input that the project does not ship; the test is skipped where there is none."""
    folder = os.environ.get("CONSENTPROFILE_DATA")
    if not folder:
        pytest.skip("needs the folder of given data: set CONSENTPROFILE_DATA")
    if not Path(folder).is_dir():
        pytest.fail("CONSENTPROFILE_DATA names no folder")
    return Path(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted (``record_property`` with a whole number), summed over all of them."""
    counted: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                counted.update({name: number for name, number in report.user_properties if isinstance(number, int)})
    for name, number in sorted(counted.items()):
        terminalreporter.write_line(f"{name}: {number:,}")
