"""Part ``rotation``: how long the store takes to move to a new key, and what others wait for meanwhile."""

from __future__ import annotations

from typing import Final

from benchmarks import workload
from benchmarks.holds import Holds, note_disk, note_holds
from benchmarks.ours import Ours
from benchmarks.results import Results
from benchmarks.sizes import told
from benchmarks.stage import Stage
from benchmarks.upkeep import note_waits, probed
from consentprofile import KeyFile

PURPOSES: Final = 3


def measure(stage: Stage, results: Results) -> None:
    """Rotate the keys of accounts that agreed to every purpose, and of some that agreed to one."""
    results.title = "Rotation of the keys"
    for purposes in (PURPOSES, 1):
        _rotate(stage, results, purposes)


def _rotate(stage: Stage, results: Results, purposes: int) -> None:
    accounts = stage.size.rotated // purposes
    stage.say(f"giving the consents of {accounts:,} accounts to {purposes} of the purposes")
    ours = Ours(stage.folder, f"rotation-{purposes}", workload.NOW)
    ours.create(workload.CONSENTED, map(workload.account, range(accounts)), purposes=purposes)
    ours = ours.copy(f"rotation-{purposes}-copy")
    stage.say("rotating")
    compartments = accounts * purposes
    with ours.open() as store, Holds(store) as holds:
        waits, took = probed(ours, lambda: store.rotate_keys(KeyFile(stage.folder / f"rotated-{purposes}.key")))
    many = purposes == PURPOSES
    work = f"rotation, {told(compartments)} compartments of {told(accounts)} accounts"
    results.note(work, took, "ns", key="rotation" if many else "")
    slots = compartments + 2 * accounts
    results.note_rates(f"{work}: keys wrapped anew, those of accounts and evidence included", [took / slots], "keys")
    if many:
        note_waits(results, "rotation", waits)
        note_holds(results, "rotation", holds.noted)
        note_disk(results, stage.folder)
    ours.remove()
