"""Known answers: what the store says of the example shop equals what plain Python says of the same files.

Nothing of the package computes the expectation: the consents are applied row by row, the events are counted from the
CSV, and the rules are written down here once more, as docs/profile.md and docs/releases.md state them.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

import consentprofile as cp
from consentprofile.usecases import released

ROOT: Final = Path(__file__).resolve().parents[1]
SHOP: Final = ROOT / "examples" / "shop"
DATA: Final = ROOT / "examples" / "data" / "ecom.csv.gz"
PRESENT: Final = datetime(2024, 7, 1, tzinfo=UTC)
LATER: Final = datetime(2024, 9, 15, tzinfo=UTC)

READERS: Final = {"support": "support-agent:1", "marketing": "marketer:1"}
GAP: Final = timedelta(minutes=30)


class Told(NamedTuple):
    """One row of the data."""

    at: datetime
    kind: str
    platform: str
    acquisition: str


# ---- the same facts in plain Python -------------------------------------------------------------


@cache
def told() -> Mapping[str, Sequence[Told]]:
    """The events of each account, in order of time."""
    found: dict[str, list[Told]] = defaultdict(list)
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            found[row["user_id"]].append(Told(at, row["event"], row["platform"], row["acquisition_channel"]))
    return {account: sorted(events) for account, events in found.items()}


@cache
def consented() -> Mapping[tuple[str, str], datetime]:
    """Since when each (account, purpose) is consented to; only those that have not been withdrawn."""
    since: dict[tuple[str, str], datetime] = {}
    with (SHOP / "consents.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            for purpose in row["purposes"].split():
                if row["act"] == "give":
                    since[row["account"], purpose] = datetime.fromisoformat(row["at"])
                else:
                    since.pop((row["account"], purpose), None)
    return since


@cache
def declared() -> Mapping[str, Mapping[str, object]]:
    """The purposes of the policy file."""
    purposes: Mapping[str, Mapping[str, object]] = tomllib.loads((SHOP / "policy.toml").read_text("utf-8"))["purposes"]
    return purposes


def months_kept(purpose: str) -> int:
    return int(str(declared()[purpose]["retention"]).split()[0])


def kept(account: str, purpose: str, now: datetime) -> list[Told] | None:
    """What the purpose holds of the account: since consent, of the kinds it collects, within whole months."""
    since = consented().get((account, purpose))
    if since is None:
        return None
    collect = declared()[purpose]["collect"]
    assert isinstance(collect, dict)
    oldest = now.year * 12 + now.month - months_kept(purpose)
    return [
        event
        for event in told().get(account, ())
        if event.at >= since
        and (event.kind in collect or "*" in collect)
        and event.at.year * 12 + event.at.month >= oldest
    ]


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def expected(account: str, purpose: str, now: datetime = PRESENT) -> dict[str, object] | None:
    """The profile as JSON, computed from the files alone."""
    events = kept(account, purpose, now)
    if events is None:
        return None
    exact = purpose == "support"  # second; marketing keeps days, and of these events the acquisition only
    times = [event.at if exact else event.at.replace(hour=0, minute=0, second=0) for event in events]
    days = sorted({event.at.date() for event in events})
    return {
        "purpose": purpose,
        "precision": "second" if exact else "day",
        "time_zone": "UTC",
        "events": len(events),
        "first_seen": stamp(times[0]) if times else None,
        "last_seen": stamp(times[-1]) if times else None,
        "active_days": len(days),
        "kinds": dict(Counter(event.kind for event in events)),
        "channels": {"web": len(events)} if exact and events else {},
        "platforms": dict(Counter(event.platform for event in events)) if exact else {},
        "devices": {},
        "sessions": sessions(times) if exact else None,
        **path(events if exact else []),
        "interests": {} if exact else interests(events),
        "preferences": {},
        "last": {} if exact else last(events),
    }


def sessions(times: Sequence[datetime]) -> dict[str, int]:
    lengths: list[int] = []
    start = None
    for before, at in pairwise([None, *times]):
        assert at is not None
        if before is None or at - before > GAP:
            lengths.append(0)
            start = at
        assert start is not None
        lengths[-1] = int((at - start).total_seconds())
    return {"count": len(lengths), "total_seconds": sum(lengths), "longest_seconds": max(lengths, default=0)}


def path(events: Sequence[Told]) -> dict[str, object]:
    """The platforms of each second, repeats of the step before left out, the newest hundred."""
    by_second: dict[datetime, set[str]] = defaultdict(set)
    for event in events:
        by_second[event.at].add(event.platform)
    steps: list[list[str]] = []
    for at in sorted(by_second):
        if not steps or steps[-1] != sorted(by_second[at]):
            steps.append(sorted(by_second[at]))
    shown = [[{"channel": "web", "platform": platform} for platform in step] for step in steps[-100:]]
    return {"path": shown, "path_cut": max(0, len(steps) - 100)}


def interests(events: Sequence[Told]) -> dict[str, object]:
    days: dict[str, set[date]] = defaultdict(set)
    for event in events:
        days[event.acquisition].add(event.at.date())
    return {"acquisition": {value: len(found) for value, found in days.items()}} if days else {}


def last(events: Sequence[Told]) -> dict[str, object]:
    """The acquisition of the last day: which came last within it is not known, so it counts where all agree."""
    if not events:
        return {}
    day = events[-1].at.date()
    (value, *others) = {event.acquisition for event in events if event.at.date() == day}
    return {"acquisition": {"value": None if others else value, "on": day.isoformat()}}


# ---- the store ----------------------------------------------------------------------------------


class Imported(NamedTuple):
    """A store of the shop, and what its imports said."""

    folder: Path
    consents: cp.Imported
    events: cp.Imported

    def open(self, now: datetime = PRESENT) -> cp.Store:
        return cp.Store.open(self.folder / "store", key=cp.KeyFile(self.folder / "key"), clock=lambda: now,
                             durability="relaxed")  # fmt: skip


def import_shop(folder: Path, data: Path) -> Imported:
    with cp.Store.create(
        folder / "store",
        policy=SHOP / "policy.toml",
        key=cp.KeyFile(folder / "key"),
        clock=lambda: PRESENT,
        durability="relaxed",
    ) as store:
        consents = store.import_consents(SHOP / "consents.csv")
        events = store.import_events(data, mapping=SHOP / "mapping.toml")
    return Imported(folder, consents, events)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The shop as of 1 July 2024."""
    return import_shop(tmp_path_factory.mktemp("shop"), DATA)


@pytest.fixture
def copy(shop: Imported, tmp_path: Path) -> Imported:
    """A copy of it, for tests that change something."""
    shutil.copytree(shop.folder, tmp_path / "copy")
    return shop._replace(folder=tmp_path / "copy")


def profiles(store: cp.Store, purpose: str, accounts: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Each account and its profile as JSON, None where there is none."""
    with store.view(purpose, READERS[purpose], reason="known answers") as view:
        for account in accounts:
            yield account, json.loads(msgspec.json.encode(view.profile(account)))


def everybody() -> list[str]:
    return [*told(), "nobody"]


@pytest.mark.parametrize("purpose", READERS)
def test_every_profile_is_what_the_files_say(shop: Imported, purpose: str) -> None:
    """All 600 accounts: those that consented, refused, withdrew or never answered, and one that was never there."""
    with shop.open() as store:
        found = dict(profiles(store, purpose, everybody()))
    assert found == {account: expected(account, purpose) for account in everybody()}
    absent = sum(profile is None for profile in found.values())
    assert 0 < absent < len(found)


@pytest.mark.parametrize("purpose", READERS)
def test_what_is_past_retention_is_not_read_any_more(copy: Imported, purpose: str) -> None:
    """In September marketing has let go of January and February; support keeps twelve months."""
    sample = everybody()[::5]
    with copy.open(LATER) as store:
        found = dict(profiles(store, purpose, sample))
    assert found == {account: expected(account, purpose, LATER) for account in sample}
    shrunk = [account for account in sample if kept(account, purpose, LATER) != kept(account, purpose, PRESENT)]
    assert bool(shrunk) == (purpose == "marketing")


def test_events_are_those_of_the_file_since_consent(shop: Imported) -> None:
    with shop.open() as store, store.view("support", "support-agent:1") as view:
        for account in everybody()[::7]:
            events = view.events(account)
            wanted = kept(account, "support", PRESENT)
            if events is None or wanted is None:
                assert events is None
                assert wanted is None
                continue
            assert sorted((stored.at, stored.kind, stored.fields["platform"]) for stored in events) == [
                (event.at, event.kind, event.platform) for event in wanted
            ]
            assert all(set(stored.fields) == {"channel", "platform"} for stored in events)


def test_the_import_counted_every_row_for_every_purpose(shop: Imported) -> None:
    assert (shop.events.rows, shop.events.rejected) == (sum(map(len, told().values())), 0)
    for purpose in declared():
        outcomes = shop.events.outcomes[purpose]
        assert sum(outcomes.values()) == shop.events.rows
        in_force = {account for account, consented_to in consented() if consented_to == purpose}
        recorded = sum(len(kept(account, purpose, PRESENT) or []) for account in in_force)
        assert outcomes[cp.Outcome.RECORDED] == recorded
        outsiders = sum(len(events) for account, events in told().items() if account not in in_force)
        assert outcomes[cp.Outcome.NO_CONSENT] == outsiders


@pytest.mark.parametrize("purpose", ["analytics"])
def test_nobody_reads_profiles_where_the_policy_names_no_reader(shop: Imported, purpose: str) -> None:
    with shop.open() as store:
        for actor in ("support-agent:1", "marketer:1", "app:1", "officer:1"):
            with pytest.raises(cp.RoleNotAllowed), store.view(purpose, actor):
                pytest.fail("the view opened")


def test_importing_twice_changes_nothing(copy: Imported) -> None:
    with copy.open() as store:
        assert store.import_consents(SHOP / "consents.csv").changed == {}
        store.import_events(DATA, mapping=SHOP / "mapping.toml")
        for purpose in READERS:
            assert dict(profiles(store, purpose, everybody())) == {
                account: expected(account, purpose) for account in everybody()
            }


def test_the_order_of_the_rows_makes_no_difference(tmp_path: Path) -> None:
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as rows:
        header, *lines = rows.read().splitlines(keepends=True)
    reversed_file = tmp_path / "reversed.csv"
    reversed_file.write_text(header + "".join(reversed(lines)), encoding="utf-8")
    with import_shop(tmp_path, reversed_file).open() as store:
        for purpose in READERS:
            assert dict(profiles(store, purpose, everybody())) == {
                account: expected(account, purpose) for account in everybody()
            }


# ---- the release --------------------------------------------------------------------------------


def reach() -> dict[str, set[str]]:
    """The accounts behind each platform, as reach.toml asks: in force, since consent, on the way to a purchase."""
    spec = tomllib.loads((SHOP / "reach.toml").read_text("utf-8"))
    cells: dict[str, set[str]] = {"desktop": set(), "mobile": set(), "tablet": set()}
    for account in told():
        for event in kept(account, "analytics", PRESENT) or []:
            if event.kind in spec["where"]["kind"] and spec["from"] <= event.at.date() < spec["until"]:
                cells[event.platform].add(account)
    return cells


def rounded(count: int) -> int | None:
    """docs/releases.md, rules 1 and 3: the policy says at least 10, in steps of 5; ties go down."""
    if count < 10:
        return None
    nearest = min(range(0, count + 10, 5), key=lambda step: (abs(step - count), step))
    return max(nearest, 10)


def test_reach_is_what_the_files_say_exactly_in_the_ledger_and_rounded_in_public(
    copy: Imported, tmp_path: Path
) -> None:
    cells = reach()
    for one, other in (("desktop", "mobile"), ("desktop", "tablet"), ("mobile", "tablet")):
        assert len(cells[one] ^ cells[other]) >= 10  # else the rule about near cells would apply
    with copy.open() as store:
        release = store.release(SHOP / "reach.toml", tmp_path / "release")
        (settled,) = released.earlier(store._session, released.entries(store._session), "analytics")
    assert {cell.key[0]: cell.count for cell in settled.cells} == {
        name: len(members) for name, members in cells.items()
    }
    published = (tmp_path / "release" / "data.csv").read_text("utf-8")
    lines = [f"{name},{rounded(len(members)) or ''}\n" for name, members in cells.items()]
    assert published == "platform,accounts\n" + "".join(lines)
    assert not release.repeated


JOURNEYS: Final = {
    "overlap": 'measure = "overlap"\nof = "platform"\n',
    "funnel": 'measure = "funnel"\nsteps = ["add_to_cart", "purchase"]\nwindow = "366 days"\n',
}


def journeys_in_the_files(measure: str) -> Counter[str]:
    """Overlap: the platforms of each account. Funnel: whether a purchase followed the first thing put in the cart."""
    found: Counter[str] = Counter()
    for account in told():
        events = kept(account, "analytics", PRESENT) or []
        used = {event.platform for event in events}
        carts = [event.at for event in events if event.kind == "add_to_cart"]
        if measure == "overlap" and used:
            found[" + ".join(platform for platform in ("desktop", "mobile", "tablet") if platform in used)] += 1
        if measure == "funnel" and carts:
            bought = any(event.kind == "purchase" and event.at > carts[0] for event in events)
            found["purchase" if bought else "add_to_cart"] += 1
    return found


def test_journeys_of_a_store_are_what_the_files_say(copy: Imported, tmp_path: Path) -> None:
    """tests/release/test_shop.py does so for every measure, without a store."""
    terms = (SHOP / "reach.toml").read_text("utf-8")
    with copy.open() as store:
        for number, (measure, own) in enumerate(JOURNEYS.items(), 1):
            spec = tmp_path / f"{measure}.toml"
            lines = [line for line in terms.splitlines() if not line.startswith(("measure", "by", "where"))]
            spec.write_text(own + "\n".join(lines), encoding="utf-8")
            plan = store.plan_release(spec)
            release = store.release(spec, tmp_path / measure)
            cells = released.settled(store._session, number).cells
            expected = journeys_in_the_files(measure)
            assert {cell.key[0]: cell.count for cell in cells if cell.count} == expected
            assert (plan.cells, plan.cells_per_account, plan.figure) == (len(cells), 1, "accounts")
            assert release.figures.columns[-1] in {"at_least", "reached"}


# ---- given data: session starts of a news portal ------------------------------------------------

CODES: Final = {"1": "desktop", "3": "mobile", "4": "tablet"}
SESSIONS_MAPPING: Final = """\
format = 1
account = "user_id"
kind = { value = "login" }
at = { column = "session_start_ms", format = "unix-milliseconds" }
ignore = ["session_id", "session_size", "environment", "os", "country", "region", "referrer"]

[fields]
channel = { value = "web" }
platform = { column = "device_group", values = { "1" = "desktop", "3" = "mobile", "4" = "tablet" } }
"""


def test_profiles_of_two_hundred_real_users_are_what_the_file_says(given_data: Path, tmp_path: Path) -> None:
    """Those with the most device groups and sessions, so that stitching has something to do."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(given_data / "sessions.csv.gz", "rt", encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            rows[row["user_id"]].append(row)
    sample = sorted(rows, key=lambda user: (-len({row["device_group"] for row in rows[user]}), -len(rows[user]), user))
    sample = sample[:200]
    columns = list(rows[sample[0]][0])
    with (tmp_path / "sessions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(row for user in sample for row in rows[user])
    (tmp_path / "mapping.toml").write_text(SESSIONS_MAPPING, encoding="utf-8")
    since, now = datetime(2017, 10, 3, tzinfo=UTC), datetime(2017, 11, 1, tzinfo=UTC)

    events = {
        user: sorted(
            Told(datetime.fromtimestamp(int(row["session_start_ms"]) // 1000, UTC), "login", CODES[group], "")
            for row in rows[user]
            if (group := row["device_group"]) in CODES
        )
        for user in sample
    }
    unknown = sum(row["device_group"] not in CODES for user in sample for row in rows[user])
    with cp.Store.create(
        tmp_path / "store",
        policy=SHOP / "policy.toml",
        key=cp.KeyFile(tmp_path / "key"),
        clock=lambda: now,
        durability="relaxed",
    ) as store:
        decisions = (
            cp.Decision(account=user, purposes=("support",), notice="2024-01", method="form", at=since)
            for user in sample[:180]
        )
        assert store.give_consents(decisions) == 180
        imported = store.import_events(tmp_path / "sessions.csv", mapping=tmp_path / "mapping.toml")
        assert imported.rejected == unknown
        for user, found in profiles(store, "support", sample):
            seen = [event for event in events[user] if event.at >= since]
            if user not in sample[:180]:
                assert found is None
                continue
            assert isinstance(found, dict)
            times = [event.at for event in seen]
            assert found["events"] == len(seen)
            assert found["first_seen"] == (stamp(times[0]) if times else None)
            assert found["last_seen"] == (stamp(times[-1]) if times else None)
            assert found["active_days"] == len({at.date() for at in times})
            assert found["platforms"] == dict(Counter(event.platform for event in seen))
            assert found["sessions"] == sessions(times)
            assert {key: found[key] for key in ("path", "path_cut")} == path(seen)
