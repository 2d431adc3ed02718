"""What releases leave in the log and the actor book: who planned, paid for, released or looked at an aggregate."""

from __future__ import annotations

from consentprofile.errors import RoleNotAllowed
from consentprofile.model.ids import Actor, parse_actor
from consentprofile.tlog.leaf import Draft, Fact, Operation
from consentprofile.usecases.session import Session


def asker(session: Session, actor: str) -> Actor:
    """Who asks. Raises :class:`InvalidActor`, and :class:`RoleNotAllowed` for a role that the policy does not know."""
    who = parse_actor(actor)
    if who.role not in session.policy.all_roles:
        raise RoleNotAllowed("the policy knows no such role; `policy show` lists the roles")
    return who


def note(
    session: Session, operation: Operation, now: int, purpose: str, who: Actor, facts: tuple[Fact, ...] = ()
) -> None:
    """The leaf, with the role, and the sealed entry of the actor book beside it, inside the caller's transaction."""
    log = session.ground.log
    sequence = log.append((Draft(operation, now, purpose, who.role, facts),), session.policy.digest)
    log.note_actors([(sequence, session.actor_entry(sequence, now, who, operation, purpose, ""))])
