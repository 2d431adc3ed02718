"""Access: everything held about one account, and nothing about anybody else."""

from __future__ import annotations

import json

import msgspec
import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, NOW, PURPOSES, Scene, event


def test_everything_that_is_held_is_shown(scene: Scene) -> None:
    scene.give("support", "marketing")
    scene.store.refuse_consent(ACCOUNT, ["planning"])
    scene.store.record(event("purchase", platform="mobile", total=5, acquisition="email"))
    scene.store.suppress(ACCOUNT, "do-not-contact")
    profile, events = scene.profile(), scene.events()
    held = scene.store.access(ACCOUNT, actor="officer:ada", reason="request 7")
    assert held.account == ACCOUNT
    assert (held.controller, held.contact) == ("Example Shop GmbH", "privacy@shop.example")
    assert held.policy == scene.store.policy.digest.hex()
    assert {name: consent.state for name, consent in held.consents.items()} == {
        "support": "given", "marketing": "given", "planning": "refused",
    }  # fmt: skip
    assert all(held.consents[name].history for name in PURPOSES)
    assert set(held.compartments) == {"support", "marketing"}
    assert (held.compartments["support"].profile, held.compartments["support"].events) == (profile, events)
    assert held.compartments["support"].in_force
    assert held.suppressed == ["do-not-contact"]
    assert [trace.operation for trace in held.compartments["support"].trail] == ["read", "read"]
    assert [(trace.actor, trace.operation, trace.reason) for trace in held.trail][1:] == [
        ("officer:ada", "accessed", "request 7")
    ]


def test_what_is_suppressed_or_in_grace_is_held_and_therefore_shown(scene: Scene) -> None:
    scene.give("marketing")
    scene.store.record(event("purchase"))
    scene.store.suppress(ACCOUNT, "do-not-contact")
    scene.clock.move(days=100)
    shown = scene.store.access(ACCOUNT).compartments["marketing"]
    assert (shown.in_force, shown.profile.events) == (False, 1)
    scene.clock.move(days=10)
    scene.store.upkeep.expire_consents(attended=True)
    assert scene.store.access(ACCOUNT).compartments == {}


def test_what_was_withdrawn_is_not_held(scene: Scene) -> None:
    scene.give("support")
    scene.store.record(event())
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    held = scene.store.access(ACCOUNT)
    assert held.compartments == {}
    assert [entry.act for entry in held.consents["support"].history] == ["give", "withdraw"]


def test_of_an_unknown_account_nothing_is_held(scene: Scene) -> None:
    scene.give(account="acct-18")
    held = scene.store.access(ACCOUNT)
    assert (held.account, held.compartments, held.suppressed, held.trail) == (None, {}, [], [])
    assert all(consent.state == "none" and not consent.history for consent in held.consents.values())


def test_the_id_is_shown_as_it_was_normalized(scene: Scene) -> None:
    scene.give(account="andre\u0301")
    assert scene.store.access("andr\u00e9").account == "andr\u00e9"


def test_it_is_one_json_document(scene: Scene) -> None:
    scene.give()
    scene.store.record(event(total=5))
    document = json.loads(msgspec.json.encode(scene.store.access(ACCOUNT)))
    (stored,) = document["compartments"]["support"]["events"]
    assert (stored["at"], stored["kind"], stored["fields"]) == (
        NOW.isoformat().replace("+00:00", "Z"),
        "login",
        {"total": 5},
    )


def test_each_access_has_a_leaf_and_an_entry_of_the_actor_book(scene: Scene) -> None:
    before = scene.store.check().rows["actor_book"]
    first = len(scene.leaves())
    scene.store.access(ACCOUNT, actor="officer:ada")
    accessed = [leaf for leaf in scene.leaves()[first:] if leaf.operation == "accessed"]
    assert [(leaf.purpose, leaf.role, list(leaf.facts)) for leaf in accessed] == [("", "officer", ["commitment"])]
    assert scene.store.check().rows["actor_book"] == before + 1


def test_a_bad_account_or_actor_is_refused_before_anything_is_noted(scene: Scene) -> None:
    before = scene.leaves()
    with pytest.raises(cp.InvalidAccount):
        scene.store.access("")
    with pytest.raises(cp.InvalidActor):
        scene.store.access(ACCOUNT, actor="ada")
    assert scene.leaves() == before
