"""The end of a consent, and of an account, in ``demo``: what becomes of the key, and what a backup brings back."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import consentprofile as cp
from consentprofile.cli.audit import leaf_line
from consentprofile.cli.demo.shop import READ
from consentprofile.cli.demo.stage import AGENT, INDENT, MARKETER, Stage, events
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
    restored, noticed = _restored(stage, purpose, account)
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
            ("the log, from a backup", "found out: it is shorter than its signed head" if noticed else "as it was"),
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
        "backup_found_out": noticed,
        "events_of_the_other_purpose": None if other is None else other.events,
        "key_id": end.facts["key-id"],
    }


def _restored(stage: Stage, purpose: str, account: str) -> tuple[cp.Profile | None, bool]:
    """What an old data file shows of the account beside the keyring of today, and whether its log was found out."""
    stage.close()
    scratch = stage.folder / "restored"
    shutil.copytree(stage.path, scratch)
    for leftover in scratch.glob("data.db*"):
        leftover.unlink()
    shutil.move(stage.folder / "data-backup.db", scratch / "data.db")
    store = stage.open(scratch)
    try:
        with store.view(purpose, actor=MARKETER, reason="from a backup") as view:
            profile = view.profile(account)
        noticed = _is_found_out(store)
    finally:
        with _unsaid():
            store.close()
        shutil.rmtree(scratch)
    return profile, noticed


def _is_found_out(store: cp.Store) -> bool:
    """Whether the store refuses to sign for a log that is not the one it signed for last."""
    try:
        store.audit.checkpoint()
    except cp.BrokenLog:
        return True
    return False


@contextmanager
def _unsaid() -> Iterator[None]:
    """What the store would log on closing is told by the demo itself."""
    logger = logging.getLogger("consentprofile")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def erase(stage: Stage) -> None:
    """An account is erased: every key that it had."""
    account, actor = stage.chosen.erased, "officer:1"
    plan = stage.store.plan_erasure([account])
    done = stage.store.erase(account, reference="request 2024-118", actor=actor)
    certificate = cp.open_certificate(done.file, stage.store.audit.public_key)
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
            (
                "certificate",
                f"signed, {len(done.file) / 1000:.1f} kB; verified here with the log's public key alone, offline",
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
        "certificate": certificate.statement,
    }
