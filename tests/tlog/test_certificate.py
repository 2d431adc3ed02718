"""A certificate holds as it was issued, for the log and the leaves that it is of, and in no other form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec
import pytest

from consentprofile.errors import ProofRefused
from consentprofile.tlog.certificate import Certificate, Kind, certify, open_certificate, reference_matches, state
from consentprofile.tlog.checkpoint import Checkpoint, sign_checkpoint
from consentprofile.tlog.leaf import VERSION, Fact, Leaf, Operation
from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.tlog.note import SignBytes, VerifierKey, to_base64
from consentprofile.tlog.proof import inclusion_proof
from tests.tlog.published import key_pair

KEY, SIGN = key_pair("log.example/audit", 1)
OTHER_KEY, OTHER_SIGN = key_pair("log.example/audit", 2)
HOUR: Final = 475_000
SALT: Final = bytes(range(16))
REFERENCE: Final = sha256(SALT + b"request 7").digest()


def leaf(
    sequence: int, operation: str, purpose: str = "support", *, hour: int = HOUR, reference: bytes | None = REFERENCE
) -> Leaf:
    """A leaf of a small log."""
    facts: tuple[Fact, ...] = (("key-id", sha256(bytes([sequence])).digest()[:16]),)
    if reference is not None:
        facts += (("reference", reference),)
    return Leaf(VERSION, sequence, hour, operation, purpose, "officer", bytes(32), facts)


LEAVES: Final = (
    leaf(0, Operation.CONSENT_GIVEN, reference=None),
    leaf(1, Operation.ERASED, "marketing"),
    leaf(2, Operation.ERASED),
    leaf(3, Operation.ERASED, ""),
    leaf(4, Operation.CONSENT_WITHDRAWN, reference=None),
    leaf(5, Operation.CONSENT_INVALIDATED, reference=None),
    leaf(6, Operation.ERASED, "support", reference=None),
    leaf(7, Operation.ERASED, "support", hour=HOUR + 1),
    Leaf(VERSION, 8, HOUR + 1, Operation.ERASED, "support", "officer", bytes(32), ()),
)
ERASED: Final = (1, 2, 3)


class SmallLog:
    """Leaves, their tree, and what certificates over them are made of."""

    def __init__(
        self, leaves: Sequence[Leaf] = LEAVES, key: VerifierKey = KEY, sign: SignBytes = SIGN, size: int | None = None
    ) -> None:
        self.leaves, self.key, self.sign = leaves, key, sign
        frontier = Frontier()
        self.size = len(leaves) if size is None else size
        self._nodes: dict[tuple[int, int], bytes] = {}
        for one in leaves[: self.size]:
            for level, index, node in frontier.append(leaf_hash(one.encode())):
                self._nodes[level, index] = node
        head = Checkpoint(key.name, self.size, frontier.root())
        self.checkpoint = sign_checkpoint(head, key.public, sign).encode()

    def proof(self, sequence: int) -> list[bytes]:
        """The inclusion proof of a leaf."""
        return inclusion_proof(sequence, self.size, lambda level, at: self._nodes[level, at])

    def certify(self, kind: Kind, *sequences: int) -> Certificate:
        """A certificate over these leaves."""
        proven = [(self.leaves[sequence], self.proof(sequence)) for sequence in sequences]
        return certify(kind, proven, self.checkpoint, self.key, self.sign)


LOG: Final = SmallLog()
GOOD: Final = LOG.certify("erasure", *ERASED)


def signed(certificate: Certificate, sign: SignBytes = SIGN) -> bytes:
    """The certificate as whoever holds a signing key would issue it, without asking whether it is true."""
    return msgspec.structs.replace(certificate, signature=to_base64(sign(certificate.message()))).encode()


def refuse(data: bytes, key: VerifierKey = KEY) -> None:
    """What must happen to every one of these."""
    with pytest.raises(ProofRefused):
        open_certificate(data, key)


# ---- what holds ----------------------------------------------------------------------------------


def test_a_certificate_says_what_its_leaves_say() -> None:
    opened = open_certificate(GOOD.encode(), KEY)
    assert opened == GOOD
    assert opened.statement == state("erasure", [LEAVES[sequence] for sequence in ERASED])
    assert opened.statement.hour == "2024-03-09T16:00:00Z"
    assert opened.statement.purposes == ("marketing", "support")
    assert len(set(opened.statement.key_ids)) == len(ERASED)
    assert opened.statement.reference == REFERENCE.hex()


def test_it_is_one_line_and_the_same_bytes_each_time() -> None:
    data = GOOD.encode()
    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")
    assert LOG.certify("erasure", *ERASED).encode() == data


def test_withdrawal_and_invalidation_are_one_kind() -> None:
    opened = open_certificate(LOG.certify("withdrawal", 4, 5).encode(), KEY)
    assert (opened.statement.kind, opened.statement.reference) == ("withdrawal", None)


def test_the_reference_is_shown_with_its_salt_and_with_nothing_else() -> None:
    reference_matches(GOOD, "request 7", SALT)
    for reference, salt in (("request 8", SALT), ("request 7", bytes(16)), ("request 7", b""), ("", SALT)):
        with pytest.raises(ProofRefused):
            reference_matches(GOOD, reference, salt)
    with pytest.raises(ProofRefused):
        reference_matches(LOG.certify("erasure", 6), "request 7", SALT)


# ---- what does not: changed by somebody without the key -------------------------------------------


def test_no_bit_can_be_flipped() -> None:
    data = LOG.certify("withdrawal", 4).encode()
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            refuse(bytes(flipped))


def test_nothing_can_be_cut_off_or_added() -> None:
    data = GOOD.encode()
    for end in range(0, len(data), 7):
        refuse(data[:end])
    for changed in (
        data + b"\n",
        data[:-1],
        b" " + data,
        data.replace(b",", b", ", 1),
        data + data,
        b"\xef\xbb\xbf" + data,
    ):
        refuse(changed)


def test_no_field_can_be_exchanged_for_that_of_another_certificate() -> None:
    """Other leaves, other statements, older and newer checkpoints of the same log, each rightly signed for its own."""
    others = [LOG.certify("withdrawal", 4), SmallLog(size=4).certify("erasure", *ERASED), LOG.certify("erasure", 6)]
    for other in others:
        for name in ("checkpoint", "leaves", "statement", "signature"):
            mixed = msgspec.structs.replace(GOOD, **{name: getattr(other, name)})
            if mixed != GOOD:
                refuse(mixed.encode())


def test_a_certificate_of_another_log_or_by_another_key_is_refused() -> None:
    refuse(GOOD.encode(), OTHER_KEY)
    refuse(SmallLog(key=OTHER_KEY, sign=OTHER_SIGN).certify("erasure", *ERASED).encode())
    named_otherwise, sign = key_pair("other.example/audit", 1)
    refuse(GOOD.encode(), named_otherwise)
    refuse(SmallLog(key=named_otherwise, sign=sign).certify("erasure", *ERASED).encode())
    refuse(signed(GOOD, OTHER_SIGN))
    checkpoint = SmallLog(key=OTHER_KEY, sign=OTHER_SIGN).checkpoint.decode()
    refuse(signed(msgspec.structs.replace(GOOD, checkpoint=checkpoint)))


# ---- what does not: signed by the log's own key, and yet not true -----------------------------------

Forgery = Callable[[Certificate], Certificate]


def stating(**changed: object) -> Forgery:
    """Another statement over the same leaves."""

    def forge(good: Certificate) -> Certificate:
        return msgspec.structs.replace(good, statement=msgspec.structs.replace(good.statement, **changed))

    return forge


def with_leaf(**changed: object) -> Forgery:
    """Another first leaf."""

    def forge(good: Certificate) -> Certificate:
        return msgspec.structs.replace(
            good, leaves=(msgspec.structs.replace(good.leaves[0], **changed), *good.leaves[1:])
        )

    return forge


def over(*sequences: int, kind: Kind = "erasure") -> Forgery:
    """Leaves that are in the log, but do not make one destruction."""

    def forge(good: Certificate) -> Certificate:
        proven = [
            msgspec.structs.replace(
                good.leaves[0],
                sequence=sequence,
                body=to_base64(LEAVES[sequence].encode()),
                proof=tuple(to_base64(item) for item in LOG.proof(sequence)),
            )
            for sequence in sequences
        ]
        statement = msgspec.structs.replace(good.statement, kind=kind)
        return msgspec.structs.replace(good, leaves=tuple(proven), statement=statement)

    return forge


FORGERIES: Final[dict[str, Forgery]] = {
    "another kind": stating(kind="withdrawal"),
    "another hour": stating(hour="2024-03-09T17:00:00Z"),
    "the hour in another form": stating(hour="2024-03-09T16:00:00+00:00"),
    "another policy": stating(policy="11" * 32),
    "a purpose more": stating(purposes=("analytics", "marketing", "support")),
    "a purpose less": stating(purposes=("support",)),
    "purposes in another order": stating(purposes=("support", "marketing")),
    "a key less": stating(key_ids=GOOD.statement.key_ids[1:]),
    "a key more": stating(key_ids=(*GOOD.statement.key_ids, "22" * 16)),
    "keys in another order": stating(key_ids=GOOD.statement.key_ids[::-1]),
    "another reference": stating(reference="33" * 32),
    "no reference": stating(reference=None),
    "another format": lambda good: msgspec.structs.replace(good, format=2),
    "another origin": lambda good: msgspec.structs.replace(good, origin="other.example/audit"),
    "no leaves": lambda good: msgspec.structs.replace(good, leaves=()),
    "a leaf twice": lambda good: msgspec.structs.replace(good, leaves=(good.leaves[0], *good.leaves)),
    "leaves in another order": lambda good: msgspec.structs.replace(good, leaves=good.leaves[::-1]),
    "a leaf of another place": with_leaf(sequence=2),
    "a leaf of no place": with_leaf(sequence=-1),
    "a leaf beyond the log": with_leaf(sequence=2**70),
    "another body": with_leaf(body=GOOD.leaves[1].body),
    "a body that is no base64": with_leaf(body="*"),
    "a body in another base64": with_leaf(body=GOOD.leaves[0].body + "="),
    "no proof": with_leaf(proof=()),
    "a short proof": with_leaf(proof=GOOD.leaves[0].proof[:-1]),
    "a long proof": with_leaf(proof=(*GOOD.leaves[0].proof, GOOD.leaves[0].proof[0])),
    "a hash of another length": with_leaf(proof=("AAAA", *GOOD.leaves[0].proof[1:])),
    "the proof of another leaf": with_leaf(proof=GOOD.leaves[1].proof),
    "a grant among them": over(0, 1, 2, 3),
    "a withdrawal among them": over(1, 2, 4),
    "withdrawals as an erasure": over(4, 5),
    "erasures as a withdrawal": over(1, 2, 3, kind="withdrawal"),
    "erasures of two requests": over(1, 6),
    "erasures of two hours": over(1, 7),
    "an erasure without a key": over(8),
    "a checkpoint without a signature": lambda good: msgspec.structs.replace(
        good, checkpoint=good.checkpoint.partition("\n\n")[0] + "\n"
    ),
    "an older checkpoint": lambda good: msgspec.structs.replace(good, checkpoint=SmallLog(size=4).checkpoint.decode()),
    "no checkpoint": lambda good: msgspec.structs.replace(good, checkpoint=""),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_certificate_that_is_not_true_is_refused_though_the_log_has_signed_it(name: str) -> None:
    forged = FORGERIES[name](GOOD)
    assert forged != GOOD
    refuse(signed(forged))


def test_a_leaf_that_stands_elsewhere_than_it_says_is_refused() -> None:
    """In a log that was written by somebody else than this software."""
    misplaced = SmallLog([LEAVES[0], LEAVES[2], LEAVES[1]])
    with pytest.raises(ProofRefused):
        misplaced.certify("erasure", 1)


def test_a_leaf_that_cannot_be_read_is_refused() -> None:
    frontier = Frontier()
    frontier.append(leaf_hash(b"\xc1"))
    checkpoint = sign_checkpoint(Checkpoint(KEY.name, 1, frontier.root()), KEY.public, SIGN).encode().decode()
    proven = msgspec.structs.replace(GOOD.leaves[0], sequence=0, body=to_base64(b"\xc1"), proof=())
    refuse(signed(msgspec.structs.replace(GOOD, leaves=(proven,), checkpoint=checkpoint)))


def test_the_signature_is_not_that_of_anything_else() -> None:
    """What is signed begins with its purpose: neither the bare text nor a checkpoint can be passed off as it."""
    bare = GOOD.message().partition(b"\n")[2]
    refuse(msgspec.structs.replace(GOOD, signature=to_base64(SIGN(bare))).encode())
    note_signature = GOOD.checkpoint.rstrip("\n").rpartition(" ")[2]
    refuse(msgspec.structs.replace(GOOD, signature=note_signature).encode())


BAD_FILES: Final = {
    "nothing": b"",
    "no JSON": b"certificate\n",
    "another shape": b"{}\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "an unknown field": GOOD.encode()[:-2] + b',"zzz":1}\n',
    "a field twice": GOOD.encode()[:-2] + b',"format":1}\n',
    "a lone surrogate": GOOD.encode().replace(b'"origin":"', b'"origin":"\\ud800'),
    "an escaped letter": GOOD.encode().replace(b'"erasure"', b'"\\u0065rasure"'),
    "deep nesting": b"[" * 100_000,
    "not UTF-8": GOOD.encode().replace(b"support", b"supp\xffrt"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_certificate_is_refused(name: str) -> None:
    refuse(BAD_FILES[name])


@pytest.mark.parametrize(
    ("kind", "sequences"), [("erasure", ()), ("erasure", (4,)), ("withdrawal", (1,)), ("erasure", (1, 7))]
)
def test_a_certificate_that_would_not_hold_is_never_issued(kind: Kind, sequences: tuple[int, ...]) -> None:
    with pytest.raises(ProofRefused):
        LOG.certify(kind, *sequences)
    with pytest.raises(ProofRefused):
        certify("erasure", [(LEAVES[1], LOG.proof(2))], LOG.checkpoint, KEY, SIGN)
    with pytest.raises(ProofRefused):
        certify("erasure", [(LEAVES[1], LOG.proof(1))], LOG.checkpoint, KEY, OTHER_SIGN)
