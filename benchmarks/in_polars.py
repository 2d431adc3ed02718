"""The questions as they are put to Polars: a Parquet file in the clear goes in, accounts for each cell come out.

Everything is lazy, so that only the columns that a question needs are read. Accounts are numbers before anything is
grouped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from benchmarks.questions import END, GAP, SINCE, START, STEPS, UNTIL, WINDOW, Answer, furthest, joined
from benchmarks.workload import PLATFORMS


def _read(path: str) -> pl.LazyFrame:
    """The events of the period. Texts lie in the file as dictionaries, so they come as categories."""
    within = pl.col("at").is_between(SINCE, UNTIL, closed="left")
    return pl.scan_parquet(path).filter(within).with_columns(pl.col("account").to_physical())


def reach(path: str) -> Answer:
    """Accounts with an event, by kind and platform."""
    found = _read(path).group_by("kind", "platform").agg(pl.col("account").n_unique()).collect()
    return {(kind, platform): count for kind, platform, count in found.iter_rows()}


def overlap(path: str) -> Answer:
    """Accounts by the exact set of platforms that they use."""
    bit = pl.col("platform").cast(pl.String).replace_strict({name: 1 << place for place, name in enumerate(PLATFORMS)})
    pairs = _read(path).select("account", "platform").unique()
    sets = pairs.group_by("account").agg(bit.sum().alias("bits"))
    found = sets.group_by("bits").len().collect()
    return {(joined(bits),): count for bits, count in found.iter_rows()}


def funnel(path: str) -> Answer:
    """Accounts by the furthest step of their longest chain: from each entry to the earliest next event of each step."""
    frame = _read(path).select("account", "at", pl.col("kind").cast(pl.String)).sort("at").collect()

    def of(step: str) -> pl.DataFrame:
        return frame.filter(pl.col("kind") == step).select("account", "at")

    chain = of(STEPS[0]).with_columns(entry="at")
    reached = {STEPS[0]: chain["account"].n_unique()}
    for step in STEPS[1:]:
        chain = (
            chain.sort("at")
            .join_asof(
                of(step).with_columns(next="at"), on="at", by="account", strategy="forward", allow_exact_matches=False,
                check_sortedness=False,
            )
            .filter(pl.col("next") - pl.col("entry") <= WINDOW)
            .select("account", "entry", at="next")
        )  # fmt: skip
        reached[step] = chain["account"].n_unique()
    return furthest(reached)


def transitions(path: str) -> Answer:
    """Accounts by transition from one kind to the next of a session; each account once in each."""
    goes_on = (pl.col("account") == pl.col("account").shift()) & (pl.col("at").diff() <= GAP)
    frame = (
        _read(path)
        .select("account", "at", pl.col("kind").cast(pl.String))
        .sort("account", "at")
        .with_columns(goes_on=goes_on.fill_null(value=False), before=pl.col("kind").shift())
        .with_columns(goes_out=~pl.col("goes_on").shift(-1, fill_value=False))
        .collect()
        .lazy()
    )
    edges = pl.concat([
        frame.filter("goes_on").select("account", "before", "kind"),
        frame.filter(~pl.col("goes_on")).select("account", pl.lit(START).alias("before"), "kind"),
        frame.filter("goes_out").select("account", pl.col("kind").alias("before"), pl.lit(END).alias("kind")),
    ])  # fmt: skip
    found = edges.unique().group_by("before", "kind").len().collect()
    return {(before, kind): count for before, kind, count in found.iter_rows()}


ANSWERS: Final[dict[str, Callable[[str], Answer]]] = {
    "reach": reach,
    "overlap": overlap,
    "funnel": funnel,
    "transitions": transitions,
}
