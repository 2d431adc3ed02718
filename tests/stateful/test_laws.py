"""Laws 1 to 4, 6 and 7 against a plain model: whatever people do in whatever order, in two processes, with crashes."""

from __future__ import annotations

from typing import Final, Literal, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.stateful.world import METHOD, REASON, SERVICES, Hand, World
from tests.support.policies import NOTICE, PURPOSES, READERS, SUPERSEDED
from tests.support.stores import DAY, moment

ACCOUNTS: Final = ("canary-ada", "canary-zo\u00eb", "canary-zoe\u0308", "canary-bob")
"""Two of them are one account, written in two ways."""

Given = tuple[str, str, int, str | None, dict[str, str | int]]

accounts = st.sampled_from(ACCOUNTS)
hands = st.sampled_from(cast("list[Hand]", ["here", "there"]))
some_purposes = st.sampled_from(
    [("support",), ("analytics",), ("marketing",), ("support", "marketing"), ("analytics", "support"), PURPOSES]
)
one_purpose = st.sampled_from(PURPOSES)
acts = st.sampled_from(["give", "give", "renew", "refuse", "withdraw", "invalidate"])
steps = st.sampled_from(["noted", "gate passed", "applied", "journalled", "cleared"])
OF_DESTRUCTION: Final = frozenset({"gate passed", "journalled"})
"""Steps of a change that destroys a key, and of no other."""
ago = st.sampled_from([0, 0, 1, 59, 1800, 3600, DAY, 3 * DAY, 12 * DAY, 40 * DAY, -300])
"""Seconds before now; an event may be 300 seconds ahead."""
jumps = st.sampled_from([0, 1, 600, 3600, 7 * 3600, DAY, 5 * DAY, 11 * DAY, 33 * DAY, 210 * DAY, -3000, -DAY])

logins = st.fixed_dictionaries(
    {"channel": st.sampled_from(["web", "app"])},
    optional={
        "platform": st.sampled_from(["desktop", "mobile"]),
        "device": st.sampled_from(["canary-d1", "canary-d2"]),
    },
)
purchases = st.fixed_dictionaries({"total": st.sampled_from([0, 5, 1000])}, optional={"channel": st.just("web")})
chats = st.fixed_dictionaries({"topic": st.sampled_from(["delivery", "bereavement"])})
contents = st.one_of(
    st.tuples(st.just("login"), logins), st.tuples(st.just("purchase"), purchases), st.tuples(st.just("chat"), chats)
)
ids = st.sampled_from([None, None, "canary-e1", "canary-e2", "canary-e3"])


@st.composite
def events(
    draw: st.DrawFn, among: st.SearchStrategy[str] = accounts
) -> tuple[str, str, int, str | None, dict[str, str | int]]:
    """(account, kind, seconds ago, id, fields). Events of one id are of one device: its digest decides no contest."""
    kind, drawn = draw(contents)
    fields: dict[str, str | int] = {**drawn}
    given_id = draw(ids)
    if given_id is not None and "device" in fields:
        fields = {**fields, "device": "canary-d1"}
    return draw(among), kind, draw(ago), given_id, fields


BAD_EVENTS: Final[dict[str, dict[str, object]]] = {
    "an undeclared kind": {"kind": "canary-kind"},
    "an undeclared field": {"fields": {"canary-field": "x"}},
    "a field of another kind": {"fields": {"total": 5}},
    "an undeclared value": {"fields": {"channel": "canary-value"}},
    "a number for a word": {"fields": {"channel": 1}},
    "an empty token": {"fields": {"device": ""}},
    "a long token": {"fields": {"device": "canary" * 50}},
    "an empty id": {"id": ""},
    "a long id": {"id": "canary" * 50},
    "a naive time": {"at": "2024-03-01T12:00:00"},
    "a time to come": {"at": "2044-03-01T12:00:00+00:00"},
    "a time before 1970": {"at": "1969-03-01T12:00:00+00:00"},
    "no account": {"account": ""},
    "a long account": {"account": "canary" * 50},
    "an account with a line in it": {"account": "canary\nada"},
    "an account with a space at its edge": {"account": " canary-ada"},
}
BAD_DECISIONS: Final[dict[str, tuple[dict[str, object], str]]] = {
    "a superseded notice": ({"notice": SUPERSEDED}, "InvalidDecision"),
    "an unknown notice": ({"notice": "canary-notice"}, "InvalidDecision"),
    "no notice": ({"notice": None}, "InvalidDecision"),
    "no method": ({"method": None}, "InvalidDecision"),
    "a method with a line in it": ({"method": "canary\n"}, "InvalidDecision"),
    "no purpose": ({"purposes": []}, "InvalidDecision"),
    "a purpose twice": ({"purposes": ["support", "support"]}, "InvalidDecision"),
    "an undeclared purpose": ({"purposes": ["support", "canary-purpose"]}, "UndeclaredPurpose"),
    "a bad account": ({"account": "canary\u0000"}, "InvalidAccount"),
}
BAD_READS: Final[dict[str, tuple[dict[str, object], str]]] = {
    "an undeclared purpose": ({"purpose": "canary-purpose"}, "UndeclaredPurpose"),
    "a role that may not": ({"actor": "marketer:canary"}, "RoleNotAllowed"),
    "a role that nobody declared": ({"actor": "canary:1"}, "RoleNotAllowed"),
    "an actor without a name": ({"actor": "agent:"}, "InvalidActor"),
    "a bad account": ({"account": "canary\t"}, "InvalidAccount"),
}
REFUSALS: Final = {
    "an undeclared purpose": ("", "agent"),
    "a role that may not": ("support", "marketer"),
    "a role that nobody declared": ("support", ""),
}
"""What the leaf of a refused read says: purpose and role, as far as the policy declares them."""


BEYOND: Final[dict[str, dict[str, object]]] = {
    "reading another purpose": {"do": "profile", "purpose": "marketing", "actor": "marketer:canary"},
    "giving": {"do": "give", "purposes": ["support"], "notice": NOTICE, "method": METHOD},
    "withdrawing": {"do": "withdraw", "purposes": ["support"]},
    "asking what stands": {"do": "consents"},
    "suppressing": {"do": "suppress", "reason": "quiet"},
    "access": {"do": "access"},
    "erasing": {"do": "erase"},
    "retention": {"do": "retention"},
    "verifying": {"do": "verify"},
    "checking": {"do": "check"},
}
"""What a service cannot do with a capability."""


class Laws(RuleBasedStateMachine):
    """What every machine can do, and what holds after each step."""

    @initialize()
    def begin(self) -> None:
        self.world = World()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.finish()
            finally:
                self.world.close()

    @invariant()
    def the_log_tells_all_and_nothing_personal(self) -> None:
        if hasattr(self, "world"):
            self.world.compare_log()

    @rule(hand=hands, account=accounts, purposes=some_purposes)
    def give(self, hand: Hand, account: str, purposes: tuple[str, ...]) -> None:
        self.world.decide(hand, account, purposes, "give")

    @rule(hand=hands, account=accounts, purposes=some_purposes)
    def withdraw(self, hand: Hand, account: str, purposes: tuple[str, ...]) -> None:
        self.world.decide(hand, account, purposes, "withdraw")
        self.world.gone(account, purposes)

    @rule(hand=hands, event=events())
    def record(self, hand: Hand, event: Given) -> None:
        world = self.world
        told = world.answer(hand, {"do": "record", "event": self.told(event)})
        assert [told] == world.model.record([self.exact(event)])

    @rule(hand=hands, account=accounts, purpose=one_purpose)
    def read(self, hand: Hand, account: str, purpose: str) -> None:
        self.world.read(hand, account, purpose)

    @rule(account=accounts, purpose=st.sampled_from(SERVICES["agent"]))
    def a_service_reads(self, account: str, purpose: str) -> None:
        """What everybody sees who may see it."""
        self.world.read("agent", account, purpose)

    @rule(event=events())
    def a_service_records(self, event: Given) -> None:
        """For its purpose alone: the others never hear of it."""
        told = self.world.answer("app", {"do": "record", "event": self.told(event)})
        assert [told] == self.world.model.record([self.exact(event)], SERVICES["app"])

    @rule(account=accounts, act=st.sampled_from(sorted(BEYOND)), role=st.sampled_from(sorted(SERVICES)))
    def a_service_cannot(self, account: str, act: str, role: Literal["agent", "app"]) -> None:
        """Whatever needs another key fails, and changes nothing; a refused reading has its leaf."""
        command = {**BEYOND[act], "account": account, "accounts": [account]}
        self.world.refused(role, command, "BeyondCapability")
        if act == "reading another purpose":
            self.world.model.refuse_read("marketing", "marketer")

    @rule(hand=hands, named=st.lists(accounts | st.just("canary-stranger"), min_size=1, max_size=3))
    def erase(self, hand: Hand, named: list[str]) -> None:
        self.world.erase(hand, named, "canary-request")
        self.world.gone(named[0], PURPOSES)

    @rule(hand=hands, account=accounts, reason=st.sampled_from(["deceased", "quiet"]), lift=st.booleans())
    def suppress(self, hand: Hand, account: str, reason: str, lift: bool) -> None:
        command = {"do": "lift" if lift else "suppress", "account": account, "reason": reason, "actor": "officer:5"}
        changed = self.world.answer(hand, command)
        assert changed == self.world.model.suppress(account, reason, "officer:5", lift=lift)
        for purpose in ("support", "marketing"):
            self.world.read(hand, account, purpose)

    def settle(self, account: str, by: str) -> None:
        """Somebody takes the writer lock."""
        if by == "reopened":
            self.world.reopen()
        self.world.consents("there" if by == "there" else "here", account)

    @rule(hand=st.sampled_from(["here", "there"]), account=accounts, purpose=one_purpose)
    def rotate(self, hand: Literal["here", "there"], account: str, purpose: str) -> None:
        """Nobody sees a difference, but for those who come with the old key."""
        self.world.rotate(hand)
        self.world.read(hand, account, purpose)

    @rule(
        step=st.sampled_from(["noted", "applied", "cleared", "slice"]),
        hand=st.sampled_from(["here", "there"]),
        account=accounts,
        purpose=one_purpose,
    )
    def crash_in_a_rotation(self, step: str, hand: Literal["here", "there"], account: str, purpose: str) -> None:
        """Two epochs stand, and nobody sees a difference, until somebody carries it to its end."""
        self.world.crash_in_rotation(step)
        self.world.read(hand, account, purpose)
        self.world.access("here", account)
        self.world.resume(hand)
        self.world.read(hand, account, purpose)

    @rule(account=accounts)
    def retag(self, account: str) -> None:
        """Nobody sees a difference; those who were erased included."""
        self.world.retag()
        self.world.access("here", account)

    @rule(account=accounts)
    def back_up(self, account: str) -> None:
        """Nobody sees a difference."""
        self.world.back_up()
        self.world.access("here", account)

    @rule(account=accounts)
    def restore(self, account: str) -> None:
        """Yesterday's data with today's keyring: what is gone stays gone, what was given stays given."""
        if self.world.restore():
            self.world.access("here", account)
            for purpose in PURPOSES:
                self.world.read("here", account, purpose)

    @rule(seconds=jumps)
    def time_passes(self, seconds: int) -> None:
        self.world.move_clock(seconds)

    @rule()
    def reopen(self) -> None:
        self.world.reopen()

    def exact(self, event: Given) -> Given:
        """The event at its second."""
        account, kind, seconds, given_id, fields = event
        return account, kind, self.world.model.now - seconds, given_id, fields

    def told(self, event: Given) -> dict[str, object]:
        """The event in a command."""
        account, kind, at, given_id, fields = self.exact(event)
        return {"account": account, "kind": kind, "at": moment(at).isoformat(), "id": given_id, "fields": fields}


class ConsentLaws(Laws):
    """Decisions, suppressions and erasures, with crashes between the steps of pending work."""

    @rule(hand=hands, account=accounts, purposes=some_purposes, act=acts)
    def decide(self, hand: Hand, account: str, purposes: tuple[str, ...], act: str) -> None:
        self.world.decide(hand, account, purposes, act)

    @rule(
        hand=hands,
        batch=st.lists(st.tuples(accounts, some_purposes, acts, st.none() | ago.filter(lambda s: s >= 0)), max_size=5),
    )
    def decide_many(self, hand: Hand, batch: list[tuple[str, tuple[str, ...], str, int | None]]) -> None:
        now, model = self.world.model.now, self.world.model
        ordered = [(a, p, act, None if before is None else now - before) for a, p, act, before in batch]
        decisions = [self.decision_told(*one) for one in ordered]
        changed = self.world.answer(hand, {"do": "decide", "decisions": decisions})
        assert changed == sum(bool(model.decide(*one)) for one in ordered)

    @rule(hand=hands, account=accounts, fault=st.sampled_from(sorted(BAD_DECISIONS)))
    def decide_badly(self, hand: Hand, account: str, fault: str) -> None:
        difference, error = BAD_DECISIONS[fault]
        good = {"account": account, "purposes": ["support"], "notice": NOTICE, "method": METHOD}
        self.world.refused(hand, {"do": "give", **good, **difference}, error)

    @rule(hand=hands, account=accounts, other=accounts)
    def decide_badly_in_a_batch(self, hand: Hand, account: str, other: str) -> None:
        """One bad decision voids its batch."""
        future = self.world.model.now + 1
        batch = [self.decision_told(account, PURPOSES, "withdraw"), self.decision_told(other, PURPOSES, "give", future)]
        self.world.refused(hand, {"do": "decide", "decisions": batch}, "InvalidDecision")

    @rule(hand=hands, account=accounts)
    def consents(self, hand: Hand, account: str) -> None:
        self.world.consents(hand, account)

    @rule(
        step=steps,
        account=accounts,
        purposes=some_purposes,
        act=acts,
        settled_by=st.sampled_from(["here", "there", "reopened"]),
    )
    def crash_in_a_decision(
        self, step: str, account: str, purposes: tuple[str, ...], act: str, settled_by: str
    ) -> None:
        """Whoever comes next carries on: all of the decision stands, once."""
        killed = self.world.crash(step, self.world.decision(account, purposes, act))
        changed = self.world.model.decide(account, purposes, act, role="officer" if act == "invalidate" else "app")
        assert not killed or changed
        self.settle(account, settled_by)
        assert killed or not changed or step in OF_DESTRUCTION

    @rule(step=steps, account=accounts, settled_by=st.sampled_from(["here", "there", "reopened"]))
    def crash_in_an_erasure(self, step: str, account: str, settled_by: str) -> None:
        """Dead keys are dead from the first step on; the rest is done by whoever comes next."""
        killed = self.world.crash(step, {"do": "erase", "accounts": [account], "actor": "officer:5"})
        _, keys = self.world.model.erase([account], "officer:5")
        assert killed == bool(keys)
        self.settle(account, settled_by)
        self.world.gone(account, PURPOSES)

    @rule(step=steps, account=accounts, reason=st.sampled_from(["deceased", "quiet"]), lift=st.booleans())
    def crash_in_a_suppression(self, step: str, account: str, reason: str, lift: bool) -> None:
        do = "lift" if lift else "suppress"
        command = {"do": do, "account": account, "reason": reason, "actor": "officer:5"}
        killed = self.world.crash(step, command)
        changed = self.world.model.suppress(account, reason, "officer:5", lift=lift)
        assert killed == (changed and step not in OF_DESTRUCTION)
        self.settle(account, "here")

    @staticmethod
    def decision_told(account: str, purposes: tuple[str, ...], act: str, at: int | None = None) -> dict[str, object]:
        """A decision in a command."""
        told = None if at is None else moment(at).isoformat()
        notice = NOTICE if act in ("give", "renew", "refuse") else None
        return {"account": account, "purposes": purposes, "act": act, "notice": notice, "method": METHOD, "at": told}


class RecordingLaws(Laws):
    """Events one by one and in batches, good and bad, and everybody who reads them."""

    @initialize(hand=hands, account=accounts)
    def someone_has_agreed(self, hand: Hand, account: str) -> None:
        if not hasattr(self, "world"):
            self.world = World()
        self.world.decide(hand, account, PURPOSES, "give")

    @rule(hand=hands, batch=st.lists(events(), max_size=8), size=st.sampled_from([1, 3, 1000]))
    def record_many(self, hand: Hand, batch: list[Given], size: int) -> None:
        model = self.world.model
        command = {"do": "record_many", "events": [self.told(event) for event in batch], "batch": size}
        exact = [self.exact(event) for event in batch]
        said = self.world.answer(hand, command)
        assert isinstance(said, dict)
        counts: dict[str, dict[str, int]] = {purpose: {} for purpose in PURPOSES}
        for start in range(0, len(exact), size):
            for answer in model.record(exact[start : start + size]):
                for purpose, outcome in answer.items():
                    counts[purpose][outcome] = counts[purpose].get(outcome, 0) + 1
        assert said == {"events": len(batch), "outcomes": counts}

    @rule(hand=hands, do=st.sampled_from(["step", "compact"]), everything=st.booleans())
    def compact(self, hand: Hand, do: str, everything: bool) -> None:
        """Nobody sees a difference."""
        self.world.answer(hand, {"do": do, "everything": everything})

    @rule(hand=hands, account=accounts, seconds=st.sampled_from([0, 20 * DAY, 40 * DAY]))
    def retention(self, hand: Hand, account: str, seconds: int) -> None:
        """What nobody sees any more is destroyed, and nobody sees a difference."""
        self.world.move_clock(seconds)
        self.world.retention(hand)
        self.world.access(hand, account)

    @rule(hand=hands, event=events())
    def narrow(self, hand: Hand, event: Given) -> None:
        """What a policy does not allow any more, nobody records or sees from then on."""
        self.record(hand, event)
        self.world.narrow(hand)
        for purpose in PURPOSES:
            self.world.read(hand, event[0], purpose)

    @rule(
        step=st.sampled_from(["noted", "applied", "journalled", "succeeded", "gate passed", "cleared"]),
        account=accounts,
        seconds=st.sampled_from([20 * DAY, 40 * DAY]),
        settled_by=st.sampled_from(["here", "there", "reopened"]),
    )
    def crash_in_retention(self, step: str, account: str, seconds: int, settled_by: str) -> None:
        """Whoever comes next finds it done, or not begun."""
        self.world.move_clock(seconds)
        killed = self.world.crash(step, {"do": "retention"})
        self.settle(account, settled_by)
        if killed and step != "noted":
            # It is told of in the log before what the settling left there.
            settled = self.world.model.leaves.pop()
            self.world.model.retain()
            self.world.model.leaves.append(settled)
        self.world.access("here", account)
        self.world.retention("there")

    @rule(hand=hands, event=events(), times=st.integers(2, 3), at_once=st.booleans(), other=st.none() | hands)
    def record_again(self, hand: Hand, event: Given, times: int, at_once: bool, other: Hand | None) -> None:
        """The same event, with its id, in one batch or in several, is one event."""
        account, kind, seconds, _, fields = event
        again = (
            account,
            kind,
            seconds,
            "canary-again",
            {**fields, "device": "canary-d1"} if "device" in fields else fields,
        )
        exact, told = self.exact(again), self.told(again)
        batches = [times] if at_once else [1] * times
        for count in batches:
            self.world.answer(other or hand, {"do": "record_many", "events": [told] * count})
            self.world.model.record([exact] * count)
        for purpose in PURPOSES:
            self.world.read(hand, account, purpose)

    @rule(hand=hands, account=accounts, fault=st.sampled_from(sorted(BAD_EVENTS)))
    def record_badly(self, hand: Hand, account: str, fault: str) -> None:
        bad = self.bad(account, fault)
        error = "InvalidAccount" if "account" in BAD_EVENTS[fault] else "InvalidEvent"
        self.world.refused(hand, {"do": "record", "event": bad}, error)

    @rule(
        hand=hands, before=st.lists(events(), max_size=5), account=accounts, fault=st.sampled_from(sorted(BAD_EVENTS))
    )
    def record_badly_in_a_batch(self, hand: Hand, before: list[Given], account: str, fault: str) -> None:
        """A bad event voids its own batch of two; what came before stays."""
        told = [*(self.told(event) for event in before), self.bad(account, fault)]
        exact = [self.exact(event) for event in before]
        said = self.world.refused(hand, {"do": "record_many", "events": told, "batch": 2}, "InvalidEvent")
        committed = len(before) // 2 * 2
        assert (said["index"], said["committed"]) == (len(before), committed)
        for start in range(0, committed, 2):
            self.world.model.record(exact[start : start + 2])

    @rule(hand=hands, account=accounts, fault=st.sampled_from(sorted(BAD_READS)))
    def read_badly(self, hand: Hand, account: str, fault: str) -> None:
        """An error; and a leaf, where somebody was refused who is somebody."""
        difference, error = BAD_READS[fault]
        good = {"purpose": "support", "actor": READERS["support"], "reason": REASON, "account": account}
        self.world.refused(hand, {"do": "profile", **good, **difference}, error)
        if fault in REFUSALS:
            self.world.model.refuse_read(*REFUSALS[fault])

    @rule(hand=hands, account=accounts)
    def access(self, hand: Hand, account: str) -> None:
        self.world.access(hand, account)

    @rule()
    def the_other_process_closes(self) -> None:
        self.world.close_peer()

    @rule(step=st.just("noted"), account=accounts)
    def crash_in_a_withdrawal(self, step: str, account: str) -> None:
        """Nobody reads what a process destroyed that did not live to say so."""
        self.world.crash(step, self.world.decision(account, PURPOSES, "withdraw"))
        self.world.model.decide(account, PURPOSES, "withdraw")
        self.world.gone(account, PURPOSES)

    def bad(self, account: str, fault: str) -> dict[str, object]:
        """An event with one fault."""
        return {**self.told((account, "login", 0, None, {"channel": "web"})), **BAD_EVENTS[fault]}


TestConsentLaws = ConsentLaws.TestCase
TestRecordingLaws = RecordingLaws.TestCase
