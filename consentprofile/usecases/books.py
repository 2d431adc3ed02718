"""What the blocks of a compartment say today, under the terms of its consent and the policies accepted since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from consentprofile.crypto.slots import Slot
from consentprofile.errors import CorruptRecord
from consentprofile.model import block
from consentprofile.model.block import Codebook
from consentprofile.model.consent import State
from consentprofile.model.event import Recorded
from consentprofile.model.policy import Purpose
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.profile import dedupe
from consentprofile.usecases.held_terms import TermsBook


class Books:
    """The accepted policies as codebooks, and the terms of consents: all that it takes to read opened blocks."""

    def __init__(self, history: PolicyHistory, terms: TermsBook) -> None:
        self.history: Final = history
        self.terms: Final = terms
        self._codebooks: dict[int, Codebook] = {}

    def codebook(self, policy: int) -> Codebook:
        """The words of an accepted policy. Raises :class:`CorruptRecord` for a number that was never accepted."""
        book = self._codebooks.get(policy)
        if book is None:
            if policy not in self.history.policies:
                raise CorruptRecord("a block names a policy that the store never accepted; run `consentprofile check`")
            book = self._codebooks[policy] = Codebook(self.history.policies[policy])
        return book

    def oldest(self, terms: int, now: int) -> int:
        """The first second, UTC, whose events are not past the retention that holds for terms of this number."""
        return self.history.calendar.kept_from(now, self.terms.held(terms).holds.retention_months)

    def allowed(self, plaintexts: Iterable[bytes], terms: int, now: int) -> list[Recorded]:
        """The events of blocks of one compartment that its terms, by their number, still allow, none past retention.

        What was recorded under an earlier policy is narrowed to what is allowed today. Raises :class:`CorruptRecord`.
        """
        oldest, in_force = self.oldest(terms, now), self.history.number
        events: list[Recorded] = []
        policy, codebook, recoding = -1, None, None
        for plain in plaintexts:
            opened = block.decode(plain)
            if codebook is None or opened.policy != policy:
                policy = opened.policy
                codebook = self.codebook(policy)
                recoding = None if policy == in_force else self.terms.recoding(terms, policy)
            if recoding is None:
                found = codebook.read_all(opened.events, opened.tokens)
            else:
                left = [recoding.event(codebook.plain(packed, opened.tokens)) for packed in opened.events]
                found = self.codebook(in_force).read_all([packed for packed in left if packed is not None])
            events.extend([event for event in found if event.at >= oldest])
        return events

    def everything(self, plaintexts: Iterable[bytes]) -> list[Recorded]:
        """Every event of blocks of one compartment, as it is held, allowed or not. Raises :class:`CorruptRecord`."""
        events: list[Recorded] = []
        for plain in plaintexts:
            opened = block.decode(plain)
            events.extend(self.codebook(opened.policy).read_all(opened.events, opened.tokens))
        return events

    def rules(self, purpose: Purpose, slot: Slot, events: Sequence[Recorded]) -> Purpose:
        """``purpose`` as far as it holds for one compartment with these events: how exactly times are told, how many
        are kept.

        A renewal under a policy that keeps finer times makes nothing finer that was recorded before: where any such
        event is left, times are told as coarsely as they may have been kept.
        """
        held = self.terms.held(slot.header.terms)
        precision, keep = held.holds.precision, held.holds.keep
        if slot.header.state == State.RENEWED and precision != (coarsest := self.history.coarsest(purpose.name)):
            renewed = slot.header.until - held.lifetime
            counted = events if len(events) <= keep else dedupe(events)[-keep:]
            if any(event.at < renewed for event in counted):
                precision = coarsest
        if (precision, keep) == (purpose.precision, purpose.keep):
            return purpose
        return msgspec.structs.replace(purpose, precision=precision, keep=keep)
