"""Restoring a store from backups: the whole of it is made beside the old files, judged, and put in place in one step.

The rules, in the order in which they are applied:

1. nobody has the store open, and backups are only read;
2. a keyring is never replaced by an older one while the one in place is whole;
3. the record of what has happened (log, actor book, releases, evidence) is kept where the store's own ``data.db`` can
   be read and its log verifies; only events come from the backup. Consent is not touched: it lives in the keyring;
4. keys that the log or a journal of destroyed keys says had died are destroyed again, before anybody can open the
   store; where nothing can say so of an older keyring, somebody has to take that upon themselves;
5. each row is judged by the slot that it names: of a dead key, it is purged; from elsewhere, it is left alone;
6. a log that does not reach what was signed goes on as a new lineage; keys on which it disagrees with the keyring are
   accounted for, each with a leaf; the last leaf is ``restored``, and a head is signed over it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.capability import Capability
from consentprofile.crypto.providers import KeyProvider, Parameters
from consentprofile.errors import (
    BeyondCapability,
    BrokenLog,
    ConsentProfileError,
    InputError,
    RestoreRefused,
    StoreFault,
    UnreadableInput,
    WrongKey,
)
from consentprofile.model.policy import Policy
from consentprofile.store.ports import (
    DATA,
    JOURNAL,
    KEYS,
    Observe,
    Staging,
    nobody_watches,
    read_journal,
    state_of_keyring,
)
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases import heads, resuming
from consentprofile.usecases.resuming import Judged, Told
from consentprofile.usecases.session import Clock, Session, open_session
from consentprofile.usecases.verifying import verify_written

KEPT: Final = "kept"
COPIED: Final = "copied"
LINEAGE: Final = "lineage"
BROKEN: Final = "broken"


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What to restore from: copies of ``data.db`` and of the keyring, and a journal of destroyed keys.

    ``policies`` are files of policies that the store has accepted since the data was copied.
    """

    data: Path | None = None
    keyring: Path | None = None
    journal: Path | None = None
    policies: tuple[Policy, ...] = ()


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did, or would do (``dry_run``). Counts of rows are by table: blocks, evidence, accounts, trails.

    ``opens``, ``purged`` (their key is dead) and ``quarantined`` (from elsewhere, left alone) are rows. ``keys`` live
    in the keyring; ``destroyed_again`` had died since it was copied. ``unknown`` tells that nothing could say which
    others had, too. ``log`` is ``kept`` (the store's own), ``copied`` (the backup's, which reaches all that was
    signed), ``lineage`` (the backup's, which goes on under the new name ``origin``) or ``broken`` (it does not verify,
    and is not signed any more). ``lost`` is how many leaves are known to be missing. ``keys_gone`` and ``keys_found``
    are keys on which log and keyring disagreed. ``without_id`` are accounts whose id the data does not have: their
    consents stand, and it is written again when they are named.
    """

    dry_run: bool
    data: bool
    keyring: bool
    opens: dict[str, int]
    purged: dict[str, int]
    quarantined: dict[str, int]
    keys: int
    destroyed_again: int
    unknown: bool
    log: str
    origin: str
    leaves: int
    lost: int
    keys_gone: int
    keys_found: int
    without_id: int = 0


class _Recalled:
    """A key whose secret is asked for once for each epoch, however often the store is opened on the way."""

    def __init__(self, key: KeyProvider) -> None:
        self._key = key
        self._secrets: dict[Parameters, bytes] = {}

    def enroll(self) -> tuple[bytes, Parameters]:
        """As that of the key."""
        return self._key.enroll()

    def recall(self, parameters: Parameters) -> bytes:
        """As that of the key."""
        if parameters not in self._secrets:
            self._secrets[parameters] = self._key.recall(parameters)
        return self._secrets[parameters]

    def __repr__(self) -> str:
        return "<key, withheld>"


class _Place:
    """Where a restored store is made, and how to open it there."""

    def __init__(self, staging: Staging, key: KeyProvider, clock: Clock, wait: float) -> None:
        self.staging = staging
        self.key = key
        self._clock, self._wait = clock, wait

    def open(self) -> Session:
        """The store that is being made."""
        try:
            opened = _open(self.staging.path, self.key, self._clock, self._wait)
        except WrongKey:
            raise WrongKey(
                "the key at hand does not open this keyring: it is another store's, or of an epoch that has ended; "
                "nothing was changed"
            ) from None
        try:
            opened.keys.require_officer()
        except BaseException:
            opened.close()
            raise
        return opened

    def reopen(self, opened: Session) -> Session:
        """The same store, opened anew: the log is called otherwise."""
        opened.close()
        return self.open()


def restore(
    path: Path,
    key: KeyProvider,
    clock: Clock,
    sources: Sources,
    *,
    wait: float,
    accept_undone: bool = False,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
    observe: Observe = nobody_watches,
) -> Restored:
    """Restore the store at ``path``, whole or not at all; a ``dry_run`` says what that would do, and changes nothing.

    A crash leaves the old store or the new one; whoever opens it next settles which. Raises :class:`RestoreRefused`
    where going on would undo or lose more than it saves, :class:`WrongKey`, :class:`CorruptRecord` for a damaged
    backup or one of another store, :class:`StoreBusy`, :class:`UnreadableInput`, :class:`StoreFault`. Cost: some
    5 microseconds a row and a leaf, and room for another copy of the store meanwhile.
    """
    if isinstance(key, Capability):
        raise BeyondCapability("a capability cannot restore: it needs the key of the store")
    if sources.data is None and sources.keyring is None and sources.journal is None:
        raise InputError("name what to restore from: a copy of the data or of the keyring, or a journal")
    say = progress or (lambda _: None)
    key = _Recalled(key)
    with suppress(ConsentProfileError):  # what a crash has left pending is finished, where the store can be opened
        _open(path, key, clock, wait).close()
    with Staging(path, wait=wait, observe=observe) as staging:
        place = _Place(staging, key, clock, wait)
        say("copies")
        if sources.keyring is not None:
            _require_newer(path / KEYS, sources.keyring)
        found = _with_log(place, sources, say)
        opened = found.opened
        try:
            destroyed, unknown = _destroy_again(found, sources, path, accept_undone=accept_undone or dry_run)
            say("rows")
            judged = resuming.judge(opened)
            if not any(judged.alive.values()) and any(judged.quarantined.values()) and not dry_run:
                raise RestoreRefused(
                    "no row of the data opens with this keyring: it is from before all of them, or of another history; "
                    "nothing was changed"
                )
            if sources.keyring is not None:
                destroyed += resuming.destroy_again(opened, resuming.outlived(opened, judged.beyond))
            resuming.pass_over(opened, judged.beyond, opened.ground.log.size())
            say("head")
            state, lost = _go_on(place, found)
            opened = found.opened
            gone, known = (0, 0) if state == BROKEN else resuming.account_for_keys(opened, found.told)
            _leave(opened, destroyed, judged, sign=state != BROKEN)
            report = Restored(
                dry_run=dry_run,
                data=sources.data is not None,
                keyring=sources.keyring is not None,
                opens=judged.alive,
                purged=judged.purged,
                quarantined=judged.quarantined,
                keys=resuming.count_keys(opened),
                destroyed_again=destroyed,
                unknown=unknown,
                log=state,
                origin=opened.origin,
                leaves=opened.ground.log.size(),
                lost=lost,
                keys_gone=gone,
                keys_found=known,
                without_id=judged.without_id,
            )
        finally:
            found.opened.close()
        if not dry_run:
            say("in place")
            staging.commit()
    return report


def _open(path: Path, key: KeyProvider, clock: Clock, wait: float) -> Session:
    """Open a store to restore it, amid a re-tagging too: without the data that one could not be finished."""
    return open_session(path, key, clock, wait=wait, durability="full", retagging=True)


def _require_newer(live: Path, copy: Path) -> None:
    theirs = state_of_keyring(copy)
    try:
        mine = state_of_keyring(live)
    except StoreFault as error:
        raise RestoreRefused(
            f"the keyring in place may be newer than this copy, and cannot be asked: {error}; put that right, or move "
            "keys.db away first if you mean it"
        ) from None
    if mine is not None and theirs is not None and mine[0] == theirs[0] and mine[1] > theirs[1]:
        raise RestoreRefused(
            f"the keyring in place is whole, and {mine[1] - theirs[1]} changes newer than this copy, which would undo "
            "them; move keys.db away first if you mean it"
        )


class _Found:
    """The store that is being made, open, with what its log tells; ``state`` is where that log is from."""

    def __init__(self, opened: Session, told: Told, state: str, origin: str) -> None:
        self.opened = opened
        self.told = told
        self.state = state
        self.origin = origin


def _with_log(place: _Place, sources: Sources, say: Callable[[str], None]) -> _Found:
    """Take both files, with the store's own log where that holds, else with the backup's.

    The keyring is taken anew with the data: to look at the log, the store is opened, and that finishes what is noted as
    pending in the one on the other.
    """
    texts = {policy.digest: policy.text for policy in sources.policies}
    for keep in (True, False):
        place.staging.take(KEYS, sources.keyring)
        place.staging.take(DATA, sources.data)
        kept = keep and (sources.data is None or place.staging.keep_record())
        missing, later = place.staging.give_policies(texts)
        if missing:
            raise RestoreRefused(
                "a policy was accepted after this data was copied, and is not in it: name its file, and that of any "
                "other since; nothing was changed"
            )
        opened, told = place.open(), Told()
        say("log")
        try:
            try:
                _, origin = verify_written(opened, told.note)
            except BrokenLog:
                if kept and sources.data is not None:
                    opened.close()
                    continue  # with the log of the backup, then
                if later:
                    raise RestoreRefused(
                        "this keyring is from before a policy that was accepted since, and the log that could confirm "
                        "that does not verify: restore a later keyring; nothing was changed"
                    ) from None
                return _Found(opened, told, BROKEN, opened.origin)
            if kept and sources.data is not None and resuming.is_cut(opened):
                opened.close()
                continue
            resuming.accept_again(opened, place.key, told, later)
        except BaseException:
            opened.close()
            raise
        if later:
            opened = place.reopen(opened)
        return _Found(opened, told, KEPT if kept else COPIED, origin)
    raise AssertionError("the second log is taken as it is")


def _destroy_again(found: _Found, sources: Sources, path: Path, *, accept_undone: bool) -> tuple[int, bool]:
    """Destroy what is known to have died; how many keys, and whether nothing could tell of others."""
    opened, own = found.opened, path / JOURNAL
    known = own.exists() or sources.journal is not None or found.state == KEPT
    if sources.journal is not None and not sources.journal.is_file():
        raise UnreadableInput("there is no file to read the journal of destroyed keys from")
    # The keyring in place knows best what has died in it: only one that is not is told by its journal.
    doubted = sources.keyring is not None or sources.journal is not None
    dead, _ = resuming.undone(opened, found.told, read_journal(own) if doubted else ())
    if sources.journal is not None:
        shipped, lines = resuming.undone(opened, found.told, read_journal(sources.journal))
        dead |= shipped
        opened.ground.journal.note(lines)
    unknown = sources.keyring is not None and not known
    if unknown and not accept_undone:
        living = resuming.count_keys(opened) - len(dead)
        raise RestoreRefused(
            f"nothing tells which keys had died since this keyring was copied: {living} live in it, and any of them "
            "may have been destroyed since. Name a journal of destroyed keys, or accept that what they did is undone"
        )
    return resuming.destroy_again(opened, dead), unknown


def _go_on(place: _Place, found: _Found) -> tuple[str, int]:
    """Let the log go on, as a new lineage where it does not reach what was signed: what it is, how many leaves lost."""
    opened = found.opened
    if found.state == BROKEN:
        return BROKEN, 0
    if found.origin != opened.origin:
        resuming.call_log(opened, found.origin)
        found.opened = opened = place.reopen(opened)
    if not resuming.is_cut(opened):
        return found.state, 0
    lost = resuming.begin_lineage(opened)
    found.opened = place.reopen(opened)
    return LINEAGE, lost


def _leave(opened: Session, destroyed: int, judged: Judged, *, sign: bool) -> None:
    facts = (
        ("destroyed", destroyed),
        ("purged", sum(judged.purged.values())),
        ("quarantined", sum(judged.quarantined.values())),
    )
    with opened.ground.writing(), opened.ground.files.data_transaction(full=True):
        draft = Draft(Operation.RESTORED, opened.now(), "", "officer", facts)
        opened.ground.log.append((draft,), opened.policy.digest)
    if sign:
        heads.checkpoint(opened)
