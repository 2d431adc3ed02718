"""Counting: the events of accounts go in, who counts in which cell comes out.

Events are laid out in columns for a batch of accounts at a time; measures work on these. Memory grows with the batch
and with the memberships, not with the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile import canonical
from consentprofile.errors import UnsupportedEnvironment
from consentprofile.model.event import Recorded
from consentprofile.model.policy import Policy
from consentprofile.release import columns
from consentprofile.release.cells import PSEUDONYM_BYTES, Portion
from consentprofile.release.layout import Layout
from consentprofile.release.measures.measure import Bins, Events, Key
from consentprofile.release.spec import ReleaseSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from consentprofile.release.measures.measure import Numbers, Truths

BATCH: Final = 20_000
"""Events laid out at a time where they come one by one; an account is never divided."""

_ORDER: Final = attrgetter("at", "id")


class Opened(NamedTuple):
    """Accounts before they are counted, one element or row for each: their 16-byte pseudonyms, and how many blocks are
    of each. The plaintexts of the blocks lie end to end in ``text``, those of an account together; ``lengths`` has the
    bytes of each block.

    What is older than ``oldest`` (seconds since 1970 UTC) does not count, and of the rest the newest ``keep``. Those
    that are ``alone`` are not to be counted with the others.
    """

    pseudonyms: NDArray[np.uint8]
    counts: Numbers
    text: bytes
    lengths: Numbers
    oldest: Numbers
    keep: Numbers
    alone: Truths

    def __repr__(self) -> str:
        return "<Opened, content withheld>"

    def blocks(self, accounts: Iterable[int]) -> Iterator[list[bytes]]:
        """The blocks of each of these accounts, by their places."""
        import numpy as np

        last, ends = np.cumsum(self.counts), np.cumsum(self.lengths)
        for account in accounts:
            its = range(last[account] - self.counts[account], last[account])
            yield [self.text[ends[block] - self.lengths[block] : ends[block]] for block in its]


class Counting:
    """Takes accounts, each once with all of its events, and numbers them as they come.

    An account counts at most once in a cell, and in at most ``spec.bound`` cells. Events outside the period, and those
    that lack a field asked for, count nowhere. Raises :class:`UnsupportedEnvironment` without the extra ``release``.
    """

    def __init__(self, spec: ReleaseSpec) -> None:
        _require_numpy()
        self._spec = spec
        self._layout = Layout(spec)
        self._choice = _Choice(spec)
        self._pseudonyms = bytearray()
        """Those of all accounts, end to end."""
        self._accounts = 0
        self._before = 0
        """The accounts that were counted with earlier batches."""
        self._waiting: list[tuple[int, list[Recorded]]] = []
        """Accounts with their events, in the order of (time, id), before they are laid out."""
        self._events = 0
        self._bins: list[Bins] = []
        """Those of each batch, accounts by their numbers."""

    def add(self, pseudonym: bytes, events: Iterable[Recorded]) -> None:
        """Count one account, known by its 16-byte pseudonym, with all of its events, in any order.

        ``ValueError`` for a pseudonym of another length.
        """
        if len(pseudonym) != PSEUDONYM_BYTES:
            raise ValueError("a pseudonym has 16 bytes")
        ordered = sorted(events, key=_ORDER)
        self._waiting.append((self._accounts - self._before, ordered))
        self._pseudonyms += pseudonym
        self._accounts += 1
        self._events += len(ordered)
        if self._events >= BATCH:
            self._count_waiting()

    def add_all(self, opened: Opened, policy: Policy, number: int) -> list[int]:
        """Count accounts whose blocks name ``policy``, which has this number in the store.

        The places of those that were not counted, because something about them is unusual: they are to be read and
        added one by one. Raises :class:`CorruptRecord`. Cost: about 1.5 microseconds an account with ten events.
        """
        import numpy as np

        self._count_waiting()
        accounts = len(opened.counts)
        owner = np.repeat(np.arange(accounts), opened.counts)
        found, unread = columns.read(opened.text, opened.lengths, number, self._layout.fields(policy))
        account = owner[found.block]
        old = found.at < opened.oldest[account]
        if old.any():
            found, account = found.only(np.flatnonzero(~old)), account[~old]
        usual = np.bincount(account, minlength=accounts) <= opened.keep
        usual[opened.alone] = False
        usual[owner[unread]] = False
        usual[_repeating(found.id, account)] = False
        if not usual.all():
            kept = usual[account]
            found, account = found.only(np.flatnonzero(kept)), account[kept]
        renumbered = np.cumsum(usual) - 1
        events = self._layout.read(found, renumbered[account], policy)
        self._pseudonyms += opened.pseudonyms[usual].tobytes()
        self._accounts += int(np.count_nonzero(usual))
        self._count(events)
        return np.flatnonzero(~usual).tolist()

    def portion(self) -> Portion:
        """What was counted, for :func:`consentprofile.release.gathering.gathered`."""
        import numpy as np

        self._count_waiting()
        if not self._bins:
            self._count(self._layout.lay_out(()))
        amounts = [bins.amounts for bins in self._bins if bins.amounts is not None]
        account = np.concatenate([bins.account for bins in self._bins]).astype(np.uint32)
        cell = np.concatenate([bins.cell for bins in self._bins])
        # Numbers of 16 bits are sorted by counting, several times as fast.
        order = np.argsort(cell.astype(np.uint16) if len(self._spec.keys) <= 1 << 16 else cell, kind="stable")
        sizes = np.bincount(cell)
        cells = np.flatnonzero(sizes)
        return Portion(
            self._named(0),
            account[order],
            cells.astype(np.uint32),
            sizes[cells].astype(np.uint32),
            tuple(np.concatenate(column)[order] for column in zip(*amounts, strict=True)) if amounts else None,
        )

    def _count_waiting(self) -> None:
        """Count the accounts that were added one by one."""
        if self._waiting:
            waiting, self._waiting, self._events = self._waiting, [], 0
            self._count(self._layout.lay_out(waiting))

    def _count(self, events: Events) -> None:
        """Count the events of the accounts that have come since the last batch, by their places among these."""
        bins = self._spec.measure.bins(events)
        bins = self._choice.of(bins, self._named(self._before))
        self._bins.append(bins._replace(account=bins.account + self._before))
        self._before = self._accounts

    def _named(self, first: int) -> NDArray[np.bytes_]:
        """The pseudonyms of accounts from the number ``first`` on."""
        import numpy as np

        return np.frombuffer(bytes(self._pseudonyms[first * PSEUDONYM_BYTES :]), dtype=f"S{PSEUDONYM_BYTES}")


def _repeating(ids: NDArray[np.uint64], account: Numbers) -> Numbers:
    """The accounts of ids that occur twice."""
    import numpy as np

    ordered = np.sort(ids)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return account[np.isin(ids, again)] if len(again) else account[:0]


class _Choice:
    """Which cells count for an account with more than the bound.

    By a mixture of account and cell, so that no cell is favoured, and the same cells count in the next release: an
    order by name would empty the last cells, a random one would change cells in which nothing happened. Pseudonyms are
    made with secrets, so nobody can choose what he does by how this falls out.
    """

    def __init__(self, spec: ReleaseSpec) -> None:
        import numpy as np

        self._bound = spec.bound
        self._keys: Numbers | None = None
        if spec.bound < len(spec.keys):
            self._keys = np.frombuffer(_digests(spec.keys), dtype=">u8").astype(np.uint64)

    def of(self, bins: Bins, pseudonyms: NDArray[np.bytes_]) -> Bins:
        """Those of ``bins`` that count; the account of each is a place in ``pseudonyms``."""
        import numpy as np

        counts = np.bincount(bins.account, minlength=1)
        if self._keys is None or counts.max() <= self._bound:
            return bins
        over = np.flatnonzero(counts[bins.account] > self._bound)
        account = bins.account[over]
        halves = np.frombuffer(pseudonyms.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        mixed = _mixed(_mixed(halves[account, 0] ^ self._keys[bins.cell[over]]) ^ halves[account, 1])
        order = np.lexsort((mixed, account))
        first = np.flatnonzero(np.diff(account[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        kept = np.ones(len(bins.account), dtype=bool)
        kept[over[order[rank >= self._bound]]] = False
        amounts = None if bins.amounts is None else tuple(added[kept] for added in bins.amounts)
        return Bins(bins.account[kept], bins.cell[kept], amounts)


@lru_cache(maxsize=1)
def _digests(keys: tuple[Key, ...]) -> bytes:
    """Eight bytes for each key: the same wherever it is a key. Kept, for a census counts in many pieces."""
    return b"".join(canonical.digest(canonical.pack(key))[:8] for key in keys)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each number spread over all bits (the finalizer of SplitMix64, Steele and others, 2014)."""
    import numpy as np

    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _require_numpy() -> None:
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise UnsupportedEnvironment(
            "releases need numpy; install the extra: pip install 'consentprofile[release]'"
        ) from None
