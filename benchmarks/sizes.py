"""How much work there is: the named sizes of one harness, and which parts each of them runs."""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.peers import BY_INDEX, COMMON, EVERY, FERNET, INDEX, PLAIN, TUNED

DEFAULT_PARTS: Final = (
    "load", "fewer", "shapes", "single", "reads", "acts", "import", "upkeep", "rotation", "restore", "recovery",
    "releases", "privacy", "processes", "threads", "start", "log",
)  # fmt: skip
LARGE_PARTS: Final = ("load", "long")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Events recorded beside peers."""

    events: int
    batch: int
    """Events in a transaction."""
    stretch: int
    """Events that one of those compared takes before the next has its turn."""
    rounds: int
    """How often it is done from the beginning."""
    peers: tuple[str, ...] = EVERY
    workers: tuple[int, ...] = (0, 1)
    """What we are measured with: without and with processes that seal."""
    reach: bool = False
    """Whether a release is made of the last round."""
    key: str = ""
    """What goals call it."""


class Long(msgspec.Struct, frozen=True, kw_only=True):
    """A load of ours alone, in a process of its own, in windows."""

    events: int
    accounts: int
    batch: int
    window: int
    stretch: int
    """Events that lie ready before they are recorded: what the harness itself holds."""
    workers: tuple[int, ...]
    key: str
    everything: bool = True
    """Whether all of it is compacted afterwards, which takes two thirds as long again."""


class Releases(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the store that releases are made of; each account has its events in visits."""

    accounts: int
    events: int
    key: str = ""
    """What goals call it."""


class Private(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the store from which differential privacy finds pages: more than 1,024, or they would be listed."""

    accounts: int
    events: int
    pages: int
    key: str = ""
    """What goals call it."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """One named size."""

    name: str
    parts: tuple[str, ...]
    accounts: int
    loads: tuple[Load, ...]
    fewer: Load = Load(events=1_000, batch=200, stretch=500, rounds=1, key="fewer")
    """The load of the part ``fewer``."""
    long: Long | None = None
    rounds: int = 2
    """How often other long work is done from the beginning."""
    filled: int = 4_000
    """Events that lie in the store and in each peer before single calls are measured."""
    singles: int = 20
    """Single events and reads, each a sample."""
    acts: int = 5
    """Consents given, consents withdrawn, openings, each a sample."""
    erasures: int = 2
    erased_events: int = 20
    small_accounts: int = 50
    """Accounts of the small store beside which erasing in the large one is shown."""
    readers: int = 4
    read_events: tuple[int, ...] = (10, 100)
    cold: int = 2
    """Fresh processes that read, for each number of events."""
    shape_events: int = 1_000
    shape_accounts: int = 300
    sessions: int | None = 1_000
    """Rows of the file of sessions; None for all of them."""
    compacted: int = 3_000
    """Events that are compacted."""
    retention_accounts: int = 100
    retention_events: int = 10
    """Events of each account, in the store whose retention is run."""
    rotated: int = 300
    """Compartments whose keys are wrapped anew."""
    restored: int = 1_000
    """Events in the store that is restored."""
    releases: Releases = Releases(accounts=300, events=3_000)
    private: Private = Private(accounts=300, events=3_000, pages=1_100)
    writers: tuple[int, ...] = (1, 2, 4)
    """Processes that write at once."""
    writer_events: int = 400
    """Events of each, in batches."""
    writer_singles: int = 20
    """Events of each, one by one."""
    threads: int = 16
    thread_events: int = 5
    """Events of each thread."""
    starts: int = 1
    """Processes started, of each kind."""
    log_lengths: tuple[int, ...] = (300, 600)

    @property
    def restored_accounts(self) -> int:
        """Accounts of the store that is restored: ten events each."""
        return max(self.restored // 10, 10)


QUICK: Final = Size(
    name="quick",
    parts=(*DEFAULT_PARTS, "long"),
    accounts=300,
    loads=(
        Load(events=2_000, batch=200, stretch=500, rounds=1, reach=True),
        Load(events=2_000, batch=1_000, stretch=1_000, rounds=1, workers=(0,), peers=(PLAIN, COMMON)),
    ),
    long=Long(events=3_000, accounts=300, batch=500, window=1_000, stretch=500, workers=(0,), key=""),
)
"""Seconds. Its figures mean nothing; it shows that everything runs."""

DEFAULT: Final = Size(
    name="default",
    parts=DEFAULT_PARTS,
    accounts=1_000_000,
    loads=(
        Load(
            events=10_000, batch=1_000, stretch=1_000, rounds=3, workers=(0,),
            peers=(PLAIN, INDEX, COMMON, TUNED, FERNET),
        ),
        Load(events=1_000_000, batch=1_000, stretch=100_000, rounds=2, reach=True, key="1m"),
        Load(
            events=1_000_000, batch=10_000, stretch=100_000, rounds=1, peers=(PLAIN, INDEX, COMMON, TUNED, FERNET),
            key="1m10",
        ),
    ),
    fewer=Load(events=1_000_000, batch=10_000, stretch=100_000, rounds=1, key="fewer"),
    filled=1_000_000, singles=2_000, acts=200, erasures=20, erased_events=1_000, small_accounts=1_000, readers=100,
    read_events=(10, 100, 1_000), cold=10, shape_events=200_000, shape_accounts=100_000, sessions=None,
    compacted=1_000_000, retention_accounts=100_000, retention_events=10, rotated=100_000, restored=1_000_000,
    releases=Releases(accounts=100_000, events=1_000_000),
    private=Private(accounts=100_000, events=1_000_000, pages=2_000, key="1m"),
    writer_events=100_000, writer_singles=3_000, thread_events=100, starts=15, log_lengths=(10_000, 100_000, 1_000_000),
)  # fmt: skip
"""Ten thousand and a million events."""

LARGE: Final = Size(
    name="large",
    parts=LARGE_PARTS,
    accounts=1_000_000,
    loads=(
        Load(events=5_000_000, batch=1_000, stretch=250_000, rounds=1, peers=(PLAIN, COMMON), key="5m"),
    ),
    long=Long(
        events=20_000_000, accounts=1_000_000, batch=1_000, window=1_000_000, stretch=10_000, workers=(0, 1), key="20m"
    ),
    releases=Releases(accounts=1_000_000, events=10_000_000, key="10m"),
)  # fmt: skip
"""Five million beside SQLCipher and plain append, twenty million alone."""

HUGE: Final = Size(
    name="huge",
    parts=("long",),
    accounts=1_000_000,
    loads=(),
    long=Long(
        events=100_000_000, accounts=1_000_000, batch=1_000, window=1_000_000, stretch=10_000, workers=(1,), key="100m",
        everything=False,
    ),
)  # fmt: skip
"""A hundred million once."""

SIZES: Final = {size.name: size for size in (QUICK, DEFAULT, LARGE, HUGE)}
SINGLE_PEERS: Final = BY_INDEX
"""Whom single calls are measured against."""


def told(number: int) -> str:
    """A number of events or accounts in words, where words are shorter."""
    return f"{number // 1_000_000} million" if number >= 1_000_000 and number % 1_000_000 == 0 else f"{number:,}"
