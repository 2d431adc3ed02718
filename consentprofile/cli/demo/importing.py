"""The first steps of ``demo``: a policy, people's decisions, and what they did while logged in."""

from __future__ import annotations

from collections import Counter

from consentprofile.cli.demo.stage import INDENT, Stage
from consentprofile.cli.importing import outcome_table, watching
from consentprofile.cli.output import count


def create(stage: Stage) -> None:
    """A store that obeys the shop's policy."""
    stage.create()
    policy = stage.store.policy
    stage.title("A store that obeys a policy")
    stage.say(f"{policy.controller.name} declares why it uses data, and which. Nothing else can be recorded.")
    stage.gap()
    stage.out.table(
        ("purpose", "why", "read by", "kept"),
        [
            (
                purpose.name,
                purpose.title,
                ", ".join(purpose.readers) or "nobody",
                count(purpose.retention_months, "month"),
            )
            for purpose in policy.purpose_list
        ],
        indent=INDENT,
    )
    stage.gap()
    stage.say("The key lies in a file of its own, for its owner alone. Whoever loses it loses everything.")
    stage.facts["purposes"] = list(policy.purposes)


def decide(stage: Stage) -> None:
    """Decisions are imported; each consent makes a key. What they were is counted from the log, which names nobody."""
    with watching(stage.out, "Importing decisions") as progress:
        done = stage.store.import_consents(stage.shop.consents, progress=progress)
    purposes = list(stage.store.policy.purposes)
    told = Counter((leaf.operation, leaf.purpose) for leaf in stage.store.audit.log())
    customers = len(stage.chosen.customers)
    rows = []
    made = destroyed = 0
    for purpose in purposes:
        given, refused, withdrawn = (told[f"consent-{act}", purpose] for act in ("given", "refused", "withdrawn"))
        shares = (given - withdrawn, withdrawn, refused, customers - given - refused)
        rows.append((purpose, *(f"{number:,}" for number in shares)))
        made += given
        destroyed += withdrawn
    stage.title("What people decided")
    stage.say(
        f"{count(done.rows, 'decision')} of {count(customers, 'customer')} are imported. Each purpose is decided by "
        "itself, and silence is not consent."
    )
    stage.gap()
    stage.out.table(
        ("purpose", "in force", "withdrawn", "refused", "no answer"), rows, indent=INDENT, right=range(1, 5)
    )
    stage.gap()
    stage.say(f"**{made:,}** random keys were made, one for each consent; **{destroyed:,}** are destroyed already.")
    stage.facts["decisions"] = {
        "rows": done.rows,
        "customers": customers,
        "keys_made": made,
        "keys_destroyed": destroyed,
    }


def import_events(stage: Stage) -> None:
    """Events are imported, and go where there is consent."""
    with watching(stage.out, "Importing events") as progress:
        done = stage.store.import_events(stage.shop.events, mapping=stage.shop.mapping, progress=progress)
    blocks = sum(int(leaf.facts["blocks"]) for leaf in stage.store.audit.log() if leaf.operation == "recorded")
    stage.title("What they did while logged in")
    stage.say(
        f"{count(done.rows, 'event')} are imported. Each goes to the purposes that its account consents to, cut down "
        "to the fields and the time precision that the purpose declares, before it is sealed."
    )
    stage.gap()
    outcome_table(stage.out, done.outcomes, indent=INDENT)
    stage.gap()
    stage.say(
        f"What was recorded lies in {count(blocks, 'sealed block')}. Of everything else nothing was kept: without "
        "consent there is no key to seal it with, consent does not reach back in time, and a purpose takes only the "
        "kinds of events that it declares."
    )
    stage.facts["events"] = {"rows": done.rows, "blocks": blocks, "outcomes": done.outcomes}
