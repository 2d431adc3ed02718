"""What the steps of ``demo`` share: the store, the customers that were chosen, and how a step is told."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Final, Self

import consentprofile as cp
from consentprofile.cli.demo.shop import PRESENT, Chosen, Shop, choose
from consentprofile.cli.output import Output, count
from consentprofile.model.policy import EnumField

AGENT: Final = "support-agent:17"
MARKETER: Final = "marketer:5"

INDENT: Final = 3
BAR: Final = 24
"""The longest bar, in characters."""


class Stage:
    """The scene of a demo: a store in ``folder`` whose clock stands at :data:`PRESENT`, and somewhere to tell it."""

    def __init__(self, out: Output, folder: Path, shop: Shop) -> None:
        self.out: Final = out
        self.folder: Final = folder
        self.shop: Final = shop
        self.key: Final = cp.KeyFile(folder / "shop.key")
        self.path: Final = folder / "store"
        self.facts: Final[dict[str, object]] = {"as_of": PRESENT}
        """What was found on the way, for ``--json``."""
        self._store: cp.Store | None = None
        self._number = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---- the store -------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the store."""
        self._store = cp.Store.create(self.path, policy=self.shop.policy, key=self.key, clock=lambda: PRESENT)

    @property
    def store(self) -> cp.Store:
        """The store, opened where it is not."""
        if self._store is None:
            self._store = self.open(self.path)
        return self._store

    def open(self, path: Path) -> cp.Store:
        """The store at ``path``, with the demo's key and clock."""
        return cp.Store.open(path, key=self.key, clock=lambda: PRESENT)

    def close(self) -> None:
        """Close the store, if it is open."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def read(self, purpose: str, actor: str, account: str) -> cp.Profile | None:
        """What ``actor`` sees of an account for one purpose."""
        with self.store.view(purpose, actor=actor, reason="demo") as view:
            return view.profile(account)

    @cached_property
    def chosen(self) -> Chosen:
        """The customers that are looked at, found by rule."""
        policy = self.store.policy
        platform = policy.fields["platform"]
        platforms = len(platform.values) if isinstance(platform, EnumField) else 0
        return choose(self.shop, list(policy.purposes), platforms)

    # ---- telling ---------------------------------------------------------------------------------

    def begin(self, number: int) -> None:
        """A step begins: its work is done first, then told."""
        self._number = number
        self._began = perf_counter()

    def title(self, text: str) -> None:
        """The step's work is done; what it was, and how long it took."""
        self.out.heading(f"{self._number}  {text}", right=f"{perf_counter() - self._began:.2f} s")

    def say(self, text: str) -> None:
        """What happened, and why."""
        self.out.prose(text, indent=INDENT)

    def gap(self) -> None:
        """Room to breathe."""
        self.out.line()


def bar(number: int, most: int) -> str:
    """A bar as long as the number is large."""
    return "█" * max(number > 0, round(BAR * number / max(1, most)))


def events(profile: cp.Profile | None) -> str:
    """How much there is to see."""
    return "nothing" if profile is None else count(profile.events, "event")
