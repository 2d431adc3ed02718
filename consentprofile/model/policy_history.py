"""The policies that a store has accepted, in order: the last one is in force, and the earlier ones go on where less was
consented to than it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Final

from consentprofile.model.calendar import Calendar
from consentprofile.model.declaration import Declaration, coarser, declared, meet_all
from consentprofile.model.policy import EnumField, Field, Policy, Precision, Purpose
from consentprofile.model.recoding import Recoding, needs_recoding


class PolicyHistory:
    """Accepted policies by number, from 1 without gaps, and what follows from them. What it answers is kept."""

    def __init__(self, policies: Mapping[int, Policy]) -> None:
        self.policies: Final = policies
        self.number: Final = max(policies)
        self.policy: Final = policies[self.number]
        self.calendar: Final = Calendar(self.policy.time_zone)
        self._numbers = {policy.digest: number for number, policy in policies.items()}
        self.reasons: Final = frozenset(reason for policy in policies.values() for reason in policy.suppressions)
        """Every reason for suppression that was ever declared."""
        self._holds: dict[tuple[str, int], Declaration] = {}
        self._declaring_as: dict[tuple[str, bytes], Purpose | None] = {}
        self._recodings: dict[tuple[str, int, int], Recoding | None] = {}

    def number_of(self, digest: bytes) -> int | None:
        """The number of the policy with this digest, or None where none was accepted."""
        return self._numbers.get(digest)

    def has_ended(self, purpose: str) -> bool:
        """Whether the policy in force does not declare the purpose: nothing holds for it any more."""
        return purpose not in self.policy.purposes

    def holds(self, purpose: str, number: int) -> Declaration:
        """What holds for consents to ``purpose`` that were given under policy ``number``.

        Of a purpose that has ended: what held last. ``KeyError`` where that policy does not declare the purpose.
        """
        found = self._holds.get((purpose, number))
        if found is None:
            found = self._meet(purpose, number, self.number)
            words = {(field.name, value) for field in self.policy.field_list for value in _vocabulary(field)}
            # What no event can carry any more need not be withheld: so what declares the same is the same.
            found = self._holds[purpose, number] = found._replace(withheld=found.withheld & words)
        return found

    def may_be_narrowed(self, purpose: str, number: int) -> bool:
        """Whether consents given under policy ``number`` may have blocks that hold more than what holds today."""
        return any(self.recoding(purpose, number, block) is not None for block in self.policies)

    def recoding(self, purpose: str, number: int, block: int) -> Recoding | None:
        """What makes of blocks that name policy ``block`` what consents given under policy ``number`` leave of them.

        None where they hold nothing else.
        """
        key = purpose, number, block
        if key not in self._recodings:
            self._recodings[key] = self._recoding(purpose, number, block)
        return self._recodings[key]

    def _recoding(self, purpose: str, number: int, block: int) -> Recoding | None:
        before = self.policies[block]
        if block == self.number or self.has_ended(purpose) or purpose not in before.purposes:
            return None
        # Terms only ever advance. So what was recorded then was recorded under these terms, or under narrower ones;
        # and under whatever that policy declared, where these terms are newer.
        held = self._meet(purpose, min(number, block), block)
        allowed = self.holds(purpose, number)
        return (
            Recoding(before, self.policy, allowed, self.calendar)
            if needs_recoding(before, self.policy, held, allowed)
            else None
        )

    def _meet(self, purpose: str, first: int, last: int) -> Declaration:
        """The most that every policy from the one to the other allows the purpose, which the first one declares."""
        between = [self.policies[number] for number in range(first, last + 1)]
        return meet_all([declared(policy, purpose) for policy in between if purpose in policy.purposes])

    def coarsest(self, purpose: str) -> Precision:
        """The least that was ever told of the time of an event of the purpose."""
        return reduce(coarser, [policy.purposes[purpose].precision for policy in self._declaring(purpose)])

    def newest(self, purpose: str) -> Policy:
        """The newest policy that declares the purpose. ``KeyError`` for one that no policy declares."""
        declaring = self._declaring(purpose)
        if not declaring:
            raise KeyError(purpose)
        return declaring[-1]

    def declaring(self, purpose: str, declaration: bytes) -> Purpose | None:
        """The purpose as the policy declares it whose :meth:`Policy.declaration` this is, or None where none does."""
        key = purpose, declaration
        if key not in self._declaring_as:
            found = (one for one in self._declaring(purpose) if one.declaration(purpose) == declaration)
            policy = next(found, None)
            self._declaring_as[key] = None if policy is None else policy.purposes[purpose]
        return self._declaring_as[key]

    def asking(self, purpose: str, notice: str) -> Policy:
        """The policy whose declaration somebody consented to who was shown ``notice``, which the one in force lists.

        The newest one that asks for consent under that notice; where none ever did, the first that lists it.
        ``KeyError`` where the purpose was never declared beside that notice.
        """
        asked = [policy for policy in self._declaring(purpose) if policy.purposes[purpose].notice == notice]
        listed = [policy for policy in self._declaring(purpose) if notice in policy.notices]
        if not listed:
            raise KeyError(notice)
        return asked[-1] if asked else listed[0]

    def _declaring(self, purpose: str) -> list[Policy]:
        return [self.policies[one] for one in sorted(self.policies) if purpose in self.policies[one].purposes]


def _vocabulary(field: Field) -> tuple[str, ...]:
    return field.values if isinstance(field, EnumField) else ()
