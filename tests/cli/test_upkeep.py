"""``compact`` and ``retention``: what is over is shown, and destroyed when somebody says so, never by accident."""

from __future__ import annotations

import msgspec

from tests.cli.conftest import ACCOUNT, Shop

MARCH_IS_OVER = ("--as-of", "2024-10-02")
"""Marketing keeps events for six months: in October those of March are over."""


def later(shop: Shop) -> None:
    """Somebody was at work on 2 September and 2 October, so the clock has not jumped."""
    for day in ("2024-09-02", "2024-10-02"):
        shop.done("consent", "show", "nobody", "--as-of", day)


def counts(shop: Shop, *arguments: str) -> dict[str, object]:
    """What a command answers about events."""
    return msgspec.convert(shop.answer(*arguments)["events"], dict[str, object])


def test_compacting_says_what_it_did_and_keeps_every_event(shop: Shop) -> None:
    before = shop.done("access", ACCOUNT, "--out", "before")
    assert shop.done("compact") == "Nothing was due.\n"
    done = shop.answer("compact", "--everything")
    assert list(done) == ["moved", "merged", "sealed", "dropped"]
    assert done["moved"]
    assert "moved" in shop.done("compact", "--everything")
    assert shop.done("access", ACCOUNT, "--out", "before2").replace("before2", "before") == before
    assert shop.answer("check")["clean"] is True


def test_the_plan_says_what_a_run_would_destroy_and_changes_nothing(shop: Shop) -> None:
    later(shop)
    leaves = shop.leaves()
    said = shop.done("retention", "plan", *MARCH_IS_OVER)
    assert said == (
        "Consents that are over, grace included: 0 of 3.\n"
        "Compartments that hold more than they may: 1 of 3 (marketing 1). 1 event to be destroyed; "
        "1 of these compartments would be empty.\n"
    )
    plan = counts(shop, "retention", "plan", *MARCH_IS_OVER)
    assert plan == {
        "due": 1, "emptied": 1, "living": 3, "events": 1, "damaged": 0, "purposes": {"marketing": 1}, "stopped": None,
        "narrowed": 0,
    }  # fmt: skip
    assert shop.leaves() == leaves


def test_a_run_asks_and_destroys_when_told_to(shop: Shop) -> None:
    later(shop)
    leaves = shop.leaves()
    asked = shop.run("retention", "run", *MARCH_IS_OVER)
    assert asked.exit_code == 2
    assert "this cannot be undone" in asked.stderr
    assert shop.leaves() == leaves
    said = shop.done("retention", "run", "--yes", *MARCH_IS_OVER)
    assert "Done. 0 keys of expired consents destroyed, and 1 event in 1 compartment." in said
    assert "make a new one" in said
    assert counts(shop, "retention", "run", *MARCH_IS_OVER) == {
        "resealed": 0, "emptied": 0, "events": 0, "damaged": 0, "purposes": {}, "narrowed": 0,
    }  # fmt: skip
    assert shop.answer("check", *MARCH_IS_OVER)["clean"] is True


def test_a_run_destroys_the_keys_of_consents_that_are_over(shop: Shop) -> None:
    done = shop.answer("retention", "run", "--yes", "--attended", "--as-of", "2026-06-01")
    assert msgspec.convert(done["consents"], dict[str, object])["dying"] == 3
    assert counts(shop, "retention", "plan", "--as-of", "2026-06-01")["living"] == 0


def test_a_run_stops_itself_where_the_clock_has_jumped(shop: Shop) -> None:
    leaves = shop.leaves()
    assert "It would stop itself: the clock is more than 62 days ahead" in shop.done(
        "retention", "plan", "--as-of", "2026-06-01"
    )
    stopped = shop.run("retention", "run", "--yes", "--as-of", "2026-06-01")
    assert stopped.exit_code not in (0, 1, 2)
    assert "run it attended if you mean it" in stopped.stderr
    assert shop.leaves() == leaves
