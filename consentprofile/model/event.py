"""Events: what the caller hands in, what a purpose keeps of it, and what recording answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec

from consentprofile.model.withheld import Withheld

Value: TypeAlias = str | int | bool
"""A field's value: an enum value or a token's digest (text), an integer or amount, a boolean."""


class Event(Withheld, frozen=True, kw_only=True):
    """Something that a logged-in account did.

    ``at`` is an aware datetime. With an ``id`` (1 to 256 bytes of UTF-8) the event is recorded exactly once in its
    account; without one, every call is an event of its own. ``fields`` holds values as the policy declares them.
    """

    account: str
    kind: str
    at: datetime
    id: str | None = None
    fields: Mapping[str, Value] = msgspec.field(default_factory=dict)


class Recorded(Withheld, frozen=True, order=True):
    """An event as a purpose keeps it: projected, floored, its tokens digested.

    ``at`` is in seconds since 1970-01-01T00:00:00Z, floored to the purpose's precision in the policy's time zone;
    ``fields`` are (name, value) pairs sorted by name; ``id`` is the stored 16-byte id. The order of the class is
    (time, canonical content, id), the order of every profile; comparing raises :class:`TypeError` where a field's
    type differs between two declarations (:func:`consentprofile.model.profile.dedupe` orders those too).
    """

    at: int
    kind: str
    fields: tuple[tuple[str, Value], ...]
    id: bytes


class Outcome(StrEnum):
    """What recording did for one purpose, and why it did nothing for the others."""

    RECORDED = "recorded"
    NO_CONSENT = "no_consent"
    BEFORE_CONSENT = "before_consent"
    PAST_RETENTION = "past_retention"
    SUPPRESSED = "suppressed"
    NOT_COLLECTED = "not_collected"
