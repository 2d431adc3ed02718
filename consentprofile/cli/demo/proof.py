"""The last steps of ``demo``: the log is verified, and numbers about many leave the store."""

from __future__ import annotations

from collections import Counter

import msgspec

from consentprofile.cli.demo.stage import INDENT, Stage, bar
from consentprofile.cli.output import count
from consentprofile.cli.profile import counted


def verify(stage: Stage) -> None:
    """The log is recomputed, and every customer's id sought in it and in every file of the store."""
    customers = stage.chosen.customers
    signed = stage.store.audit.checkpoint().decode()
    head = stage.store.audit.verify()
    leaves = list(stage.store.audit.log())
    text = msgspec.json.encode(leaves)
    in_log = sum(name.encode() in text for name in customers)
    stage.close()  # a live database file is not to be read beside SQLite
    files = [file.read_bytes() for file in stage.path.iterdir()]
    in_files = sum(any(name.encode() in data for data in files) for name in customers)
    megabytes = sum(map(len, files)) / 1e6
    operations = Counter(leaf.operation for leaf in leaves)
    stage.title("The log is verified")
    stage.out.pairs(
        [
            ("whole", f"{count(head.size, 'leaf', 'leaves')}, every hash recomputed; root {head.root[:32]}…"),
            ("signed", f"{count(head.checkpoints, 'head')}; the newest vouches for {_vouched(signed)}"),
            ("what happened", counted(operations)),
            ("ids in the log", f"{in_log} of {len(customers):,} account ids"),
            ("ids in the files", f"{in_files} of {len(customers):,} account ids, in {megabytes:.1f} MB of store"),
        ],
        indent=INDENT,
    )
    stage.gap()
    stage.say(
        "Erasure took nothing out of the log, for there was nobody in it: an auditor can verify it whole. Whoever "
        "keeps a signed head elsewhere would notice if it were ever rewritten."
    )
    stage.facts["log"] = {
        "head": head,
        "checkpoint": signed,
        "operations": operations,
        "ids_in_log": in_log,
        "ids_in_files": in_files,
    }


def _vouched(checkpoint: str) -> str:
    """How many leaves a signed head is about: its second line."""
    return count(int(checkpoint.split("\n")[1]), "leaf", "leaves")


def release(stage: Stage) -> None:
    """Reach by platform, protected, with its entry in the ledger."""
    plan = stage.store.plan_release(stage.shop.reach)
    done = stage.store.release(stage.shop.reach, stage.folder / "reach")
    data = msgspec.json.decode(done.files["data.json"], type=_Data)
    most = max(cell.accounts or 0 for cell in data.cells)
    stage.title("Numbers about many leave the store")
    stage.say(
        "How many customers used each platform to buy something, or to get as far as the cart, in the first half of "
        "2024? Counted are those who consent to `analytics`, a purpose that nobody reads."
    )
    stage.gap()
    stage.out.table(
        (*plan.columns, "accounts", ""),
        [
            (
                *cell.key.values(),
                "too few" if cell.accounts is None else f"{cell.accounts:,}",
                bar(cell.accounts or 0, most),
            )
            for cell in data.cells
        ],
        indent=INDENT,
        right=(len(plan.columns),),
    )
    stage.gap()
    stage.say(
        f"Figures about fewer than {plan.min_accounts} accounts are left out and the others rounded to "
        f"{plan.round_to}s; each is off by {plan.largest_error} at most. The answer is in the ledger: asked again, it "
        f"is the same bytes. Files: {', '.join(sorted(done.files))}."
    )
    stage.facts["release"] = {"columns": data.columns, "cells": data.cells}


class _Cell(msgspec.Struct, frozen=True):
    key: dict[str, str]
    accounts: int | None


class _Data(msgspec.Struct, frozen=True):
    columns: list[str]
    cells: list[_Cell]
