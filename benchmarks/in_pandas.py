"""The questions as they are put to pandas: a Parquet file in the clear goes in, accounts for each cell come out.

Only the columns that a question needs are read. Accounts are numbers before anything is grouped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pandas as pd

from benchmarks.questions import END, GAP, SINCE, START, STEPS, UNTIL, WINDOW, Answer, furthest, joined
from benchmarks.workload import KINDS, PLATFORMS


def _read(path: str, *columns: str) -> pd.DataFrame:
    """The events of the period. Texts lie in the file as dictionaries, so they come as categories."""
    frame = pd.read_parquet(path, columns=["account", "at", *columns])
    frame["account"] = frame["account"].cat.codes
    return frame[(frame["at"] >= SINCE) & (frame["at"] < UNTIL)]


def reach(path: str) -> Answer:
    """Accounts with an event, by kind and platform."""
    frame = _read(path, "kind", "platform")
    pairs = frame[["kind", "platform", "account"]].drop_duplicates()
    found = pairs.groupby(["kind", "platform"], observed=True).size()
    return {(str(kind), str(platform)): int(count) for (kind, platform), count in found.items()}


def overlap(path: str) -> Answer:
    """Accounts by the exact set of platforms that they use."""
    pairs = _read(path, "platform")[["account", "platform"]].drop_duplicates()
    bit = {name: 1 << place for place, name in enumerate(PLATFORMS)}
    pairs["bit"] = pairs["platform"].map(bit).astype("int64")
    found = pairs.groupby("account")["bit"].sum().value_counts()
    return {(joined(int(bits)),): int(count) for bits, count in found.items()}


def funnel(path: str) -> Answer:
    """Accounts by the furthest step of their longest chain: from each entry to the earliest next event of each step."""
    frame = _read(path, "kind").sort_values("at")
    chain = frame.loc[frame["kind"] == STEPS[0], ["account", "at"]]
    chain["entry"] = chain["at"]
    reached = {STEPS[0]: chain["account"].nunique()}
    for step in STEPS[1:]:
        events = frame.loc[frame["kind"] == step, ["account", "at"]]
        events["next"] = events["at"]
        chain = pd.merge_asof(
            chain.sort_values("at"), events, on="at", by="account", direction="forward", allow_exact_matches=False
        )
        chain = chain[chain["next"] - chain["entry"] <= WINDOW]
        chain["at"] = chain.pop("next")
        reached[step] = chain["account"].nunique()
    return furthest(reached)


def transitions(path: str) -> Answer:
    """Accounts by transition from one kind to the next of a session; each account once in each."""
    frame = _read(path, "kind").sort_values(["account", "at"])
    account = frame["account"]
    kind = frame["kind"].cat.set_categories([*KINDS, START, END]).cat.codes.astype("int64")
    goes_on = account.eq(account.shift()) & (frame["at"].diff() <= GAP)
    goes_out = ~goes_on.shift(-1, fill_value=False)
    width, start, end = len(KINDS) + 2, len(KINDS), len(KINDS) + 1
    edges = pd.concat([
        pd.DataFrame({"account": account[goes_on], "edge": kind.shift(fill_value=0)[goes_on] * width + kind[goes_on]}),
        pd.DataFrame({"account": account[~goes_on], "edge": start * width + kind[~goes_on]}),
        pd.DataFrame({"account": account[goes_out], "edge": kind[goes_out] * width + end}),
    ])  # fmt: skip
    names = (*KINDS, START, END)
    found = edges.drop_duplicates()["edge"].value_counts()
    return {(names[edge // width], names[edge % width]): int(count) for edge, count in found.items()}


ANSWERS: Final[dict[str, Callable[[str], Answer]]] = {
    "reach": reach,
    "overlap": overlap,
    "funnel": funnel,
    "transitions": transitions,
}
