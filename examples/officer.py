"""A privacy officer's morning: who asks what is held about him, who wants to be forgotten, and is everything in order?

python examples/officer.py
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import consentprofile as cp

SHOP = Path(__file__).parent / "shop"
OFFICER = "officer:ada"


def answer_access_request(store: cp.Store, account: str, out: Path) -> None:
    """Write everything that is held about an account as JSON (GDPR, articles 15 and 20)."""
    held = store.access(account, actor=OFFICER, reason="access request")
    out.write_bytes(msgspec.json.format(msgspec.json.encode(held)))
    out.chmod(0o600)
    print(f"access: {', '.join(held.compartments)} hold events; {out.name} has {out.stat().st_size} bytes")


def answer_erasure_request(store: cp.Store, account: str, reference: str, out: Path) -> None:
    """Erase an account, having looked first (GDPR, article 17), and write the proof that the person gets."""
    plan = store.plan_erasure(account)
    print(f"erasure: {plan.keys} keys would die, for {', '.join(plan.purposes)}")
    erasure = store.erase(account, reference=reference, actor=OFFICER)
    print(f"erasure: done, leaves {erasure.leaves[0]} to {erasure.leaves[-1]}")
    out.write_bytes(erasure.file)

    # What the person, or anybody, can do with it years later: no store, only the public key that the shop publishes.
    certificate = cp.open_certificate(out, store.audit.public_key)
    print(f"certificate: {len(certificate.statement.key_ids)} keys destroyed, proven; it names nobody")
    # What only the shop can: show that this answered that request. It keeps the salt beside the request.
    cp.reference_matches(certificate, reference, bytes.fromhex(erasure.reference_salt or ""))


def look_after(store: cp.Store, kept: Path) -> None:
    """What is done once a day. ``kept`` stands for a place that whoever has the store cannot write to."""
    print(f"expiry: {store.upkeep.expire_consents().dying} consents were over")
    report = store.check()
    print(f"check: {'clean' if report.is_clean else 'NOT CLEAN'}, {report.keys} keys open")
    for unknown in report.cannot_know:
        print("  it cannot know", unknown)
    if kept.exists():
        print(f"log: extends the {store.audit.extends(kept.read_bytes())} leaves of yesterday")
    kept.write_bytes(store.audit.checkpoint())
    print(f"log: the signed head over {store.audit.verify().size} leaves is kept elsewhere")


def main(folder: Path) -> None:
    now = datetime(2024, 7, 1, tzinfo=UTC)
    key = cp.KeyFile(folder / "profiles.key")
    with cp.Store.create(folder / "profiles", policy=SHOP / "policy.toml", key=key, clock=lambda: now) as store:
        store.import_consents(SHOP / "consents.csv")
        store.import_events(SHOP.parent / "data" / "ecom.csv.gz", mapping=SHOP / "mapping.toml")
        answer_access_request(store, "user_0055", folder / "user_0055.json")
        look_after(store, folder / "checkpoint")
        answer_erasure_request(store, "user_0055", "request 2024-31", folder / "certificate.json")
        look_after(store, folder / "checkpoint")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
