"""Part ``start``: importing the package, and the command line saying what it can do, as processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.measure import Samples
from benchmarks.results import Results
from benchmarks.stage import Stage

_IMPORT: Final = "import time; t = time.perf_counter_ns(); import consentprofile; print(time.perf_counter_ns() - t)"


def measure(stage: Stage, results: Results) -> None:
    """Fresh processes, in turn; the first of each, which may have to compile, is not counted."""
    stage.say("starting processes")
    results.title = "Starting"
    script = Path(sys.executable).with_name("consentprofile")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "consentprofile"]
    imports: Samples = []
    processes: dict[str, Samples] = {}
    kinds = {
        "a process of Python that does nothing": [sys.executable, "-c", "pass"],
        "a process that imports consentprofile": [sys.executable, "-c", "import consentprofile"],
        "`consentprofile --help`, the whole process": [*command, "--help"],
    }
    for number in range(stage.size.starts + 1):
        found = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
        if number:
            imports.append(float(found.stdout))
        for name, arguments in kinds.items():
            start = time.perf_counter_ns()
            subprocess.run(arguments, capture_output=True, check=True)
            if number:
                processes.setdefault(name, []).append(time.perf_counter_ns() - start)
    results.note_times("`import consentprofile`, the statement in a fresh process", imports, key="start.import")
    for name, samples in processes.items():
        results.note_times(name, samples, key="start.help" if "--help" in name else "")
