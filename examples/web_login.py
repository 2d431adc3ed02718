"""What the backend of a web shop does with the SDK, without any framework.

One store for the whole process, opened at its start; each handler is a coroutine that any framework can call. Recording
never stands in the customer's way: whoever has not consented logs in like everybody else.

    python examples/web_login.py
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import consentprofile as cp

POLICY = Path(__file__).parent / "shop" / "policy.toml"
NOTICE = "2024-01"


async def on_consent_form(store: cp.AsyncStore, account: str, said_yes: Sequence[str]) -> None:
    """The customer has sent the form: a yes for each purpose that was ticked, a no for each that was not."""
    said_no = [name for name in store.policy.purposes if name not in said_yes]
    if said_yes:
        await store.give_consent(account, said_yes, notice=NOTICE, method="consent form")
    if said_no:
        await store.refuse_consent(account, said_no, notice=NOTICE, method="consent form")


async def on_login(store: cp.AsyncStore, account: str, *, platform: str, device: str, login_id: str) -> bool:
    """The customer has logged in; whether any purpose took note of it.

    ``login_id`` is the id of the login itself, so that a request that is sent again is not counted again.
    """
    outcomes = await store.record(
        cp.Event(
            account=account,
            kind="login",
            at=datetime.now(UTC),
            id=login_id,
            fields={"channel": "web", "platform": platform, "device": device},
        )
    )
    return cp.Outcome.RECORDED in outcomes.values()


async def on_settings(store: cp.AsyncStore, account: str) -> dict[str, bool]:
    """What the settings page shows: the purposes, and which of them the customer has consented to."""
    return {name: consent.in_force for name, consent in (await store.consents(account)).items()}


async def on_support_call(store: cp.AsyncStore, account: str, *, agent: str, ticket: str) -> list[str]:
    """What the agent sees: on which platforms the customer has been, or nothing."""
    async with store.view("support", actor=f"support-agent:{agent}", reason=ticket) as view:
        profile = await view.profile(account)
    return [] if profile is None else list(profile.platforms)


async def main(folder: Path) -> None:
    key = cp.KeyFile(folder / "profiles.key")
    async with await cp.AsyncStore.create(folder / "profiles", policy=POLICY, key=key) as store:
        await on_consent_form(store, "acct-17", ["support"])
        for _ in range(2):  # the second is the same request, sent again
            noted = await on_login(store, "acct-17", platform="mobile", device="cookie-1", login_id="login-1")
            print("noted the login of a customer who consented:", noted)
        noted = await on_login(store, "acct-18", platform="desktop", device="cookie-2", login_id="login-2")
        print("noted the login of one who did not:", noted)
        print("the settings page:", await on_settings(store, "acct-17"))
        print("the agent sees:", await on_support_call(store, "acct-17", agent="17", ticket="ticket 4711"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(Path(made)))
