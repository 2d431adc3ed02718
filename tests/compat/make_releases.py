"""Makes the golden store of releases: ``python -m tests.compat.make_releases begin|finish FOLDER``.

It took two versions: the one that wrote the ledger's formats 1 and 2 made the store and its first releases (``begin``),
the one that writes the formats 3 and 4 went on with it (``finish``) and wrote down what it answers. It is never made
again.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn
from unittest.mock import patch

import consentprofile as cp
from tests.compat.make_stores import CROWD, KEY_TEXT, NOTICE, ORIGIN, POLICY, Clock, Stopped, archive, event
from tests.compat.releases import (
    ANSWERED,
    BEGUN,
    RELEASES,
    TAKEN_BACK,
    UNANSWERED,
    WAITING,
    ask_releases,
    written,
)

RULES: Final = "release = { min_accounts = 10,"
COLLECTED: Final = '"*" = ["channel", "platform", "acquisition"]'
ADA: Final = "officer:ada"
MAX: Final = "officer:max"


def policy(folder: Path, *changes: tuple[str, str]) -> Path:
    """The policy of the golden stores with these changes."""
    text = POLICY.read_text()
    for before, after in ((COLLECTED, f'{COLLECTED[:-1]}, "total"]'), *changes):
        if before not in text:
            raise ValueError("there is nothing to change")
        text = text.replace(before, after)
    return written(folder, f"policy-{len(changes)}", text)


def begin(folder: Path) -> None:
    """24 accounts, their purchases and logins of a month, and three releases."""
    (folder / "key").write_text(KEY_TEXT)
    (folder / "key").chmod(0o600)
    clock = Clock(datetime(2025, 1, 10, 8, tzinfo=UTC))
    key = cp.KeyFile(folder / "key")
    with cp.Store.create(folder / "store", policy=policy(folder), key=key, clock=clock, origin=ORIGIN) as store:
        for account in CROWD:
            store.give_consent(account, ["analytics"], notice=NOTICE, method="signup form")
        for day in range(28):
            clock.now = datetime(2025, 2, 1, 8, tzinfo=UTC) + timedelta(days=day)
            kind = ("login", "purchase", "search", "add_to_cart")[day % 4]
            store.record_many(event(account, kind, clock.now, day + at) for at, account in enumerate(CROWD[day % 5 :]))
        clock.now = datetime(2025, 3, 20, 9, tzinfo=UTC)
        for name, text in BEGUN.items():
            store.release(written(folder, name, text), folder / name)
        store.withdraw_consent(CROWD[3], ["analytics"], method="settings page")


def finish(folder: Path) -> None:
    """Releases with margins, with noise, with an approval; and a charge and an approval that nothing came of yet."""
    clock = Clock(RELEASES.now - timedelta(days=8))
    key = cp.KeyFile(folder / "key")
    with cp.Store.open(folder / "store", key=key, clock=clock) as store:
        for name in ("overlap", "margins", "means", "noisy"):
            store.release(written(folder, name, ANSWERED[name]), folder / name, actor=ADA)
        clock.now += timedelta(days=1)
        with patch("consentprofile.usecases.noising._draw", _stops), suppress(Stopped):
            store.release(written(folder, "unanswered", UNANSWERED), folder / "unanswered")
        clock.now += timedelta(days=1)
        store.apply_policy(policy(folder, (RULES, f"{RULES} approval = true,")), key=key)
        approved = written(folder, "approved", ANSWERED["approved"])
        store.approve_release(approved, actor=ADA, reason="quarterly report")
        store.release(approved, folder / "approved", actor=MAX)
        taken_back = store.approve_release(written(folder, "taken-back", TAKEN_BACK), actor=ADA)
        store.disapprove_release(taken_back.number, actor=MAX, reason="asked by mistake")
        store.approve_release(written(folder, "waiting", WAITING), actor=ADA, reason="journeys")
    archive(RELEASES, folder, ("store/keys.db", "store/data.db", "key"))
    copy = folder / "copy"
    RELEASES.unpack(copy)
    text = json.dumps(ask_releases(copy), indent=1, ensure_ascii=False)
    RELEASES.expected.write_text(text + "\n", encoding="utf-8")


def _stops(*_: object) -> NoReturn:
    raise Stopped


if __name__ == "__main__":
    {"begin": begin, "finish": finish}[sys.argv[1]](Path(sys.argv[2]))
