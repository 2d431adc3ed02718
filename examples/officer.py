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


def answer_erasure_request(store: cp.Store, account: str, reference: str) -> cp.Erasure:
    """Erase an account, having looked first (GDPR, article 17)."""
    plan = store.plan_erasure(account)
    print(f"erasure: {plan.keys} keys would die, for {', '.join(plan.purposes)}")
    erasure = store.erase(account, reference=reference, actor=OFFICER)
    print(f"erasure: done, leaves {erasure.first_leaf} to {erasure.last_leaf}")
    return erasure


def look_after(store: cp.Store) -> None:
    """What is done once a day."""
    print(f"expiry: {store.expire_consents().dying} consents were over")
    report = store.check()
    print(f"check: {'clean' if report.is_clean else 'NOT CLEAN'}, {report.keys} keys open")
    for unknown in report.cannot_know:
        print("  it cannot know", unknown)
    print(f"log: {report.leaves} leaves; write down the root {str(report.root)[:16]}...")


def main(folder: Path) -> None:
    now = datetime(2024, 7, 1, tzinfo=UTC)
    key = cp.KeyFile(folder / "profiles.key")
    with cp.Store.create(folder / "profiles", policy=SHOP / "policy.toml", key=key, clock=lambda: now) as store:
        store.import_consents(SHOP / "consents.csv")
        store.import_events(SHOP.parent / "data" / "ecom.csv.gz", mapping=SHOP / "mapping.toml")
        answer_access_request(store, "user_0055", folder / "user_0055.json")
        answer_erasure_request(store, "user_0055", "request 2024-31")
        look_after(store)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
