"""Malformed notes, checkpoints, keys, proofs, paths and frontiers, by the million.

    python tests/tlog/fuzz_notes.py --inputs 1000000 [--seed 7]

Every input is either refused with the one typed error of its kind, or its value encodes to exactly the same bytes;
and no changed note or proof verifies unless what is signed or proved is unchanged. The same seed gives the
same inputs. A failure is printed with the input that caused it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentprofile.errors import CorruptRecord, ProofRefused
from consentprofile.tlog.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint, verify_checkpoint
from consentprofile.tlog.cosignature import cosign, verify_cosignature
from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.tlog.note import COSIGNATURE, VerifierKey, parse_key, parse_note
from consentprofile.tlog.proof import inclusion_proof, verify_inclusion
from consentprofile.tlog.tiles import encode_bundle, parse_bundle, parse_path
from consentprofile.tlog.tlog_proof import TlogProof, parse_tlog_proof, verify_tlog_proof

SIZE: Final = 21
INDEX: Final = 13
ENTRY: Final = b"entry %d" % INDEX

_log = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
_witness = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
LOG: Final = VerifierKey("log.example/audit", _log.public_key().public_bytes_raw())
WITNESS: Final = VerifierKey("witness.example/w", _witness.public_key().public_bytes_raw(), COSIGNATURE)

PIECES: Final = (
    b"\n", b"\n\n", b" ", b"+", b"=", b"==", b"0", b"-", b"/", b".p/", b"x000", b"\x00", b"\xff", b"\r\n", b"\t",
    "— ".encode(), "—".encode(), "\u2028".encode(), "é".encode(), b"\xed\xa0\x80", b"extra ", b"extra YQ==\n",
    b"index ", b"index 0\n", b"9223372036854775807", b"9223372036854775808", b"AAAA", LOG.name.encode(),
    LOG.encode().encode(),
)  # fmt: skip
"""What is spliced into inputs: whatever means something to one of the formats, or nearly does."""


class Seeds(NamedTuple):
    """Good inputs to start from."""

    frontier: bytes
    root: bytes
    hashes: tuple[bytes, ...]
    note: bytes
    proof: bytes


def _seeds() -> Seeds:
    frontier, nodes = Frontier(), {}
    for number in range(SIZE):
        nodes.update({(level, at): node for level, at, node in frontier.append(leaf_hash(b"entry %d" % number))})
    hashes = tuple(inclusion_proof(INDEX, SIZE, lambda level, at: nodes[level, at]))
    note = sign_checkpoint(Checkpoint(LOG.name, SIZE, frontier.root()), LOG.public, _log.sign)
    note = cosign(note, WITNESS, _witness.sign, timestamp=1_700_000_000)
    return Seeds(frontier.encode(), frontier.root(), hashes, note.encode(), TlogProof(INDEX, hashes, note).encode())


SEEDS: Final = _seeds()
TEXT: Final = parse_note(SEEDS.note).text


# ---- what has to hold ---------------------------------------------------------------------------


class Broken(Exception):
    """A promise did not hold for an input."""


def _same(encoded: bytes | str, data: bytes) -> None:
    if (encoded.encode() if isinstance(encoded, str) else encoded) != data:
        raise Broken("accepted, but not written back byte for byte")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProofRefused("not text") from None


def note(data: bytes) -> None:
    """A note is canonical, and verifies only over the text that was signed."""
    parsed = parse_note(data)
    _same(parsed.encode(), data)
    try:
        verify_checkpoint(parsed, LOG)
        verify_cosignature(parsed, WITNESS)
    except ProofRefused:
        return
    if parsed.text != TEXT:
        raise Broken("a forged note verifies")


def checkpoint(data: bytes) -> None:
    """The text of a checkpoint is canonical."""
    _same(parse_checkpoint(_text(data)).text(), data)


def key(data: bytes) -> None:
    """A verifier key is canonical."""
    _same(parse_key(_text(data)).encode(), data)


def path(data: bytes) -> None:
    """A tile's path is canonical."""
    _same(parse_path(_text(data)).path(), data)


def bundle(data: bytes) -> None:
    """An entry bundle is canonical."""
    _same(encode_bundle(parse_bundle(data, 3)), data)


def frontier(data: bytes) -> None:
    """A frontier is canonical."""
    _same(Frontier.decode(data).encode(), data)


def proof_file(data: bytes) -> None:
    """A proof file is canonical, and proves the entry only at its place."""
    proof = parse_tlog_proof(data)
    _same(proof.encode(), data)
    try:
        verify_tlog_proof(proof, ENTRY, LOG)
    except ProofRefused:
        return
    if (proof.index, proof.hashes, proof.checkpoint.text) != (INDEX, SEEDS.hashes, TEXT):
        raise Broken("a forged proof verifies")


def inclusion(data: bytes) -> None:
    """The hashes of an inclusion proof, cut anywhere, lead to the root only as they were."""
    hashes = [data[at : at + 32] for at in range(0, len(data), 32)]
    verify_inclusion(leaf_hash(ENTRY), INDEX, SIZE, hashes, SEEDS.root)
    if tuple(hashes) != SEEDS.hashes:
        raise Broken("a forged inclusion proof verifies")


TARGETS: Final[tuple[tuple[Callable[[bytes], None], bytes], ...]] = (
    (note, SEEDS.note),
    (checkpoint, TEXT.encode()),
    (key, LOG.encode().encode()),
    (path, b"tile/0/x001/x234/067.p/8"),
    (bundle, encode_bundle([b"a", b"", b"ccc"])),
    (frontier, SEEDS.frontier),
    (proof_file, SEEDS.proof),
    (inclusion, b"".join(SEEDS.hashes)),
)


# ---- making inputs ------------------------------------------------------------------------------


def mutated(chance: random.Random, data: bytes) -> bytes:
    """``data`` after one to four small changes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        at = chance.randrange(len(changed) + 1)
        act = chance.randrange(6)
        if act == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif act == 1 and at < len(changed):
            changed[at] = chance.randrange(256)
        elif act == 2:
            del changed[at : at + chance.choice((1, 1, 2, 8, 32, 100))]
        elif act == 3:
            changed[at:at] = chance.choice(PIECES)
        elif act == 4:
            end = at + chance.randrange(60)
            to = chance.randrange(len(changed) + 1)
            changed[to:to] = changed[at:end]
        else:
            changed[at : at + chance.randrange(4)] = chance.choice(PIECES)
    return bytes(changed)


def run(inputs: int, seed: int) -> Counter[str]:
    """Try ``inputs`` inputs; how many were refused and how many accepted. Raises whatever breaks a promise."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(inputs):
        target, good = TARGETS[number % len(TARGETS)]
        data = chance.randbytes(chance.randrange(80)) if chance.randrange(50) == 0 else mutated(chance, good)
        try:
            target(data)
        except (ProofRefused, CorruptRecord):
            counts["refused"] += 1
        except Exception as error:
            error.add_note(f"{target.__name__}, input {number} of seed {seed}: {data!r}")
            raise
        else:
            counts["accepted"] += 1
    return counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Feed malformed notes and proofs to their parsers and verifiers.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    counts = run(arguments.inputs, arguments.seed)
    sys.stdout.write(
        f"{counts.total()} inputs: {counts['refused']} refused, {counts['accepted']} accepted as canonical\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
