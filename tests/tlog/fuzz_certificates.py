"""Malformed certificates, by the million.

    python -m tests.tlog.fuzz_certificates --inputs 1000000 [--seed 7]

Every input is either refused with :class:`ProofRefused`, or it is byte for byte a certificate that was issued. Half of
the inputs are changed bytes. The other half are changed values that the log's own key has signed once more: those may
only pass where what they state is exactly what their leaves say. The same seed gives the same inputs. A failure is
printed with the input that caused it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from typing import Final, TypeAlias

from consentprofile import canonical
from consentprofile.errors import ProofRefused
from consentprofile.tlog.certificate import CONTEXT, state
from consentprofile.tlog.certificate import open_certificate as opened
from consentprofile.tlog.leaf import decode
from consentprofile.tlog.note import from_base64, to_base64
from tests.tlog.fuzz_notes import mutated
from tests.tlog.test_certificate import ERASED, KEY, LOG, SIGN, SmallLog

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

ISSUED: Final = tuple(
    certificate.encode()
    for certificate in (
        LOG.certify("erasure", *ERASED),
        LOG.certify("withdrawal", 4, 5),
        LOG.certify("erasure", 6),
        SmallLog(size=4).certify("erasure", *ERASED),
    )
)

VALUES: Final[tuple[Json, ...]] = (
    None, True, 0, 1, -1, 2, 2**31, 2**63, 2**64, -(2**70), 1.0, "", "A", "AAAA", "=", "erasure", "withdrawal",
    "support", "00" * 16, "00" * 32, "\u2028", "é", "\x00", "\n", [], {}, [[]], ["AAAA"], {"a": 1},
)  # fmt: skip


class Broken(Exception):
    """A promise did not hold for an input."""


def _paths(value: Json, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where every value within ``value`` stands."""
    found = [here] if here else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += _paths(inner, (*here, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += _paths(inner, (*here, number))
    return found


def _put(chance: random.Random, value: Json, donor: Json) -> Json:
    """``value`` with something in it exchanged, taken away, repeated, or moved over from ``donor``."""
    path = chance.choice(_paths(value))
    parent: Json = value
    for step in path[:-1]:
        parent = parent[step]  # type: ignore[index]
    last = path[-1]
    act = chance.randrange(5)
    if act == 0:
        parent[last] = chance.choice(VALUES)  # type: ignore[index]
    elif act == 1:
        del parent[last]  # type: ignore[union-attr,arg-type]
    elif act == 2 and isinstance(parent, list):
        parent.insert(chance.randrange(len(parent) + 1), parent[int(last)])
    elif act == 3:
        other: Json = donor
        try:
            for step in path:
                other = other[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return value
        parent[last] = other  # type: ignore[index]
    elif isinstance(parent[last], str):  # type: ignore[index]
        text = str(parent[last])  # type: ignore[index]
        changed = mutated(chance, text.encode()).decode(errors="replace")
        parent[last] = changed  # type: ignore[index]
    return value


def resigned(chance: random.Random) -> bytes:
    """A certificate that was changed and then signed once more by the log's own key."""
    value: Json = json.loads(chance.choice(ISSUED))
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = _put(chance, value, json.loads(chance.choice(ISSUED)))
    if isinstance(value, dict):
        value.pop("signature", None)
        value["signature"] = to_base64(SIGN(CONTEXT + canonical.json_bytes(value)))
    return canonical.json_bytes(value) + b"\n"


def check(data: bytes, *, signed: bool) -> None:
    """What has to hold."""
    certificate = opened(data, KEY)
    if certificate.encode() != data:
        raise Broken("accepted, but not written back byte for byte")
    if not signed and data not in ISSUED:
        raise Broken("a forged certificate verifies")
    leaves = [decode(from_base64(proven.body)) for proven in certificate.leaves]
    if any(leaf not in LOG.leaves for leaf in leaves) or certificate.statement != state(
        certificate.statement.kind, leaves
    ):
        raise Broken("a certificate states what its log does not hold")


def run(inputs: int, seed: int) -> Counter[str]:
    """Try ``inputs`` inputs; how many were refused and how many accepted. Raises whatever breaks a promise."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(inputs):
        signed = bool(number % 2)
        data = resigned(chance) if signed else mutated(chance, chance.choice(ISSUED))
        try:
            check(data, signed=signed)
        except ProofRefused:
            counts["refused"] += 1
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {data!r}")
            raise
        else:
            counts["accepted"] += 1
    return counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Feed malformed certificates to their verifier.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    counts = run(arguments.inputs, arguments.seed)
    sys.stdout.write(f"{counts.total()} inputs: {counts['refused']} refused, {counts['accepted']} accepted as true\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
