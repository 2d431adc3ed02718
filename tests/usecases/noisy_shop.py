"""A store with a privacy budget, people in March, and specifications under differential privacy; it is April."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import consentprofile as cp
from tests.usecases.changes import edited
from tests.usecases.scene import Scene, event

RULES = 'cadence = "7 days" }'
EPSILON = edited((RULES, 'cadence = "7 days", epsilon_per_year = 2 }'))
RHO = edited((RULES, 'cadence = "7 days", rho_per_year = 0.5, delta_per_year = 1e-6 }'))
APRIL = datetime(2024, 4, 2, 10, 30, tzinfo=UTC)
COUNTS = {"desktop": 30, "mobile": 60}


class NoisyShop(Scene):
    """30 accounts came by desktop, 60 others by mobile."""

    def __init__(self, folder: Path, text: str = EPSILON, counts: dict[str, int] | None = None) -> None:
        super().__init__(folder, text)
        people = [platform for platform, count in (counts or COUNTS).items() for _ in range(count)]
        for number, platform in enumerate(people):
            self.give("planning", account=f"acct-{number}")
            self.store.record(event("login", account=f"acct-{number}", platform=platform))
        self.clock.now = APRIL
        self.path = folder / "store"

    def spec(self, protection: str = "epsilon = 1", name: str = "noisy", **changes: str) -> Path:
        """A specification; ``changes`` take the place of its lines or come beside them."""
        lines = {
            "format": "1", "name": f'"{name}"', "purpose": '"planning"', "measure": '"reach"', "by": '["platform"]',
            "from": "2024-03-01", "until": "2024-04-01", "zone": '"Europe/Berlin"',
            "protection": f'{{ kind = "dp", {protection} }}',
        } | {key.rstrip("_"): value for key, value in changes.items()}  # fmt: skip
        path = self.folder / f"{name}.toml"
        path.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        return path

    def release(self, spec: Path, out: str = "out") -> cp.Release:
        return self.store.release(spec, self.folder / out)

    def reopen_after(self) -> None:
        """Open the store again, which was closed."""
        self.store = cp.Store.open(self.path, key=self.key, clock=self.clock)

    def budget(self) -> cp.Budget:
        return self.store.budget("planning")

    def elsewhere(self, act: Callable[[cp.Store], object]) -> int:
        """``act`` in another process that opens the store; 0 where it came to its end, 1 where it was refused."""
        child = self.begin(act)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def begin(self, act: Callable[[cp.Store], object]) -> int:
        """The process in which ``act`` goes on."""
        child = os.fork()
        if child:
            return child
        code = 2
        try:
            with cp.Store.open(self.path, key=self.key, clock=self.clock) as store:
                act(store)
            code = 0
        except cp.ReleaseRefused:
            code = 1
        finally:
            os._exit(code)
