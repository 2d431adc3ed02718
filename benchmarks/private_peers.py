"""What others take for the same release with differential privacy, over a Parquet file in the clear.

``python private_peers.py PEER FILE EPSILON DELTA BOUND`` in whatever environment has the library: nothing here is
imported from the store or from the benchmarks, because no environment can hold all of them. It prints one line of JSON:
nanoseconds from before the file is read until the figures are there, those of processors meanwhile, how much memory the
process has had in KiB, and the figures.
With the peer alone it prints the versions of its libraries, null for one that is missing.

Each finds how many accounts came to each page, among pages that nobody has listed: an account counts on at most BOUND
pages, chosen at random, and once on each; (EPSILON, DELTA) is for adding or removing one account.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

Find = Callable[[str, float, float, int], dict[str, int]]


def opendp_polars() -> Find:
    """OpenDP's core measurement, with the bounding written by hand in Polars."""
    import opendp.prelude as dp
    import polars as pl

    dp.enable_features("contrib")

    def build(epsilon: float, bound: int, threshold: int) -> object:
        domain = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64"))
        distance = dp.l01inf_distance(dp.absolute_distance(T="i64"))
        return dp.m.make_laplace_threshold(domain, distance, scale=bound / epsilon, threshold=threshold)

    def find(path: str, epsilon: float, delta: float, bound: int) -> dict[str, int]:
        once = pl.scan_parquet(path).select(pl.col("account").to_physical(), "page").unique().collect()
        chosen = once.sample(fraction=1.0, shuffle=True).group_by("account").head(bound)
        counts = chosen.group_by(pl.col("page").cast(pl.String)).len()
        threshold = dp.binary_search(
            lambda t: build(epsilon, bound, t).map((bound, bound, 1))[1] <= delta, bounds=(2, 1_000_000)
        )
        # (the threshold is charged for values above it, and shows those at it: one more, opendp issue 2922)
        return dict(build(epsilon, bound, threshold + 1)(dict(counts.iter_rows())))

    return find


def pipeline_dp() -> Find:
    """PipelineDP on its local backend."""
    import pipeline_dp
    import pyarrow.parquet

    def find(path: str, epsilon: float, delta: float, bound: int) -> dict[str, int]:
        table = pyarrow.parquet.read_table(path, columns=["account", "page"])
        rows = list(zip(table["account"].to_pylist(), table["page"].to_pylist(), strict=True))
        accountant = pipeline_dp.NaiveBudgetAccountant(total_epsilon=epsilon, total_delta=delta)
        engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
        params = pipeline_dp.AggregateParams(
            noise_kind=pipeline_dp.NoiseKind.LAPLACE,
            metrics=[pipeline_dp.Metrics.PRIVACY_ID_COUNT],
            max_partitions_contributed=bound,
            max_contributions_per_partition=1,
        )
        extractors = pipeline_dp.DataExtractors(
            privacy_id_extractor=lambda row: row[0], partition_extractor=lambda row: row[1],
            value_extractor=lambda row: 0,
        )  # fmt: skip
        found = engine.aggregate(rows, params, extractors)
        accountant.compute_budgets()
        return {page: round(figures.privacy_id_count) for page, figures in found}

    return find


def smartnoise() -> Find:
    """SmartNoise SQL over pandas."""
    import pandas as pd
    import snsql

    def find(path: str, epsilon: float, delta: float, bound: int) -> dict[str, int]:
        frame = pd.read_parquet(path, columns=["account", "page"]).astype(str)
        columns = {
            "max_ids": bound, "row_privacy": False, "censor_dims": True, "sample_max_ids": True,
            "account": {"type": "string", "private_id": True}, "page": {"type": "string"},
        }  # fmt: skip
        reader = snsql.from_df(
            frame, privacy=snsql.Privacy(epsilon=epsilon, delta=delta), metadata={"": {"": {"events": columns}}}
        )
        rows = reader.execute("SELECT page, COUNT(DISTINCT account) AS accounts FROM events GROUP BY page")
        return dict(rows[1:])

    return find


PEERS: Final[dict[str, tuple[Callable[[], Find], tuple[str, ...]]]] = {
    "opendp": (opendp_polars, ("opendp", "polars")),
    "pipeline-dp": (pipeline_dp, ("pipeline-dp", "pyarrow")),
    "smartnoise": (smartnoise, ("smartnoise-sql", "pandas", "pyarrow")),
}
"""How each is made ready, and the packages it needs."""


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main(peer: str, path: str = "", epsilon: str = "", delta: str = "", bound: str = "") -> None:
    """Measure one peer, or tell whether it is there."""
    make, packages = PEERS[peer]
    if not path:
        print(json.dumps({package: _version(package) for package in packages}))
        return
    find = make()
    start, before = time.perf_counter_ns(), time.process_time_ns()
    found = find(path, float(epsilon), float(delta), int(bound))
    took, worked = time.perf_counter_ns() - start, time.process_time_ns() - before
    print(json.dumps({"took": took, "worked": worked, "peak": _peak_kib(), "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
