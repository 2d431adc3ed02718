"""The shortest way through: a store, a consent, an event, a profile, a withdrawal, an erasure.

python examples/quickstart.py
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import consentprofile as cp

POLICY = Path(__file__).parent / "shop" / "policy.toml"


def main(folder: Path) -> None:
    key = cp.KeyFile(folder / "profiles.key")  # made on first use; losing it loses everything
    with cp.Store.create(folder / "profiles", policy=POLICY, key=key) as store:
        store.give_consent("acct-17", ["support", "analytics"], notice="2024-01", method="signup form")

        for platform in ("desktop", "mobile"):
            login = cp.Event(
                account="acct-17",
                kind="login",
                at=datetime.now(UTC),
                fields={"channel": "web", "platform": platform, "device": f"my {platform}"},
            )
            outcome = store.record(login)
            print(f"a login on {platform}:", {purpose: str(said) for purpose, said in outcome.items()})

        with store.view("support", actor="support-agent:17", reason="ticket 4711") as view:
            profile = view.profile("acct-17")
            if profile is not None:  # None would say that no consent is in force, and not why
                print(f"support sees {profile.events} events on {', '.join(profile.platforms)}")

        store.withdraw_consent("acct-17", ["analytics"], method="settings page")
        print("after the withdrawal:", {name: one.state for name, one in store.consents("acct-17").items()})

        erasure = store.erase("acct-17", reference="request 2026-118")
        print(f"erased: {len(erasure.key_ids)} keys destroyed")
        certificate = cp.open_certificate(erasure.file, store.audit.public_key)  # anybody can, with the public key
        print("certified:", ", ".join(certificate.statement.purposes), "and the account")
        with store.view("support", actor="support-agent:17") as view:
            print("support sees", view.profile("acct-17"))
        print(f"the audit log of {store.audit.verify().size} leaves is whole")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
