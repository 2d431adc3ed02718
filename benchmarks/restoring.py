"""Part ``restore``: copying the data while others go on, and restoring it, or the keyring, after a part of it died."""

from __future__ import annotations

from pathlib import Path

from benchmarks import workload
from benchmarks.measure import timed
from benchmarks.ours import Ours
from benchmarks.results import Results
from benchmarks.sizes import told
from benchmarks.stage import Stage
from benchmarks.upkeep import note_waits, probed
from consentprofile import KeyFile, Restored, Store


def measure(stage: Stage, results: Results) -> None:
    """Back a store up, let a tenth of its accounts withdraw, and restore it three times."""
    results.title = "Backup and restore"
    events, accounts = stage.size.restored, stage.size.restored_accounts
    ours = stage.loaded("restore", 90)
    with ours.open() as store:
        store.upkeep.compact()
    place = stage.path("backups")
    data, keyring = place / "data", place / "keys"
    work = f"{told(events)} events of {told(accounts)} accounts"
    with ours.open() as store:
        stage.say("copying")
        waits, took = probed(ours, lambda: store.back_up(data))
        results.note(f"backup of the data, {work}", took, "ns")
        note_waits(results, "backup", waits)
        store.back_up_keyring(keyring)
        stage.say("withdrawing a tenth of the consents")
        withdrawals = (workload.withdrawal_of(workload.account(number)) for number in range(0, accounts, 10))
        store.give_consents(withdrawals)
    died = len(range(0, accounts, 10))
    stage.say("restoring")
    results.note(f"restore of the data, {work}, log kept", _restore(ours, died, data=data), "ns", key="restore")
    (ours.path / "data.db").unlink()
    results.note(f"restore of the data, {work}, log lost", _restore(ours, died, data=data), "ns")
    (ours.path / "keys.db").unlink()
    results.note(
        f"restore of the keyring, {work}, of which {told(died)} die again", _restore(ours, died, keyring=keyring), "ns"
    )
    ours.remove()


def _restore(ours: Ours, died: int, *, data: Path | None = None, keyring: Path | None = None) -> float:
    """How long it takes; what was done must be what there is to do."""
    place = ours.place
    done: list[Restored] = []

    def restore() -> None:
        key = KeyFile(place.key)
        done.append(Store.restore(place.path, key=key, data=data, keyring=keyring, clock=lambda: place.now))

    took = timed(restore)
    assert done[0].destroyed_again == (0 if keyring is None else died)
    assert not any(done[0].quarantined.values())
    return took
