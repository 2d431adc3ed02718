"""Rows of ``consent import``: decisions that were made elsewhere, each as its columns tell it.

Only converts. Whether a purpose or a notice is declared, whether a decision is in order and not from the future,
is judged where decisions are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from consentprofile.errors import InvalidAccount, UnreadableInput
from consentprofile.model import cells
from consentprofile.model.cells import Row, RowRefused
from consentprofile.model.consent import Act, Decision
from consentprofile.model.ids import normalize_account

COLUMNS: Final = ("at", "account", "act", "purposes", "notice", "method")
"""The columns of the file, in any order; the last two may be missing."""

NEEDED: Final = COLUMNS[:4]

MAXIMUM_TEXT: Final = 256
"""The longest method or notice version, in bytes of UTF-8."""

_ACTS: Final = {act.value: act for act in Act}
_SHOWN: Final = frozenset({Act.GIVE, Act.RENEW, Act.REFUSE})

_read_at = cells.moment("iso8601", None)


def decision_reader(columns: Sequence[str]) -> Callable[[Row], Decision]:
    """A function from the rows of a file with these columns to decisions, their times in UTC.

    Raises :class:`UnreadableInput` for a missing or an unknown column. The function raises :class:`RowRefused` for a
    time without an offset from UTC, an act that is not one of :class:`Act`, an account id that cannot be one, purposes
    that are missing or named twice, and for a decision to give, renew or refuse without the notice that was shown.
    """
    missing = [column for column in NEEDED if column not in columns]
    if missing:
        raise UnreadableInput(f"the file of decisions has no column {', '.join(missing)}; expected {','.join(COLUMNS)}")
    if any(column not in COLUMNS for column in columns):
        raise UnreadableInput(f"the file of decisions has a column that is not one of {', '.join(COLUMNS)}")
    if len(set(columns)) != len(columns):
        raise UnreadableInput("the file of decisions has a column twice")
    at, account, act, purposes = (columns.index(column) for column in NEEDED)
    notice, method = (columns.index(column) if column in columns else -1 for column in COLUMNS[4:])

    def read(row: Row) -> Decision:
        moment = _read_at(row[at])
        if moment is None:
            raise RowRefused("column 'at': expected an ISO 8601 time with its offset, such as 2026-01-31T12:00:00Z")
        try:
            normalize_account(row[account])
        except InvalidAccount as error:
            raise RowRefused(f"column 'account': {error}") from None
        decided = _ACTS.get(row[act])
        if decided is None:
            raise RowRefused("column 'act': expected one of " + ", ".join(_ACTS))
        named = tuple(row[purposes].split())
        if not named or len(set(named)) != len(named):
            raise RowRefused("column 'purposes': expected distinct names of purposes, with spaces between them")
        shown = _text(row, notice, "notice", "the version of a notice")
        if shown is None and decided in _SHOWN:
            raise RowRefused(f"column 'notice': expected the version that was shown, as the act is {decided.value!r}")
        return Decision(
            account=row[account],
            purposes=named,
            act=decided,
            notice=shown,
            method=_text(row, method, "method", "how the decision was made"),
            at=moment,
        )

    return read


def _text(row: Row, position: int, column: str, what: str) -> str | None:
    if position < 0 or not row[position]:
        return None
    text = cells.opaque_id(row[position])
    if text is None:
        raise RowRefused(f"column {column!r}: expected {what}, at most {MAXIMUM_TEXT} bytes without control characters")
    return text
