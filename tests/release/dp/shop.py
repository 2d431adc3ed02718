"""The small shop with a privacy budget, specifications of every measure under differential privacy, and no noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from consentprofile.model.policy import Policy
from consentprofile.model.policy_file import read_policy
from consentprofile.release.dp.mechanisms import Noise
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from tests.release.shop_policy import POLICY_TEXT, spec_text

RULES: Final = 'release = { min_accounts = 10, round_to = 5, cadence = "7 days" }'
IN_EPSILON: Final = 'release = { min_accounts = 10, round_to = 5, cadence = "7 days", epsilon_per_year = 8 }'
IN_RHO: Final = RULES.replace(" }", ", rho_per_year = 2, delta_per_year = 1e-6 }")
WITH_DELTA: Final = IN_EPSILON.replace(" }", ", delta_per_year = 1e-6 }")


def policy(rules: str) -> Policy:
    """The shop's policy under other rules of release."""
    return read_policy(POLICY_TEXT.replace(RULES, rules, 1), "policy.toml")


EPSILON: Final = policy(WITH_DELTA)
RHO: Final = policy(IN_RHO)

MEASURES: Final[Mapping[str, Mapping[str, str]]] = {
    "the total": {},
    "reach": {"by": '["platform", "kind"]', "cells_per_account": "2"},
    "counts": {"measure": '"counts"', "limit": "3", "by": '["platform"]', "cells_per_account": "2"},
    "sums": {"measure": '"sums"', "field": '"rating"', "limit": "4", "by": '["platform"]', "cells_per_account": "2"},
    "means": {"measure": '"means"', "field": '"rating"', "limit": "3", "by": '["platform"]'},
    "overlap": {"measure": '"overlap"', "of": '"platform"'},
    "frequency": {"measure": '"frequency"', "most": "4"},
    "funnel": {"measure": '"funnel"', "steps": '["login", "search", "purchase"]'},
    "retention": {"measure": '"retention"', "every": '"month"'},
    "retention in each period": {"measure": '"retention"', "every": '"month"', "mode": '"on"'},
    "transitions": {"measure": '"transitions"', "of": '"kind"', "cells_per_account": "3"},
    "time to next": {"measure": '"time-to-next"', "first": '["login"]', "next": '["purchase"]', "window": '"2 days"'},
    "segments": {
        "measure": '"segments"',
        "segments": "[{ name = 'often', all = [{ count = 'events', at_least = 3 }] }]",
    },
}
MANY_KEYS: Final[Mapping[str, str]] = {"by": '["page", "week"]', "cells_per_account": "2"}
"""15,600 keys, so that those with accounts have to be found."""


def asked(protection: str = "epsilon = 1.0", under: Policy = EPSILON, /, **changes: str | None) -> ReleaseSpec:
    """A specification under differential privacy."""
    text = spec_text(**{"protection": f"{{ kind = 'dp', {protection} }}", **changes})
    return read_spec(text, "noisy.toml", under)


def no_noise(noise: Noise, values: Sequence[int]) -> list[int]:
    """What tests put in the place of noise to see what it would be added to."""
    return list(values)
