"""What a store shows of itself, held against the states that a plain model allows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import consentprofile as cp
from tests.faults.scenes import EVERYBODY, OFFICER
from tests.stateful.model import YES, Compartment, Model, distinct, iso
from tests.stateful.world import DESTROYING, RESEALING
from tests.support.people import seen
from tests.support.policies import PURPOSES

LOOKED_AT: Final = ("support", "marketing")

LOOKING: Final = ("accessed", "consent-read", "read", "read")
"""The leaves of looking at an account."""

Shown = tuple[object, ...]


class Account(NamedTuple):
    """What can be seen of an account."""

    known: bool
    suppressed: list[str]
    traces: int
    decisions: dict[str, list[tuple[str, str]]]
    """By purpose, the act and the state it led to."""
    states: dict[str, str]
    compartments: dict[str, tuple[bool, int, list[Shown]]]
    """By purpose: in force, how many traces, events."""
    views: dict[str, int | None]
    """By purpose: how many events a reader sees; None where there is nothing to see."""


class Picture(NamedTuple):
    """What can be seen of a store."""

    leaves: list[tuple[str, str, str]]
    counts: dict[tuple[str, str], int]
    accounts: dict[str, Account]


def picture(store: cp.Store) -> Picture:
    """Look at everything, and bring whatever is pending to its end by that.

    The looking leaves leaves and traces, which are in no picture.
    """
    accounts = {account: _account(store, account) for account in EVERYBODY}
    leaves = [(one.operation, one.purpose, one.role) for one in store.audit.log() if one.operation != "compacted"]
    looking = len(EVERYBODY) * len(LOOKING)
    assert [leaf[0] for leaf in leaves[-looking:]] == list(LOOKING) * len(EVERYBODY)
    counts = {
        (purpose, str(outcome)): count
        for purpose, told in store.statistics().items()
        for outcome, count in told.items()
    }
    return Picture(_in_order(leaves[:-looking]), counts, accounts)


def _in_order(leaves: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Leaves of new keys stand in the order of random ids: here in that of their purposes."""
    runs = groupby(leaves, key=itemgetter(0))
    return [one for operation, run in runs for one in (sorted(run) if operation in RESEALING else run)]


def _account(store: cp.Store, account: str) -> Account:
    held = store.access(account, actor=OFFICER)
    return Account(
        known=held.account is not None,
        suppressed=held.suppressed,
        traces=sum(trace.operation != "accessed" for trace in held.trail),
        decisions={purpose: [(one.act, one.state) for one in held.consents[purpose].history] for purpose in PURPOSES},
        states={purpose: held.consents[purpose].state for purpose in PURPOSES},
        compartments={
            purpose: (
                one.in_force,
                len(one.trail),
                sorted((event.at.isoformat(), event.kind, _fields(event.fields)) for event in one.events),
            )
            for purpose, one in held.compartments.items()
        },
        views={purpose: seen(store, account, purpose) for purpose in LOOKED_AT},
    )


def _fields(fields: dict[str, str | int | bool]) -> tuple[tuple[str, str | int | bool], ...]:
    """The fields but for tokens, which are digests."""
    return tuple(sorted((name, value) for name, value in fields.items() if name != "device"))


# ---- the model ---------------------------------------------------------------------------------------


def expected(model: Model) -> Picture:
    """The picture of a store that is in the state of the model."""
    leaves = [leaf for leaf in model.leaves if leaf[0] != "compacted"]
    return Picture(_in_order(leaves), dict(model.counts), {name: _modelled(model, name) for name in EVERYBODY})


def _modelled(model: Model, name: str) -> Account:
    account = model.account(name)
    standing = {purpose: model.compartment(name, purpose) for purpose in PURPOSES}
    return Account(
        known=account.known,
        suppressed=sorted(account.reasons),
        traces=len(account.trail),
        decisions={
            purpose: [entry[2:] for entry in sorted(account.evidence.get(purpose, []), key=itemgetter(0, 1))]
            for purpose in PURPOSES
        },
        states={purpose: stands.state_at(model.now) for purpose, stands in standing.items()},
        compartments={
            purpose: (stands.state_at(model.now) in YES, len(stands.reads), _events(stands))
            for purpose, stands in standing.items()
            if stands.key
        },
        views={purpose: _seen(model, name, purpose) for purpose in LOOKED_AT},
    )


def _events(stands: Compartment) -> list[Shown]:
    return sorted(
        (
            (iso(one.at) or "").replace("Z", "+00:00"),
            one.kind,
            tuple(pair for pair in one.fields if pair[0] != "device"),
        )
        for one in distinct(stands.events)
    )


def _seen(model: Model, name: str, purpose: str) -> int | None:
    """What a reader would see, without the traces that reading leaves."""
    from copy import deepcopy

    events = deepcopy(model).read(name, purpose, "agent:7", "")
    return None if events is None else len(events)


# ---- the judgement -----------------------------------------------------------------------------------


def judge(
    store: cp.Store, allowed: Sequence[Picture], *, tolerated: frozenset[str] = frozenset(), head: bytes | None = None
) -> int:
    """Which of the allowed pictures the store shows. Raises :class:`AssertionError` where it shows none of them.

    The laws hold: everything opens, the log verifies, and a check finds nothing but what is ``tolerated`` before the
    last of the pictures. The log extends the ``head`` that was handed out, if one was.
    """
    shown = picture(store)
    matching = [index for index, one in enumerate(allowed) if one == shown]
    assert matching, _difference(shown, allowed)
    findings = Counter(finding.what.split(" ", 1)[1] for finding in store.check().findings)
    done = matching[-1] == len(allowed) - 1
    assert not findings.keys() - (frozenset() if done else tolerated), findings
    assert journalled(store) == destroyed(store), "the journal of destroyed keys is not that of the log"
    if head is not None:
        store.audit.extends(head)
    return matching[-1]


def destroyed(store: cp.Store) -> set[str]:
    """The ids of the keys that have died, as the log has them."""
    return {str(dict(one.facts)["key-id"]) for one in store.audit.log() if one.operation in DESTROYING}


def journalled(store: cp.Store) -> set[str]:
    """The same, as the journal has them that a restored keyring is told."""
    return {json.loads(line)["key_id"] for line in store.journal().splitlines()}


def _difference(shown: Picture, allowed: Sequence[Picture]) -> str:
    told = ["the store is in none of the states that are allowed"]
    for index, one in enumerate(allowed):
        told += [f"state {index}: {name}: {found}" for name, found in _unequal(shown, one)]
    return "\n".join(told)


def _unequal(shown: Picture, one: Picture) -> Iterator[tuple[str, str]]:
    if shown.leaves != one.leaves:
        same = next((n for n, pair in enumerate(zip(shown.leaves, one.leaves, strict=False)) if pair[0] != pair[1]), 0)
        yield "leaves", f"after {same}, the store has {shown.leaves[same:]}, the model {one.leaves[same:]}"
    if shown.counts != one.counts:
        yield "counts", f"the store has {shown.counts}, the model {one.counts}"
    for account, theirs in one.accounts.items():
        for name, ours, modelled in zip(Account._fields, shown.accounts[account], theirs, strict=True):
            if ours != modelled:
                yield f"{account}, {name}", f"the store has {ours!r}, the model {modelled!r}"
