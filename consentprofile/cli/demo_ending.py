"""The end of a consent, and of an account, in ``demo``: what becomes of the key, and what a backup brings back."""

from __future__ import annotations

import shutil

import consentprofile as cp
from consentprofile.cli.audit import leaf_line
from consentprofile.cli.demo_shop import READ
from consentprofile.cli.demo_stage import AGENT, INDENT, MARKETER, Stage, events
from consentprofile.cli.output import count


def withdraw(stage: Stage) -> None:
    """One purpose is withdrawn: reading answers nothing, and a backup of the data brings nothing back."""
    account, purpose = stage.chosen.followed, READ[1]
    before = stage.read(purpose, MARKETER, account)
    stage.close()
    shutil.copy(stage.path / "data.db", stage.folder / "data-backup.db")
    stage.store.withdraw_consent(account, [purpose], method="settings page")
    after = stage.read(purpose, MARKETER, account)
    other = stage.read(READ[0], AGENT, account)
    restored = _restored(stage, purpose, account)
    log = list(stage.store.audit.log())
    end = next(leaf for leaf in reversed(log) if leaf.operation == "consent-withdrawn")
    life = [leaf for leaf in log if leaf.facts.get("key-id") == end.facts["key-id"]]
    stage.title(f"The customer withdraws {purpose}")
    stage.out.pairs(
        [
            (f"{purpose}, before", events(before)),
            (f"{purpose}, after", f"{events(after)}, as for somebody who was never here"),
            (f"{purpose}, from a backup", f"{events(restored)}: a copy of data.db made before was put back"),
            (f"{READ[0]}, after", f"{events(other)}: its own consent, its own key"),
        ],
        indent=INDENT,
    )
    stage.gap()
    stage.say(
        "Nothing had to be found and deleted. The key was overwritten in its place in keys.db before the call "
        "returned, and what it sealed is noise, in every copy of data.db. Only an old copy of keys.db could bring it "
        "back: keep none for long. The log shows the life of the key, and nobody's name:"
    )
    stage.gap()
    for leaf in life:
        stage.out.line(leaf_line(leaf))
    stage.facts["withdrawn"] = {
        "purpose": purpose,
        "events_before": None if before is None else before.events,
        "profile_after": after,
        "profile_from_backup": restored,
        "events_of_the_other_purpose": None if other is None else other.events,
        "key_id": end.facts["key-id"],
    }


def _restored(stage: Stage, purpose: str, account: str) -> cp.Profile | None:
    """The account's profile when the old data file is put back beside the keyring of today."""
    stage.close()
    scratch = stage.folder / "restored"
    shutil.copytree(stage.path, scratch)
    for leftover in scratch.glob("data.db*"):
        leftover.unlink()
    shutil.move(stage.folder / "data-backup.db", scratch / "data.db")
    try:
        with stage.open(scratch) as store, store.view(purpose, actor=MARKETER, reason="from a backup") as view:
            return view.profile(account)
    finally:
        shutil.rmtree(scratch)


def erase(stage: Stage) -> None:
    """An account is erased: every key that it had."""
    account, actor = stage.chosen.erased, "officer:1"
    plan = stage.store.plan_erasure([account])
    done = stage.store.erase(account, reference="request 2024-118", actor=actor)
    held = stage.store.access(account, actor=actor, reason="is anything left?")
    left = sum(len(compartment.events) for compartment in held.compartments.values())
    evidence = sum(len(consent.history) for consent in held.consents.values())
    stage.title("An account is erased")
    stage.say(
        f"`{account}` asks to be forgotten. What will happen is said first: {count(plan.keys, 'key')} to destroy, of "
        f"{', '.join(plan.purposes)} and of the account itself."
    )
    stage.gap()
    stage.out.pairs(
        [
            (
                "destroyed",
                f"{count(len(done.key_ids), 'key')}, in leaves {done.leaves[0]} to {done.leaves[-1]} of the log",
            ),
            ("left of events", f"{left:,}"),
            (
                "left of decisions",
                f"{count(evidence, 'entry', 'entries')} of sealed evidence: what the shop was allowed",
            ),
        ],
        indent=INDENT,
    )
    stage.facts["erased"] = {
        "keys": len(done.key_ids),
        "purposes": done.purposes,
        "events_left": left,
        "evidence": evidence,
    }
