"""The witness: a second machine or person who cosigns a head of the log, having seen that it extends the one before.

A witness has no store. It reads an export of the log (C2SP tlog-tiles), verifies the log's signature on its checkpoint,
proves from the tiles that today's tree extends the one that it cosigned last, and cosigns (C2SP tlog-cosignature). What
it cosigned last it remembers in its state file, which is that cosigned checkpoint: one state file for each log.

It remembers first and hands out afterwards, so that after a crash it cannot cosign a head beside one it has given out
already; the same head again gets another cosignature. A log that was forked, or set back to an earlier size, is refused
and changes nothing. Leaves are not read: what they say is the business of whoever audits the log.

The witness's key is one line, as Go's ``sumdb/note`` writes signer keys, here with the type of cosigning keys:
``PRIVATE+KEY+<name>+<key id, hex>+<base64(04 || 32 bytes of seed)>``.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.signing import SigningKey
from consentprofile.errors import InputError, KeyUnavailable, ProofRefused, UnreadableInput
from consentprofile.tlog.checkpoint import Checkpoint, verify_checkpoint
from consentprofile.tlog.cosignature import cosign, verify_cosignature
from consentprofile.tlog.merkle import HASH_SIZE
from consentprofile.tlog.note import COSIGNATURE, MAX_BYTES, VerifierKey, from_base64, parse_key, parse_note, to_base64
from consentprofile.tlog.proof import NodeReader, consistency_proof, tree_root, verify_consistency
from consentprofile.tlog.tiles import CHECKPOINT_PATH, WIDTH, Tile, tile_reader

PREFIX: Final = "PRIVATE+KEY+"
SEED_BYTES: Final = 32
KEPT_TILES: Final = 256
"""Tiles that are held in memory at once: more than any proof asks for."""


class Cosigned(msgspec.Struct, frozen=True, kw_only=True):
    """What a witness did: the cosigned checkpoint, its number of leaves, and that of the one before (None at first)."""

    note: bytes
    size: int
    earlier: int | None


class WitnessKey:
    """The key of a witness. It cannot be printed or pickled; ``verifier`` is its public half."""

    __slots__ = ("_signing", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        self._signing = SigningKey(seed)
        self.verifier = VerifierKey(name, self._signing.public, COSIGNATURE)
        """What others verify the cosignatures with."""

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._signing.sign(message)

    def __repr__(self) -> str:
        return "<WitnessKey, withheld>"


def make_key(path: Path, name: str) -> WitnessKey:
    """A new witness key, named ``name``, in a new file for its owner alone (mode 0600).

    Raises :class:`InputError` for a name that cannot be one, and :class:`KeyUnavailable` where the file cannot be made.
    """
    seed = random_bytes(SEED_BYTES)
    try:
        key = WitnessKey(name, seed)
    except ProofRefused:
        raise InputError("the name of a witness has neither spaces nor '+', such as auditor.example/w1") from None
    line = f"{PREFIX}{name}+{key.verifier.key_id.hex()}+{to_base64(bytes((COSIGNATURE,)) + seed)}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KeyUnavailable(f"the witness's key cannot be made: {error.strerror}") from None
    return key


def witness(export: Path, log_key: str, key_file: Path, state: Path, *, first: bool, now: datetime) -> Cosigned:
    """Cosign the checkpoint of an export, and remember it.

    ``log_key`` is the log's public key; ``first`` says that nothing is remembered yet: then the head is taken as it is,
    once. Raises :class:`ProofRefused` for a head that is not signed by the log, does not extend the one remembered, or
    does not belong to the tiles; :class:`InputError` where the state is missing, or there although ``first``;
    :class:`KeyUnavailable`, :class:`UnreadableInput`. Nothing is remembered then. Cost: logarithmic in the log.
    """
    public = parse_key(log_key)
    _require_state(state, first=first)
    with _opened(key_file) as key:  # locked: two witnesses at once must not cosign two heads beside each other
        earlier = _remembered(state, public, key.verifier, first=first)
        note = parse_note(_read(export / CHECKPOINT_PATH, "the checkpoint of the export"))
        head = verify_checkpoint(note, public)
        _require_extension(_reader(export, head.size), earlier, head)
        cosigned = cosign(note, key.verifier, key.sign, timestamp=int(now.timestamp())).encode()
        _remember(state, cosigned)
    return Cosigned(note=cosigned, size=head.size, earlier=None if earlier is None else earlier.size)


# ---- what is judged -----------------------------------------------------------------------------


def _require_extension(read: NodeReader, earlier: Checkpoint | None, head: Checkpoint) -> None:
    if earlier is not None and head.size < earlier.size:
        raise ProofRefused(
            f"the log was set back: it has {head.size} leaves, and had {earlier.size} when it was cosigned last"
        )
    if earlier is not None and head.size == earlier.size and head.root != earlier.root:
        raise ProofRefused("the log was forked: it shows another root for the size at which it was cosigned last")
    if tree_root(head.size, read) != head.root:
        raise ProofRefused("the tiles of the export are not those of the log whose checkpoint lies beside them")
    if earlier is not None and 0 < earlier.size < head.size:
        proof = consistency_proof(earlier.size, head.size, read)
        verify_consistency(earlier.size, earlier.root, head.size, head.root, proof)


def _reader(export: Path, size: int) -> NodeReader:
    """The nodes of the exported tree, each file read once."""
    kept: dict[Tile, bytes] = {}

    def fetch(tile: Tile) -> bytes:
        found = kept.get(tile)
        if found is None:
            if len(kept) >= KEPT_TILES:
                kept.clear()
            found = kept[tile] = _tile(export, tile)
        return found

    return tile_reader(fetch, size)


def _tile(export: Path, tile: Tile) -> bytes:
    """A tile, or as much as it had at this size of the full one that has outgrown it."""
    try:
        return _read(export / tile.path(), "a tile of the export")
    except UnreadableInput:
        if tile.width == WIDTH:
            raise
    return _read(export / Tile(tile.level, tile.index).path(), "a tile of the export")[: HASH_SIZE * tile.width]


# ---- what is kept -------------------------------------------------------------------------------


def _require_state(state: Path, *, first: bool) -> None:
    if first and os.path.lexists(state):
        raise InputError("there is a state already; a witness begins only once, for it would forget what it saw")
    if not first and not os.path.lexists(state):
        raise InputError("there is no state yet: begin with --init, once, having made sure of the log's public key")


def _remembered(state: Path, log: VerifierKey, own: VerifierKey, *, first: bool) -> Checkpoint | None:
    """The head that was cosigned last, verified too: a state that somebody else has written counts for nothing."""
    _require_state(state, first=first)  # once more, now that nobody else can begin
    if first:
        return None
    note = parse_note(_read(state, "the state"))
    verify_cosignature(note, own)
    return verify_checkpoint(note, log)


def _remember(state: Path, note: bytes) -> None:
    beside = state.with_name(f".{state.name}.{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, state)
        folder = os.open(state.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # a witness that forgot after a power cut could cosign a fork
        finally:
            os.close(folder)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(f"the state cannot be written, so nothing was cosigned: {error.strerror}") from None


@contextmanager
def _opened(path: Path) -> Iterator[WitnessKey]:
    """The witness's key, its file locked for as long."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; what goes wrong inside is not the key's fault
    except OSError as error:
        raise KeyUnavailable(f"the witness's key cannot be read: {error.strerror}") from None
    with file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise KeyUnavailable("the witness's key may be read by others; set its mode to 0600")
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield _parse(file.read(MAX_BYTES))


def _parse(data: bytes) -> WitnessKey:
    try:
        text = data.decode("utf-8").removesuffix("\n")
        name, key_id, encoded = text.removeprefix(PREFIX).split("+", 2)
        material = from_base64(encoded)
        key = WitnessKey(name, material[1:])
        if text.startswith(PREFIX) and material[0] == COSIGNATURE and key.verifier.key_id.hex() == key_id:
            return key
    except (ValueError, ProofRefused):
        pass
    raise KeyUnavailable(f"the witness's key file does not hold one: expected one line, {PREFIX}name+id+base64")


def _read(path: Path, what: str) -> bytes:
    """All of a file that is no larger than a note or a tile may be."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableInput(f"{what} cannot be read: {error.strerror}") from None
