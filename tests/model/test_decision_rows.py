"""A row of ``consent import`` becomes exactly the decision that it tells, or is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import UnreadableInput
from consentprofile.model.cells import RowRefused
from consentprofile.model.consent import Act, Decision
from consentprofile.model.decision_rows import COLUMNS, decision_reader

GOOD: Final = {
    "at": "2026-01-31T13:00:00+01:00",
    "account": "acct-17",
    "act": "give",
    "purposes": "support analytics",
    "notice": "2024-01",
    "method": "signup form",
}


def read(**changes: str) -> Decision:
    row = GOOD | changes
    return decision_reader(tuple(row))(tuple(row.values()))


def test_a_row_tells_a_decision() -> None:
    assert read() == Decision(
        account="acct-17",
        purposes=("support", "analytics"),
        act=Act.GIVE,
        notice="2024-01",
        method="signup form",
        at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )


def test_a_withdrawal_needs_neither_notice_nor_method() -> None:
    columns = COLUMNS[:4]
    decision = decision_reader(columns)(["2026-01-31T12:00Z", "acct-17", "withdraw", "support"])
    assert (decision.act, decision.notice, decision.method) == (Act.WITHDRAW, None, None)
    assert read(act="invalidate", notice="", method="").notice is None


REFUSED: Final[tuple[tuple[str, str, str], ...]] = (
    ("no time", "at", ""),
    ("naive time", "at", "2026-01-31T13:00:00"),
    ("date alone", "at", "2026-01-31"),
    ("unix time", "at", "1719835200"),
    ("no account", "account", ""),
    ("space at the edge of the account", "account", " acct-17"),
    ("account with a control character", "account", "acct\x0017"),
    ("no act", "act", ""),
    ("unknown act", "act", "grant"),
    ("act in capitals", "act", "GIVE"),
    ("no purposes", "purposes", " "),
    ("purpose twice", "purposes", "support analytics support"),
    ("no notice", "notice", ""),
    ("endless notice", "notice", "x" * 257),
    ("method with a control character", "method", "signup\nform"),
    ("lone surrogate", "method", "\udc80"),
)


@pytest.mark.parametrize(("column", "cell"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_row_that_is_not_strictly_right_is_refused_by_column(column: str, cell: str) -> None:
    with pytest.raises(RowRefused) as caught:
        read(**{column: cell})
    assert caught.value.reason.startswith(f"column {column!r}: ")
    assert "17" not in caught.value.reason


@pytest.mark.parametrize("act", ["give", "renew", "refuse"])
def test_acts_under_a_notice_name_it(act: str) -> None:
    assert read(act=act).notice == "2024-01"
    with pytest.raises(RowRefused, match="column 'notice'"):
        read(act=act, notice="")


BAD_COLUMNS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("one missing", ("at", "account", "act"), "has no column purposes"),
    ("no header", ("2026-01-31T12:00Z", "acct-17", "give", "support"), "has no column at, account, act, purposes"),
    ("unknown", (*COLUMNS, "acct-17"), "not one of at, account"),
    ("twice", (*COLUMNS, "at"), "twice"),
)


@pytest.mark.parametrize(
    ("columns", "words"), [case[1:] for case in BAD_COLUMNS], ids=[case[0] for case in BAD_COLUMNS]
)
def test_columns_are_checked_before_any_row(columns: tuple[str, ...], words: str) -> None:
    with pytest.raises(UnreadableInput, match=words) as caught:
        decision_reader(columns)
    assert "17" not in str(caught.value)


instants = st.integers(-(10**9), 10**11).map(lambda count: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=count))


@given(st.permutations(COLUMNS), instants, st.integers(-720, 720), st.sampled_from(list(Act)))
def test_columns_come_in_any_order_and_times_with_any_offset(
    columns: list[str], at: datetime, minutes: int, act: Act
) -> None:
    row = GOOD | {"at": at.astimezone(timezone(timedelta(minutes=minutes))).isoformat(), "act": act.value}
    decision = decision_reader(columns)([row[column] for column in columns])
    assert (decision.at, decision.act, decision.account) == (at, act, "acct-17")
