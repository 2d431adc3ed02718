"""Certificates: what an erasure or a withdrawal proves to anybody, about nobody, without a store."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import consentprofile as cp
from tests.support.scan import find
from tests.usecases.outsider import outsider_includes, outsider_opens
from tests.usecases.scene import ACCOUNT, AGENT, NOW, Scene, event

ROOT: Final = Path(__file__).resolve().parents[2]
CANARIES: Final = (
    "canary-account",
    "canary-device",
    "canary-id",
    "canary-reference",
    "canary-officer",
    "canary-method",
)

# A process that could open no store if it wanted to.
OFFLINE: Final = """
import sys, sqlite3, socket
def never(*_, **__):
    raise SystemExit("a store or a network was asked for")
sqlite3.connect = socket.socket = never
import consentprofile as cp
try:
    print(cp.open_certificate(sys.argv[1], sys.argv[2]).statement.kind)
except cp.ProofRefused:
    sys.exit(3)
"""


def offline(folder: Path, data: bytes, public_key: str) -> tuple[int, str]:
    """The exit code and answer of a process that has the certificate's file and the public key, and nothing else."""
    folder.mkdir()
    (folder / "certificate.json").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, "certificate.json", public_key],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert {path.name for path in folder.iterdir()} == {"certificate.json"}
    return done.returncode, done.stdout.strip() + done.stderr.strip()


def outsider_verifies(data: bytes, public_key: str) -> dict[str, object]:
    """Verify a certificate from the description of its format, without a line of the package; its statement."""
    certificate = json.loads(data)
    signature = base64.b64decode(certificate.pop("signature"))
    message = json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    public = base64.b64decode(public_key.split("+", 2)[2])[1:]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, b"consentprofile certificate v1\n" + message)
    head = outsider_opens(certificate["checkpoint"].encode(), public_key)
    assert certificate["origin"] == head.origin
    for leaf in certificate["leaves"]:
        body, path = base64.b64decode(leaf["body"]), [base64.b64decode(item) for item in leaf["proof"]]
        assert outsider_includes(body, leaf["sequence"], head.size, path) == head.root
    statement: dict[str, object] = certificate["statement"]
    return statement


@pytest.fixture
def lived(scene: Scene) -> Scene:
    """A store with somebody in it who left canaries everywhere."""
    store = scene.store
    store.give_consent("canary-account", ["support", "marketing"], notice="2024-01", method="canary-method")
    store.record(event(account="canary-account", device="canary-device", id="canary-id"))
    with store.view("support", AGENT, "canary-reason") as view:
        view.profile("canary-account")
    scene.give(account="somebody-else")
    return scene


def erase(scene: Scene) -> cp.IssuedCertificate:
    """Erase that somebody."""
    return scene.store.erase("canary-account", reference="canary-reference", actor="officer:canary-officer")


# ---- an erasure ------------------------------------------------------------------------------------------


def test_it_verifies_in_a_process_that_has_no_store(lived: Scene, tmp_path: Path) -> None:
    issued, public_key = erase(lived), lived.store.audit.public_key
    lived.store.close()
    shutil.rmtree(tmp_path / "store")
    assert offline(tmp_path / "auditor", issued.file, public_key) == (0, "erasure")
    forged = issued.file.replace(b'"purposes":["marketing"', b'"purposes":["analytics"')
    assert forged != issued.file
    assert offline(tmp_path / "forged", forged, public_key) == (3, "")


def test_it_verifies_for_whoever_writes_his_own_verifier(lived: Scene) -> None:
    issued = erase(lived)
    statement = outsider_verifies(issued.file, lived.store.audit.public_key)
    assert statement == {
        "kind": "erasure",
        "hour": NOW.strftime("%Y-%m-%dT%H:00:00Z"),
        "policy": lived.store.policy.digest.hex(),
        "purposes": ["marketing", "support"],
        "key_ids": list(issued.key_ids),
        "reference": sha256(bytes.fromhex(issued.reference_salt or "") + b"canary-reference").hexdigest(),
    }


def test_it_names_nobody(lived: Scene) -> None:
    """Neither the file nor what is shown of the answer, in any disguise."""
    issued = erase(lived)
    assert find(issued.file, CANARIES) == []
    inner = b"".join(base64.b64decode(leaf["body"]) for leaf in json.loads(issued.file)["leaves"])
    assert find(inner, CANARIES) == []
    tag = lived.store._session.tag("canary-account")
    assert tag not in inner
    assert tag.hex().encode() not in issued.file
    assert find(repr(issued).encode(), CANARIES) == []
    assert issued.key_ids[0] not in repr(issued)


def test_it_tells_each_key_that_died_and_no_other(lived: Scene) -> None:
    granted = lived.key_ids("consent-given")
    issued = erase(lived)
    leaves = {leaf.sequence: leaf for leaf in lived.leaves()}
    assert (issued.found, issued.purposes) == (1, ("marketing", "support"))
    assert {leaves[sequence].operation for sequence in issued.leaves} == {"erased"}
    assert tuple(leaves[sequence].facts["key-id"] for sequence in issued.leaves) == issued.key_ids
    assert set(granted[:2]) < set(issued.key_ids)
    assert granted[2] not in issued.key_ids
    assert len(issued.key_ids) == 3  # two compartments and the account


def test_the_reference_is_shown_later_with_the_salt_alone(lived: Scene) -> None:
    issued = erase(lived)
    certificate = cp.open_certificate(issued.file, lived.store.audit.public_key)
    salt = bytes.fromhex(issued.reference_salt or "")
    assert len(salt) == 16
    assert salt.hex().encode() not in issued.file
    cp.reference_matches(certificate, "canary-reference", salt)
    for reference, wrong in (("canary-referenc", salt), ("canary-reference", bytes(16))):
        with pytest.raises(cp.ProofRefused):
            cp.reference_matches(certificate, reference, wrong)


def test_the_same_reference_never_looks_the_same_twice(scene: Scene) -> None:
    scene.give(account="a")
    scene.give(account="b")
    first, second = (scene.store.erase(account, reference="7") for account in "ab")
    opened = [cp.open_certificate(issued.file, scene.store.audit.public_key) for issued in (first, second)]
    assert opened[0].statement.reference != opened[1].statement.reference
    assert first.reference_salt != second.reference_salt


def test_without_a_reference_there_is_no_commitment_and_no_salt(lived: Scene) -> None:
    issued = lived.store.erase("canary-account")
    certificate = cp.open_certificate(issued.file, lived.store.audit.public_key)
    assert issued.reference_salt is None
    assert certificate.statement.reference is None
    with pytest.raises(cp.ProofRefused):
        cp.reference_matches(certificate, "", b"")


def test_several_accounts_have_one_certificate(scene: Scene) -> None:
    for account in ("a", "b", "c"):
        scene.give("support", "marketing", account=account)
    issued = scene.store.erase(["a", "b", "nobody", "b"], reference="request 9")
    assert (issued.found, len(issued.key_ids), len(issued.leaves)) == (2, 6, 6)
    outsider_verifies(issued.file, scene.store.audit.public_key)
    assert scene.state(account="c").state == "given"


@pytest.mark.parametrize("account", ["nobody", ACCOUNT])
def test_where_nothing_was_destroyed_there_is_no_certificate(scene: Scene, account: str) -> None:
    """For somebody who was never here, and for somebody who was erased before."""
    scene.give()
    scene.store.erase(ACCOUNT)
    before = len(scene.leaves())
    issued = scene.store.erase(account, reference="request 10")
    assert (issued.found, issued.key_ids, issued.purposes, issued.leaves, issued.file) == (0, (), (), (), b"")
    assert len(scene.leaves()) == before


# ---- a withdrawal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["withdraw", "invalidate"])
def test_a_withdrawal_is_certified(lived: Scene, tmp_path: Path, act: str) -> None:
    end = lived.store.withdraw_consent if act == "withdraw" else lived.store.invalidate_consent
    granted = lived.key_ids("consent-given")[:2]
    issued = end("canary-account", ["marketing", "support"], method="canary-method")
    statement = outsider_verifies(issued.file, lived.store.audit.public_key)
    assert (statement["kind"], statement["purposes"]) == ("withdrawal", ["marketing", "support"])
    assert sorted(issued.key_ids) == sorted(granted)
    assert find(issued.file, CANARIES) == []
    assert {str(consent.state) for consent in issued.consents.values()} <= {"withdrawn", "invalidated"}
    assert offline(tmp_path / "auditor", issued.file, lived.store.audit.public_key) == (0, "withdrawal")


def test_what_was_not_in_force_is_not_certified(scene: Scene) -> None:
    scene.give("support")
    issued = scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    assert (issued.found, issued.key_ids, issued.file) == (0, (), b"")
    both = scene.store.withdraw_consent(ACCOUNT, ["marketing", "support"])
    assert (both.purposes, len(both.key_ids)) == (("support",), 1)
    assert scene.store.withdraw_consent(ACCOUNT, ["support"]).file == b""


def test_a_certificate_stays_good_whatever_happens_later(lived: Scene) -> None:
    withdrawn = lived.store.withdraw_consent("canary-account", ["marketing"])
    erased, public_key = erase(lived), lived.store.audit.public_key
    lived.store.give_consent("canary-account", ["support"], notice="2024-01", method="again")
    lived.store.erase(["canary-account", "somebody-else"])
    lived.reopen()
    assert lived.store.audit.public_key == public_key
    for issued in (withdrawn, erased):
        cp.open_certificate(issued.file, public_key)
        outsider_verifies(issued.file, public_key)


# ---- once more, from the leaves -------------------------------------------------------------------------------


def test_a_lost_certificate_is_had_again_from_its_leaves(lived: Scene) -> None:
    withdrawn = lived.store.withdraw_consent("canary-account", ["marketing"])
    erased = erase(lived)
    lived.reopen()
    for issued in (withdrawn, erased):
        again = lived.store.audit.certificate(issued.leaves)
        assert again == lived.store.audit.certificate(issued.leaves[::-1] + issued.leaves)
        opened = cp.open_certificate(again, lived.store.audit.public_key)
        first = cp.open_certificate(issued.file, lived.store.audit.public_key)
        assert (opened.statement, len(opened.leaves)) == (first.statement, len(first.leaves))


def test_one_leaf_of_an_erasure_certifies_one_key(lived: Scene) -> None:
    issued = erase(lived)
    data = lived.store.audit.certificate(issued.leaves[:1])
    opened = cp.open_certificate(data, lived.store.audit.public_key)
    assert opened.statement.key_ids == issued.key_ids[:1]


def test_leaves_that_are_not_one_destruction_are_refused(lived: Scene) -> None:
    """Two kinds, two requests, two hours, grants, reads, leaves that are not there."""
    withdrawn = lived.store.withdraw_consent("canary-account", ["marketing"]).leaves
    erased = erase(lived).leaves
    other = lived.store.erase("somebody-else", reference="another").leaves
    lived.give(account="third")
    lived.clock.move(hours=2)
    later = lived.store.withdraw_consent("third", ["support"]).leaves
    refused: list[tuple[int, ...]] = [
        (),
        withdrawn + erased,
        erased + other,
        withdrawn + later,
        (0,),
        (2,),
        (0, *erased),
        (-1,),
        (*erased, -1),
        (10_000,),
        (*erased, 10_000),
        (2**63,),
        (*erased, 2**80),
    ]
    for sequences in refused:
        with pytest.raises(cp.InputError, match="name the leaves"):
            lived.store.audit.certificate(sequences)


def test_a_certificate_is_never_made_over_a_leaf_that_was_edited(scene: Scene) -> None:
    scene.give()
    issued = scene.store.erase(ACCOUNT)
    data = scene.store._session.ground.files.data
    for sequence in issued.leaves:
        (body,) = data.execute("SELECT body FROM leaf WHERE sequence = ?", (sequence,)).fetchone()
        edited = bytes(body).replace(bytes.fromhex(issued.key_ids[0]), bytes(16))
        data.execute("UPDATE leaf SET body = ? WHERE sequence = ?", (edited, sequence))
    with pytest.raises(cp.IntegrityFault):
        scene.store.audit.certificate(issued.leaves)


# ---- the file ---------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_or_a_key_that_is_none_is_said(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    issued, public_key = scene.store.erase(ACCOUNT), scene.store.audit.public_key
    (tmp_path / "certificate.json").write_bytes(issued.file)
    assert cp.open_certificate(tmp_path / "certificate.json", public_key).statement.kind == "erasure"
    with pytest.raises(cp.UnreadableInput):
        cp.open_certificate(tmp_path / "none.json", public_key)
    for key in ("", "a", "a+b", public_key[:-1], public_key.replace("+", "-", 1), public_key + "\n"):
        with pytest.raises(cp.ProofRefused):
            cp.open_certificate(issued.file, key)


def test_the_certificate_of_another_store_is_refused(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    issued = scene.store.erase(ACCOUNT)
    (tmp_path / "other").mkdir()
    other = Scene(tmp_path / "other")
    with pytest.raises(cp.ProofRefused):
        cp.open_certificate(issued.file, other.store.audit.public_key)
    other.store.close()
