"""Consent: the states, the acts, and the table that says what each act does in each state.

States are those of the design's table; their W3C DPV names are in :data:`DPV_STATUS`. The rules are pure:
:func:`judge` is given the clock, and answers what has to happen to the key.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from consentprofile.model.withheld import Withheld


class State(IntEnum):
    """The state of one account's consent to one purpose; the number is what the keyring stores."""

    NONE = 0
    REFUSED = 1
    GIVEN = 2
    RENEWED = 3
    WITHDRAWN = 4
    INVALIDATED = 5
    EXPIRED = 6

    @property
    def label(self) -> str:
        """The word for people and files."""
        return self.name.lower()


IN_FORCE: Final = frozenset({State.GIVEN, State.RENEWED})

DPV_STATUS: Final = {
    State.NONE: "dpv:ConsentUnknown",
    State.REFUSED: "dpv:ConsentRefused",
    State.GIVEN: "dpv:ConsentGiven",
    State.RENEWED: "dpv:RenewedConsentGiven",
    State.WITHDRAWN: "dpv:ConsentWithdrawn",
    State.INVALIDATED: "dpv:ConsentInvalidated",
    State.EXPIRED: "dpv:ConsentExpired",
}
"""W3C Data Privacy Vocabulary, https://w3id.org/dpv, consent statuses."""


class Act(StrEnum):
    """What somebody decided."""

    GIVE = "give"
    RENEW = "renew"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    INVALIDATE = "invalidate"


class Decision(Withheld, frozen=True, kw_only=True):
    """One decision of one account on some purposes: what ``give_consents`` takes, and a row of ``consent import``.

    ``notice`` is the version that the person was shown (needed to give, renew and refuse), ``method`` how the decision
    was made, in the controller's words (it is sealed evidence). ``at`` is aware; None means now.
    """

    account: str
    purposes: tuple[str, ...]
    act: Act = Act.GIVE
    notice: str | None = None
    method: str | None = None
    at: datetime | None = None


class Effect(StrEnum):
    """What an act does to the key of the compartment."""

    NOTHING = "nothing"
    MINT = "mint"
    ADVANCE = "advance"
    DESTROY = "destroy"
    NOTE = "note"


def judge(state: State, act: Act, *, same_notice: bool, key_held: bool) -> tuple[State, Effect]:
    """The state after ``act``, and what happens to the key (design, section 6).

    ``state`` is the state *now*: an expired consent is :attr:`State.EXPIRED` whatever the slot still says.
    ``same_notice`` tells whether the act names the notice that the consent in force was given under. ``key_held``
    tells whether a key still lies in the slot; after the lifetime is over it does for the days of grace, and whoever
    says no in those days means it: the key goes at once.
    """
    in_force = state in IN_FORCE
    if act is Act.GIVE or act is Act.RENEW:
        if act is Act.GIVE and not in_force:
            return State.GIVEN, Effect.MINT
        if not in_force or (act is Act.GIVE and same_notice):
            return state, Effect.NOTHING
        return State.RENEWED, Effect.ADVANCE
    if act is Act.INVALIDATE:
        return (State.INVALIDATED, Effect.DESTROY) if key_held else (state, Effect.NOTHING)
    if key_held:
        return State.WITHDRAWN, Effect.DESTROY
    if act is Act.REFUSE and state is not State.REFUSED:
        return State.REFUSED, Effect.NOTE
    return state, Effect.NOTHING


class Entry(Withheld, frozen=True, kw_only=True):
    """One decision as the evidence keeps it. Times are aware UTC; digests are hex.

    ``act`` is a word of :class:`Act`, or ``erase`` where the account was erased. ``decided`` is when the person
    decided, ``recorded`` when the store took note.
    """

    act: str
    purpose: str
    state: str
    notice: str
    notice_sha256: str
    declaration: str
    method: str
    decided: datetime
    recorded: datetime


class Consent(Withheld, frozen=True, kw_only=True):
    """The state of one account's consent to one purpose.

    ``since`` is when the state began, ``until`` when the lifetime of a consent in force is over; both aware UTC.
    ``changed`` tells whether the call that answered with this has changed anything.
    """

    purpose: str
    state: str
    dpv: str
    since: datetime | None = None
    until: datetime | None = None
    notice: str | None = None
    changed: bool = False
    history: tuple[Entry, ...] = ()

    @property
    def in_force(self) -> bool:
        """Whether events may be recorded and read."""
        return self.state in ("given", "renewed")

    def __repr__(self) -> str:
        """The state alone."""
        return f"<Consent {self.state!r} to {self.purpose!r}>"
