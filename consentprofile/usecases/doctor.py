"""The doctor: what around a store is not as it should be, with what to do about it. No key is needed, nothing changed.

``check`` looks into every record; the doctor looks at what a store stands on: places and who may read them, SQLite and
OpenSSL, the clock, work that is pending, and how old the last copies are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from consentprofile.crypto import aead
from consentprofile.errors import ConsentProfileError, StoreNotFound, UnsupportedEnvironment
from consentprofile.model.plausibility import JUMP_DAYS
from consentprofile.store.ports import JOURNAL, Ground, is_unsettled, read_journal
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.audit import decode_leaf
from consentprofile.usecases.places import Symptom, look
from consentprofile.usecases.session import Clock

PAGE: Final = 5_000
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
OLD_DAYS: Final = 7
"""A backup that is older is too old to be of much use."""


class _Done(NamedTuple):
    """The newest leaf of an operation: where it stands in the log, for two may be of one hour; and its second."""

    leaf: int
    second: int


NEVER: Final = _Done(-1, -1)

_DATED: Final = (
    Operation.BACKED_UP,
    Operation.KEYRING_BACKED_UP,
    Operation.RESEALED,
    Operation.KEYS_ROTATED,
    Operation.EPOCH_CLOSED,
)

UNKNOWABLE: Final = (
    "whether backups can be restored: try it, with `restore --dry-run`",
    "who has read the files, the key or a backup in the past, and which copies of them exist",
    "whether the disk keeps what it has confirmed, and whether the clock is right",
)


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found: ``symptoms``, each with what to do; ``sqlite`` is the version at work."""

    symptoms: tuple[Symptom, ...]
    sqlite: str
    cannot_know: tuple[str, ...] = UNKNOWABLE

    @property
    def is_well(self) -> bool:
        """Whether nothing was found."""
        return not self.symptoms


def examine(path: Path, key_file: Path | None, clock: Clock, *, wait: float) -> Diagnosis:
    """Examine the store at ``path``. It is opened without any key.

    Raises :class:`StoreNotFound` where there is none. What keeps it from being opened is a symptom.
    """
    if not path.is_dir():
        raise StoreNotFound("there is no store at this path; `consentprofile init` makes one")
    symptoms = [*look(path, key_file), *_machine()]
    if not is_unsettled(path):  # opening it would settle what is to be told
        try:
            ground = Ground(path, wait=wait, durability="full")
        except ConsentProfileError as error:
            what = f"cannot be opened: {error}"
            symptoms.append(Symptom(where="store", what=what, advice="do what it says, or restore it from backups"))
        else:
            try:
                symptoms += _inside(ground, int(clock().timestamp()))
            finally:
                ground.files.close()
    return Diagnosis(symptoms=tuple(symptoms), sqlite=sqlite3.sqlite_version)


def examine_open(ground: Ground, key_file: Path | None, second: int) -> Diagnosis:
    """The same of a store that is open; ``second`` is now, UTC."""
    symptoms = (*look(ground.path, key_file), *_machine(), *_inside(ground, second))
    return Diagnosis(symptoms=symptoms, sqlite=sqlite3.sqlite_version)


def _machine() -> Iterator[Symptom]:
    try:
        aead.require_support()
    except UnsupportedEnvironment as error:
        yield Symptom(where="OpenSSL", what=str(error), advice="install cryptography from its own wheels")
    with closing(sqlite3.connect(":memory:")) as connection:
        options = {option for (option,) in connection.execute("PRAGMA compile_options")}
    if "THREADSAFE=0" in options:
        what = "this SQLite was built for one thread only"
        yield Symptom(where="SQLite", what=what, advice="use the one that comes with your system's Python")
    if "TEMP_STORE=0" in options:
        what = "this SQLite writes temporary tables to files, whatever it is told"
        yield Symptom(where="SQLite", what=what, advice="use another build, or encrypt the folder for temporary files")


def _inside(ground: Ground, second: int) -> Iterator[Symptom]:
    try:
        with ground.files.reading(), ground.keyring.snapshot():
            hour, pending = ground.log.hour(), ground.pending.is_noted()
            rotating, retagging = ground.epochs.before() is not None, ground.epochs.is_retagging()
        yield from _clock(second, hour * HOUR)
        if pending:
            what = "work is pending: a change of the keyring that the data has not seen"
            yield Symptom(where="pending work", what=what, advice="open the store with its key: it is finished then")
        if rotating:
            what = "a rotation of the keys is unfinished"
            how = "--resume --retag`: until then the store opens for nobody" if retagging else "--resume`"
            yield Symptom(where="keys", what=what, advice=f"run `consentprofile keys rotate {how}")
        yield from _copies(_newest(ground), max(second, hour * HOUR))
        for _ in read_journal(ground.path / JOURNAL):
            pass
    except ConsentProfileError as error:
        yield Symptom(where="store", what=str(error), advice="run `consentprofile check`")


def _clock(second: int, newest: int) -> Iterator[Symptom]:
    if second < newest - HOUR:
        what = "the clock is behind the newest entry of the audit log"
        yield Symptom(
            where="clock", what=what, advice="set it: until it has caught up, time stands still for the store"
        )
    if second > newest + JUMP_DAYS * DAY:
        what = f"the clock is more than {JUMP_DAYS} days ahead of the newest entry of the audit log"
        advice = "look whether it is right: nothing is destroyed unattended before somebody has used the store"
        yield Symptom(where="clock", what=what, advice=advice)


def _newest(ground: Ground) -> dict[str, _Done]:
    """The newest leaf of each dated operation."""
    newest: dict[str, _Done] = {}
    with ground.files.reading():
        size = ground.log.size()
    for start in range(0, size, PAGE):
        with ground.files.reading():
            page = ground.log.mentioning(_DATED, start, min(start + PAGE, size))
        for leaf in map(decode_leaf, page):
            if leaf.operation in _DATED:
                newest[leaf.operation] = _Done(leaf.sequence, leaf.hour * HOUR)
    return newest


def _copies(newest: dict[str, _Done], second: int) -> Iterator[Symptom]:
    data = newest.get(Operation.BACKED_UP, NEVER)
    keyring = newest.get(Operation.KEYRING_BACKED_UP, NEVER)
    yield from _aged("data backup", data, second, "consentprofile backup")
    yield from _aged("keyring backup", keyring, second, "consentprofile keys backup")
    if NEVER < data < newest.get(Operation.RESEALED, NEVER):
        what = "is from before the last retention run: what was resealed does not open in it"
        yield Symptom(where="data backup", what=what, advice="run `consentprofile backup`, and let older ones go")
    if NEVER < data < newest.get(Operation.EPOCH_CLOSED, NEVER):
        what = "is from before the keys were rotated: the actor book and the ledger do not open in it"
        yield Symptom(where="data backup", what=what, advice="run `consentprofile backup`")
    if NEVER < keyring < newest.get(Operation.KEYS_ROTATED, NEVER):
        what = "is from before the keys were rotated: it does not open with the key"
        yield Symptom(
            where="keyring backup", what=what, advice="run `consentprofile keys backup`, and destroy older ones"
        )


def _aged(where: str, made: _Done, second: int, command: str) -> Iterator[Symptom]:
    if made == NEVER:
        yield Symptom(where=where, what="was never made, as far as the log knows", advice=f"run `{command}`")
    elif second - made.second > OLD_DAYS * DAY:
        what = f"the newest is {(second - made.second) // DAY} days old, as far as the log knows"
        yield Symptom(where=where, what=what, advice=f"run `{command}`, on a schedule")
