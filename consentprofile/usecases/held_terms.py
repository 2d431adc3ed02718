"""What the terms of a consent hold today: what was consented to, narrowed by every policy accepted since.

One look-up by the terms' number answers all that recording needs, so that accounts under older terms cost no more than
those under the policy in force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from consentprofile.errors import CorruptRecord
from consentprofile.model.declaration import Declaration
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Narrowed, Projector
from consentprofile.model.recoding import Recoding
from consentprofile.store.ports import Terms

SECONDS_A_DAY: Final = 86_400


class HeldTerms(NamedTuple):
    """Terms, and what they hold under the policy in force."""

    bound: bytes
    """What binds a wrapped key to its terms."""
    purpose: str
    given_under: int
    """The number of the policy that the consent was given under."""
    holds: Declaration
    lifetime: int
    """Seconds from a decision to the end that is written into the slot."""
    cut: int
    """Seconds by which later policies have brought that end forward."""
    narrowed: Narrowed | None
    """How recording projects for these terms, where the policy in force declares more than they allow."""


class TermsBook:
    """Terms by number, read from the keyring when a number is met that is not known yet. Terms never change."""

    def __init__(self, history: PolicyHistory, projector: Projector, load: Callable[[], dict[int, Terms]]) -> None:
        self._history = history
        self._projector = projector
        self._load = load
        self._terms: dict[int, Terms] = {}
        self._bounds: dict[int, bytes] = {}
        self._held: dict[int, HeldTerms] = {}

    def terms(self, number: int) -> Terms:
        """What a consent was given under. Raises :class:`CorruptRecord` for terms that are not there."""
        if number not in self._terms:
            self._terms = self._load()
        if number not in self._terms:
            raise CorruptRecord("a slot names terms that the keyring does not have; restore keys.db")
        return self._terms[number]

    def bound(self, number: int) -> bytes:
        """What binds a wrapped key to its terms. Raises :class:`CorruptRecord`."""
        found = self._bounds.get(number)
        if found is None:
            found = self._bounds[number] = self.terms(number).bound
        return found

    def held(self, number: int) -> HeldTerms:
        """What the terms hold. Raises :class:`CorruptRecord` for terms that no accepted policy could have made."""
        found = self._held.get(number)
        if found is None:
            found = self._held[number] = self._hold(number)
        return found

    def recoding(self, number: int, block: int) -> Recoding | None:
        """What makes of blocks that name policy ``block`` what these terms leave of them; None where that is all.

        Raises :class:`CorruptRecord` also for the number of a policy that was never accepted.
        """
        if block not in self._history.policies:
            raise CorruptRecord("a block names a policy that the store never accepted; run `consentprofile check`")
        held = self.held(number)
        return self._history.recoding(held.purpose, held.given_under, block)

    def forget(self) -> None:
        """Forget terms that a rolled back transaction may have added."""
        self._terms.clear()
        self._bounds.clear()
        self._held.clear()

    def _hold(self, number: int) -> HeldTerms:
        terms, history = self.terms(number), self._history
        given_under = history.number_of(terms.policy)
        if given_under is None or terms.purpose not in history.policies[given_under].purposes:
            raise CorruptRecord("a slot names terms of a policy that the store never accepted; restore keys.db")
        holds = history.holds(terms.purpose, given_under)
        lifetime = history.policies[given_under].purposes[terms.purpose].lifetime_days
        return HeldTerms(
            terms.bound,
            terms.purpose,
            given_under,
            holds,
            lifetime * SECONDS_A_DAY,
            (lifetime - holds.lifetime_days) * SECONDS_A_DAY,
            self._narrowed(terms.purpose, holds),
        )

    def _narrowed(self, purpose: str, holds: Declaration) -> Narrowed | None:
        history = self._history
        if history.has_ended(purpose) or holds.recorded == history.holds(purpose, history.number).recorded:
            return None
        return self._projector.narrowed(holds)
