"""An analyst's question: on which platforms do customers buy? The answer is about many, or it is not given.

Needs the extra ``release``. Run it with

    python examples/analyst.py
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import consentprofile as cp

SHOP = Path(__file__).parent / "shop"


def main(folder: Path) -> None:
    now = datetime(2024, 7, 1, tzinfo=UTC)
    key = cp.KeyFile(folder / "profiles.key")
    with cp.Store.create(folder / "profiles", policy=SHOP / "policy.toml", key=key, clock=lambda: now) as store:
        store.import_consents(SHOP / "consents.csv")
        store.import_events(SHOP.parent / "data" / "ecom.csv.gz", mapping=SHOP / "mapping.toml")

        plan = store.plan_release(SHOP / "reach.toml")
        print(f"{plan.cells} figures, each about at least {plan.min_accounts} accounts, in steps of {plan.round_to}")

        release = store.release(SHOP / "reach.toml", folder / "release")
        print(release.files["data.csv"].decode(), end="")

        # Somebody is erased; whoever asks again must not be able to tell.
        store.erase("user_0055")
        again = store.release(SHOP / "reach.toml", folder / "again")
        print("asked again:", "the same bytes" if again.files == release.files else "other figures")

        try:
            with store.view("analytics", actor="marketer:1"):
                pass
        except cp.RoleNotAllowed:
            print("rows about one account: nobody's business")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
