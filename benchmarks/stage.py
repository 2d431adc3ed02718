"""What parts are played on: stores with consents, and filled ones, each made once in a run and copied from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import peers as rivals_of
from benchmarks import rivals, workload
from benchmarks.ours import Ours
from benchmarks.peers import Peer
from benchmarks.sizes import Size
from benchmarks.workload import Batch, Source, special

Say = Callable[[str], None]

FILLING_BATCH: Final = 10_000
_FILLING_SEED: Final = 80


class Stage:
    """A folder, a size, and what is shared between the parts of a run."""

    def __init__(self, folder: Path, size: Size, say: Say) -> None:
        self.folder = folder
        self.size = size
        self.say = say
        self.consents: dict[int, float] = {}
        """Nanoseconds for each consent, by the number of accounts, of the stores that were made."""
        self._stores: dict[str, Ours] = {}
        self._peers: list[Peer] | None = None
        self._made = 0

    def specials(self) -> list[str]:
        """The accounts that are read, erased and so on."""
        size = self.size
        kinds = {"erase": size.erasures, "withdraw": size.acts}
        kinds |= {f"read{events}": size.readers for events in size.read_events}
        return [special(kind, number) for kind, count in kinds.items() for number in range(count)]

    def consented(self, accounts: int, *, purposes: int = 1) -> Ours:
        """A store in which so many accounts of the load, and the special ones, have given consent. Copy it."""
        name = f"consented-{accounts}-{purposes}"
        if name not in self._stores:
            self.say(f"giving the consents of {accounts:,} accounts to {purposes} of the purposes")
            ours = Ours(self.folder, name, workload.NOW)
            names = [workload.account(number) for number in range(accounts)] + self.specials()
            taken = ours.create(workload.CONSENTED, names, purposes=purposes)
            if purposes == 1:
                self.consents[accounts] = taken / len(names)
            self._stores[name] = ours
        return self._stores[name]

    def filled(self, *, compacted: bool) -> Ours:
        """A store of all accounts with the events of the size in it. Copy it."""
        name = f"filled-{'compacted' if compacted else 'as-recorded'}"
        if name not in self._stores:
            if compacted:
                ours = self.filled(compacted=False).copy(name)
                self.say("compacting the filled store")
                with ours.open() as store:
                    store.upkeep.compact(everything=True)
            else:
                ours = self.consented(self.size.accounts).copy(name)
                self.say(f"filling a store with {self.size.filled:,} events")
                with ours.open() as store:
                    for rows in self._filling():
                        store.record_many(Batch.of(rows).events, batch_size=1_000)
            self._stores[name] = ours
        return self._stores[name]

    def loaded(self, part: str, seed: int) -> Ours:
        """A store for ``part`` alone, with the events that are restored in it, as recording leaves them."""
        size = self.size
        self.say(f"{part}: recording {size.restored:,} events of {size.restored_accounts:,} accounts")
        ours = Ours(self.folder, part, workload.NOW)
        ours.create(workload.CONSENTED, map(workload.account, range(size.restored_accounts)))
        with ours.open() as store:
            for rows in Source(seed).load(size.restored, size.restored_accounts, FILLING_BATCH):
                store.record_many(Batch.of(rows).events, batch_size=1_000)
        return ours

    def _filling(self) -> Iterator[list[workload.Row]]:
        size = self.size
        return Source(_FILLING_SEED).load(size.filled, size.accounts, FILLING_BATCH)

    def peers(self) -> list[Peer]:
        """The peers for single calls, open, with the same events in them."""
        if self._peers is None:
            folder = self.folder / "peers-filled"
            folder.mkdir()
            self._peers = rivals.make(folder, rivals_of.BY_INDEX)
            self.say(f"filling {len(self._peers)} peers with {self.size.filled:,} rows")
            for rows in self._filling():
                for peer in self._peers:
                    peer.add(rows)
        return self._peers

    def path(self, name: str) -> Path:
        """A new folder, its name made unlike any other's."""
        self._made += 1
        path = self.folder / f"{name}-{self._made}"
        path.mkdir()
        return path

    def close(self) -> None:
        """Close the peers. The folder is its owner's to remove."""
        for peer in self._peers or ():
            peer.close()
