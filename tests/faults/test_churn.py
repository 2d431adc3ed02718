"""Of 100,000 keys that lived and died, none is left in the keyring's file."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final

from consentprofile.crypto.slots import WRAPPED_BYTES
from consentprofile.model.consent import State
from consentprofile.store.ports import Terms
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes
from consentprofile.usecases.session import Session
from tests.support.people import agree, look
from tests.support.policies import PURPOSES
from tests.support.stores import START, StoreFactory

CHURNED: Final = 100_000
BATCH: Final = 1_000
ALIVE: Final = 3_000
"""Keys that live at one time."""

FRAGMENT: Final = 16


def fragments(wrapped: Iterable[bytes]) -> set[bytes]:
    """Pieces of 16 bytes, side by side: whatever 31 bytes of a wrapped key are left, one piece is whole."""
    return {key[at : at + FRAGMENT] for key in wrapped for at in range(0, WRAPPED_BYTES - FRAGMENT + 1, FRAGMENT)}


def found_in(haystack: bytes, pieces: set[bytes]) -> set[bytes]:
    """The pieces that stand in there, at whatever offset."""
    return {piece for at in range(len(haystack)) if (piece := haystack[at : at + FRAGMENT]) in pieces}


class Churn:
    """Mints and destroys keys through the functions that consent uses, many in one transaction."""

    def __init__(self, session: Session, terms: dict[str, Terms]) -> None:
        self._session = session
        self._terms = terms
        self._random = Random(11)
        self.alive: list[tuple[bytes, str, bytes]] = []
        self.dead: list[bytes] = []
        self.generations: list[int] = []
        self._born = 0

    def step(self, births: int, deaths: int) -> None:
        """One transaction."""
        session, changes = self._session, Changes(self._session, START)
        with session.ground.writing(), session.ground.files.keyring_transaction():
            keyring = session.ground.keyring
            for _ in range(deaths):
                index = self._random.randrange(len(self.alive))
                self.alive[index], self.alive[-1] = self.alive[-1], self.alive[index]
                tag, purpose, wrapped = self.alive.pop()
                account = AccountKeys(session, keyring, tag)
                place = session.place(purpose)
                operation = Operation.CONSENT_WITHDRAWN
                account.destroy(place, changes, operation, since=START, state=State.WITHDRAWN, purpose=purpose)
                if self._random.random() < 0.7:
                    account.vacate(place)  # the slot goes to somebody else
                self.dead.append(wrapped)
            for _ in range(births):
                self._born += 1
                purpose = PURPOSES[self._born % len(PURPOSES)]
                # Some come back to a place that is theirs already, some are new.
                tag = session.keys.index.account(b"account-%d" % (self._born % (CHURNED // 3)))
                account = AccountKeys(session, keyring, tag)
                known = account.compartment(purpose)
                if known is not None and known.key_held:
                    continue
                state, until = State.GIVEN, START + 1
                account.mint_compartment(self._terms[purpose], state=state, since=START, until=until)
                slot = account.slots[session.place(purpose)]
                self.generations.append(slot.header.generation)
                self.alive.append((tag, purpose, slot.wrapped))


def test_no_destroyed_key_is_left_in_the_keyring(stores: StoreFactory) -> None:
    """Keys are overwritten where they stand: not even a fragment of a dead one is in the file, all the living are."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, "the first")
        session = store._session
        churn = Churn(session, {terms.purpose: terms for terms in session.ground.keyring.all_terms().values()})
        while len(churn.alive) < ALIVE:
            churn.step(BATCH, 0)
        while len(churn.dead) < CHURNED:
            churn.step(BATCH, BATCH)
        slots = session.ground.keyring.count()
        assert len(churn.alive) >= ALIVE - BATCH
    haystack = (path / "keys.db").read_bytes()
    assert len(set(churn.dead)) >= CHURNED
    assert found_in(haystack, fragments(churn.dead)) == set()
    living = fragments(wrapped for _, _, wrapped in churn.alive)
    assert found_in(haystack, living) == living
    assert look(path, "keys.db", "PRAGMA integrity_check") == [("ok",)]
    # Slots were reused: the table is far smaller than the number of keys, and generations grew.
    assert slots < CHURNED // 2
    assert max(churn.generations) >= 3
    assert sorted(p.name for p in path.iterdir()) == [
        *("alive.lock", "checkpoint.lock", "data.db", "gate-turn.lock", "gate.lock", "keys.db", "turn.lock"),
        "writer.lock",
    ]
