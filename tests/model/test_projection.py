"""Projection: what a policy does not declare is refused, and no error carries it along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from consentprofile.errors import InvalidEvent
from consentprofile.model.event import Event, Value
from consentprofile.model.policy_file import read_policy
from consentprofile.model.projection import Projector
from tests.model.normative_policy import EXAMPLE

NOW: Final = datetime(2024, 3, 1, 12, tzinfo=UTC)
CANARY: Final = "canary-value"
PROJECTOR: Final = Projector(read_policy(EXAMPLE, "policy.toml"))


def login(*, id: str | None = None, **fields: Value) -> Event:
    return Event(account="acct-1", kind="login", at=NOW, id=id, fields=fields)


def second() -> int:
    return int(NOW.timestamp())


REFUSED = {
    "an unknown word": login(platform=CANARY),
    "a number for a word": login(platform=17),
    "a list for a word": login(platform=[CANARY]),  # type: ignore[arg-type]
    "a token that is too long": login(device=CANARY * 30),
    "a token of more than 256 bytes in fewer characters": login(device="\u20ac" * 86),
    "an empty token": login(device=""),
    "a token that UTF-8 cannot encode": login(device="\ud800"),
    "a number for a token": login(device=17),
    "an undeclared field": login(colour=CANARY),
    "an id that is too long": login(id=CANARY * 30),
    "an id of more than 256 bytes in fewer characters": login(id="\u20ac" * 86),
    "an empty id": login(id=""),
    "an id that UTF-8 cannot encode": login(id="\ud800"),
}


@pytest.mark.parametrize("event", REFUSED.values(), ids=REFUSED)
def test_what_is_not_declared_is_refused_and_no_error_holds_it(event: Event) -> None:
    with pytest.raises(InvalidEvent) as caught:
        PROJECTOR.check(event, second())
    assert caught.value.__context__ is None
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("text", ["d", "d" * 256, "\u20ac" * 85])
def test_tokens_and_ids_of_up_to_256_bytes_are_taken(text: str) -> None:
    checked = PROJECTOR.check(login(id=text, device=text), second())
    assert [value for _, value in checked.values] == [text]


def test_the_values_ascend_by_field_number_whatever_order_they_were_given_in() -> None:
    one = PROJECTOR.check(login(device="d-1", platform="mobile", channel="web"), second())
    other = PROJECTOR.check(login(channel="web", platform="mobile", device="d-1"), second())
    assert one == other
    assert [number for number, _ in one.values] == sorted(number for number, _ in one.values)


def test_a_checked_event_does_not_show_what_it_holds() -> None:
    assert CANARY not in repr(PROJECTOR.check(login(device=CANARY), second()))
