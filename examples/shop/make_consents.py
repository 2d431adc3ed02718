"""Make up the consent decisions of the example shop's customers: writes consents.csv beside this file.

The customers of examples/data/ecom.csv.gz never existed, and neither did their decisions. They follow from a hash of
the customer's id, so that everybody gets the same file; README.md states the rule. Uses the standard library alone:

    python examples/shop/make_consents.py
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
EVENTS = HERE.parent / "data" / "ecom.csv.gz"
CONSENTS = HERE / "consents.csv"

NOTICE = "2024-01"
FIRST_SHOWN = datetime(2023, 12, 15, 8, 0, tzinfo=UTC)
LAST_DECISION = datetime(2024, 6, 30, 20, 0, tzinfo=UTC)

GIVE = {"support": 900, "analytics": 700, "marketing": 400}
"""Of a thousand customers, how many give their consent to a purpose."""
REFUSE = 700
"""Of a thousand who do not give it, how many refuse it. The others do not answer."""
LATE = 60
"""Of a thousand customers, how many decide only after their first visit."""
WITHDRAW = {"support": 20, "analytics": 50, "marketing": 120}
"""Of a thousand who gave a consent, how many withdraw it later."""


class Decision(NamedTuple):
    """One row of consents.csv."""

    at: str
    account: str
    act: str
    purposes: str
    notice: str
    method: str


def draw(account: str, question: str, below: int) -> int:
    """A number from 0 to ``below`` - 1 that depends on the account and the question only, evenly spread."""
    digest = hashlib.sha256(f"{account}|{question}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % below


def first_visits(path: Path) -> dict[str, datetime]:
    """The time of each customer's first event."""
    first: dict[str, datetime] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            at = datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            account = row["user_id"]
            first[account] = min(at, first.get(account, at))
    return first


def decisions(account: str, first_visit: datetime) -> list[Decision]:
    """Everything that one customer decided."""
    if draw(account, "late", 1000) < LATE:
        wait = timedelta(minutes=1 + draw(account, "wait", 21 * 24 * 60))
        at, method = min(first_visit + wait, LAST_DECISION), "settings page"
    else:
        lead = timedelta(minutes=1 + draw(account, "lead", 21 * 24 * 60))
        at, method = max(first_visit - lead, FIRST_SHOWN), "signup form"

    given = [purpose for purpose, share in GIVE.items() if draw(account, purpose, 1000) < share]
    refused = [
        purpose for purpose in GIVE if purpose not in given and draw(account, f"refuse {purpose}", 1000) < REFUSE
    ]
    made = [
        Decision(stamp(at), account, act, " ".join(purposes), NOTICE, method)
        for act, purposes in (("give", given), ("refuse", refused))
        if purposes
    ]
    for purpose in given:
        later = at + timedelta(days=7, minutes=draw(account, f"until {purpose}", 120 * 24 * 60))
        if draw(account, f"withdraw {purpose}", 1000) < WITHDRAW[purpose] and later <= LAST_DECISION:
            made.append(Decision(stamp(later), account, "withdraw", purpose, "", "settings page"))
    return made


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, as in 2024-01-31T09:30:00Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def consents() -> str:
    """The text of consents.csv: every decision, in the order of time."""
    rows = [decision for account, first in first_visits(EVENTS).items() for decision in decisions(account, first)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Decision._fields)
    writer.writerows(sorted(rows))
    return out.getvalue()


if __name__ == "__main__":
    CONSENTS.write_text(consents(), encoding="utf-8")
