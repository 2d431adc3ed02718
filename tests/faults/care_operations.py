"""What officers do, for :data:`tests.faults.operations.OPERATIONS`: copies, restoring, approving a release."""

from __future__ import annotations

from typing import Final
from unittest.mock import patch

import consentprofile as cp
from consentprofile.release.dp.mechanisms import Noise, draw
from consentprofile.usecases import noising, release
from tests.faults.children import Stage
from tests.faults.scenes import EVE, OFFICER, Operation, a_leaf, all_of, recorded
from tests.stateful.model import Model
from tests.support.people import ADA, agree, login
from tests.support.policies import READERS
from tests.support.stores import SetClock

YESTERDAY: Final = "yesterday"
"""What the copy of the data is called, beside the stores."""


def _since_yesterday(store: cp.Store, model: Model, clock: SetClock) -> None:
    """The data is copied; then somebody withdraws, somebody comes, and events are recorded."""
    store.back_up(store._session.ground.path.with_name(YESTERDAY))
    model.leaf("backed-up", role="officer")
    store.withdraw_consent(ADA, ["support"])
    model.decide(ADA, ["support"], "withdraw")
    agree(store, EVE)
    model.decide(EVE, ("support", "analytics", "marketing"), "give")
    store.record(login(EVE, 60))
    recorded(login(EVE, 60))(model)


def _restore(stage: Stage) -> None:
    data = stage.path.parent.parent / YESTERDAY
    cp.Store.restore(stage.leave(), key=stage.key, data=data, clock=stage.clock)


def _recovery_copy(stage: Stage) -> None:
    words = cp.Passphrase("correct horse battery staple", memory_kib=19 * 1024, iterations=2, lanes=1)
    stage.store.write_recovery_copy(stage.beside / "recovery", key=stage.key, passphrase=words)


def _lost(model: Model) -> None:
    """What was recorded since is in no copy."""
    for stands in model.account(EVE).compartments.values():
        stands.events.clear()


QUESTION: Final = "reach.toml"
"""What the specification of a release is called, beside the stores."""

NOISY: Final = "noisy.toml"
"""And one with differential privacy."""

SPEC: Final = """\
format = 1
name = "reach"
purpose = "analytics"
measure = "reach"
from = 2024-02-01
until = 2024-03-01
zone = "Europe/Berlin"
protection = { kind = "threshold" }
"""


def _asked(store: cp.Store, model: Model, clock: SetClock) -> None:
    store._session.ground.path.with_name(QUESTION).write_text(SPEC)


def _approve(stage: Stage) -> None:
    """An officer approves a release, and takes that back."""
    given = stage.store.approve_release(stage.path.parent.parent / QUESTION, actor=OFFICER)
    stage.acknowledge()
    stage.store.disapprove_release(given.number, actor=OFFICER)


def _paid_for(store: cp.Store, model: Model, clock: SetClock) -> None:
    """An officer has approved a release with noise; what draws it is loaded, so that no child has to."""
    spec = store._session.ground.path.with_name(NOISY)
    spec.write_text(SPEC.replace('kind = "threshold"', 'kind = "dp", epsilon = 1'))
    store.approve_release(spec, actor=OFFICER)
    model.leaf("release-approved", "analytics", "officer")
    draw(Noise("laplace", 1.0), [0])


def _release_with_noise(stage: Stage) -> None:
    """Charged, drawn, kept: the charge stands from when the noise is drawn. The folder is no part of the store."""
    inner = noising._draw

    def drawn(*args: object) -> dict[str, bytes]:
        stage.acknowledge()
        return inner(*args)  # type: ignore[arg-type]  # as it was called

    with patch.object(noising, "_draw", drawn), patch.object(release, "write_folder"):
        spec = stage.path.parent.parent / NOISY
        stage.store.release(spec, stage.beside / "out", actor=READERS["marketing"], workers=0)


CARE: Final = (
    Operation(
        "release with noise",
        _release_with_noise,
        (
            lambda model: model.leaf("budget-charged", "analytics", "marketer"),
            lambda model: model.leaf("released", "analytics", "marketer"),
        ),
        prepare=_paid_for,
    ),
    Operation(
        "back up the data",
        lambda stage: stage.store.back_up(stage.beside / "backup"),
        (a_leaf("backed-up", "officer"),),
    ),
    Operation(
        "write a recovery copy",
        _recovery_copy,
        (a_leaf("recovery-copied", "officer"),),
    ),
    Operation(
        "restore the data",
        _restore,
        (all_of(a_leaf("restored", "officer"), _lost),),
        prepare=_since_yesterday,
        renews=True,
    ),
    Operation(
        "approve a release",
        _approve,
        (
            lambda model: model.leaf("release-approved", "analytics", "officer"),
            lambda model: model.leaf("release-disapproved", "analytics", "officer"),
        ),
        prepare=_asked,
    ),
)
