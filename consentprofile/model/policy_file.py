"""Read a policy from TOML, and refuse it as a whole, with every fault at its place, unless all of it makes sense.

The keys are those of ``docs/policy.md``. What is refused is what could not mean anything (a purpose that keeps a field
nobody declared) or would silently mean less than it says (a misspelt rule). What is merely unusual is accepted.

A part that is wrong leaves a placeholder behind, so that reading goes on and one fault does not hide the next; names
count as declared even where their declaration is wrong, so that one fault does not cause others. A policy is handed
out only if no fault was noted, so no placeholder ever leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, cast

import msgspec

from consentprofile.errors import Fault, InvalidPolicy
from consentprofile.model.policy import (
    ANY,
    BUILT_IN_ROLES,
    Collected,
    Controller,
    EnumField,
    Kind,
    Notice,
    Policy,
    Precision,
    Purpose,
    ReleaseRules,
    Sensitive,
    Suppression,
)
from consentprofile.model.policy_fields import Fields, read_fields, read_kinds
from consentprofile.model.toml_reader import NAME, NAME_WORDS, Reader, did_you_mean, quoted

FORMAT: Final = 1
"""The format of policy files that this version reads."""

MAXIMUM_ROLES: Final = 64
MAXIMUM_NOTICES: Final = 256
MAXIMUM_PURPOSES: Final = 64
MAXIMUM_REASONS: Final = 64
MAXIMUM_KEEP: Final = 1_000_000
FEWEST_ACCOUNTS: Final = 3
"""No policy may let an aggregate about fewer accounts out."""
DEFAULT_GRACE_DAYS: Final = 7
PRECISIONS: Final = ("second", "hour", "day", "month")

_LARGEST: Final = 1_000_000
_LARGEST_DELTA: Final = 0.001
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_ADDRESS: Final = re.compile(r"\S+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TERM: Final = re.compile(r"[a-z][a-z0-9-]*:[A-Za-z][A-Za-z0-9_-]*")
_PHRASE: Final = re.compile(r"\S(.*\S)?")


def read_policy(text: str, name: str) -> Policy:
    """The policy that ``text`` declares; ``name`` is what messages call the file.

    Raises :class:`InvalidPolicy` with every fault, each with its place (``policy.toml: purposes.support.retention``).
    A text that is not TOML, or larger than 1 MiB, has that one fault.
    """
    faults: list[Fault] = []
    top = Reader.of_text(text, name, faults)
    if top is None:
        raise InvalidPolicy(faults)
    policy = _policy(top)
    if faults:
        raise InvalidPolicy(faults)
    return policy


def _policy(top: Reader) -> Policy:
    top.integer("format", "the format of this file", minimum=FORMAT, maximum=FORMAT)
    time_zone = top.time_zone("time_zone") or ""
    roles = _roles(top)
    controller = _controller(top)
    notices = _notices(top)
    fields = read_fields(top)
    kinds = read_kinds(top, fields)
    purposes = _purposes(top, _Declared(roles, notices, fields, kinds))
    suppressions = _suppressions(top, purposes)
    top.done()
    return Policy(
        format=FORMAT,
        time_zone=time_zone,
        roles=roles or (),
        controller=controller,
        notice_list=notices,
        field_list=tuple(field for field in fields.values() if field is not None),
        kind_list=tuple(kinds.values()),
        purpose_list=tuple(purpose for purpose in purposes.values() if purpose is not None),
        suppression_list=suppressions,
    )


# ---- who, where, under which notice -------------------------------------------------------------


def _roles(top: Reader) -> tuple[str, ...] | None:
    """The declared roles; None where they cannot be read."""
    if not top.has("roles"):
        top.know("roles")
        return ()
    roles = top.texts("roles", "a list of role names", empty=True)
    top.at_most("roles", len(roles or ()), MAXIMUM_ROLES, "roles")
    for role in roles or ():
        if role in BUILT_IN_ROLES:
            top.fault("roles", f"{quoted(role)} always exists and is not declared")
        elif not NAME.fullmatch(role):
            top.fault("roles", f"{quoted(role)}: expected {NAME_WORDS}")
    return roles


def _controller(top: Reader) -> Controller:
    table = top.table("controller")
    if table is None:
        return Controller(name="", contact="", jurisdiction="")
    controller = Controller(
        name=table.matching("name", _PHRASE, "the name of who decides, at most 200 characters", maximum=200) or "",
        contact=table.matching("contact", _PHRASE, "where people can write to, at most 200 characters", maximum=200)
        or "",
        jurisdiction=table.matching("jurisdiction", _JURISDICTION, "a country code, such as 'DE' or 'US-CA'") or "",
    )
    table.done()
    return controller


def _notices(top: Reader) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    tables = top.tables("notices", "at least one [[notices]] table")
    top.at_most("notices", len(tables), MAXIMUM_NOTICES, "notices")
    seen: set[str] = set()
    for table in tables:
        version = table.matching("version", _VERSION, "a version, such as '2024-01', at most 64 characters") or ""
        notices.append(
            Notice(
                version=version,
                language=table.matching("language", _LANGUAGE, "a language tag, such as 'en' or 'de-AT'") or "",
                address=table.matching("address", _ADDRESS, "the address of the text, without spaces") or "",
                sha256=table.matching("sha256", _SHA256, "the SHA-256 of the text, 64 hex digits in lowercase") or "",
            )
        )
        table.done()
        if version and version in seen:
            table.fault("version", f"{quoted(version)} is declared twice")
        seen.add(version)
    return tuple(notices)


# ---- why, and what follows from it --------------------------------------------------------------


class _Declared:
    """What a purpose may refer to. None stands for a list that could not be read: anything may be in it."""

    def __init__(
        self, roles: tuple[str, ...] | None, notices: Iterable[Notice], fields: Fields, kinds: Mapping[str, Kind]
    ) -> None:
        versions = [notice.version for notice in notices]
        self.roles = None if roles is None else (*BUILT_IN_ROLES, *roles)
        self.versions = versions if all(versions) and versions else None
        self.fields = fields
        self.kinds = kinds
        self.carried = frozenset(field for kind in kinds.values() for field in kind.fields)


def _purposes(top: Reader, declared: _Declared) -> dict[str, Purpose | None]:
    """The purposes by name; None where one is not even a table."""
    table = top.table("purposes", "at least one [purposes.<name>] table")
    if table is None:
        return {}
    purposes: dict[str, Purpose | None] = {}
    for name in table:
        table.named(name)
        declaration = table.table(name, "a table of rules")
        purposes[name] = None if declaration is None else _purpose(declaration, name, declared)
    if not purposes:
        top.fault("purposes", "expected at least one [purposes.<name>] table")
    top.at_most("purposes", len(purposes), MAXIMUM_PURPOSES, "purposes")
    return purposes


def _purpose(table: Reader, name: str, declared: _Declared) -> Purpose:
    title = table.matching("title", _PHRASE, "the purpose in plain words, at most 200 characters", maximum=200)
    dpv = table.matching("dpv", _TERM, "a term of the Data Privacy Vocabulary, such as 'dpv:CustomerCare'")
    notice = table.text("notice", "the version of a declared notice")
    if notice is not None and declared.versions is not None:
        table.each_declared("notice", [notice], declared.versions, "notice")
    lifetime = table.days("lifetime")
    retention = table.months("retention")
    evidence = table.months("evidence")
    readers = table.texts("readers", "a list of roles, possibly empty", empty=True) or ()
    if declared.roles is not None:
        table.each_declared("readers", readers, declared.roles, "role")
    precision = table.choice("precision", PRECISIONS)
    keep = table.integer("keep", "the number of events kept of an account", minimum=1, maximum=MAXIMUM_KEEP)
    grace = table.days("grace", minimum=0, maximum=365, optional=True)
    purpose = Purpose(
        name=name,
        title=title or "",
        dpv=dpv or "",
        notice=notice or "",
        lifetime_days=lifetime or 0,
        retention_months=retention or 0,
        evidence_months=evidence or 0,
        readers=readers,
        precision=cast(Precision, precision),
        keep=keep or 0,
        collect=_collect(table, declared),
        sensitive=_sensitive(table, declared.fields),
        release=_release(table),
        gpc_objects=table.boolean("gpc_objects", "whether Global Privacy Control is an objection to this purpose"),
        grace_days=DEFAULT_GRACE_DAYS if grace is None else grace,
    )
    table.done()
    return purpose


def _collect(table: Reader, declared: _Declared) -> tuple[Collected, ...]:
    collect = table.table("collect", "the fields kept of each kind, such as { purchase = ['total'] }")
    if collect is None:
        return ()
    entries = []
    for kind in collect:
        fields = collect.texts(kind, "a list of fields, possibly empty", empty=True) or ()
        collect.each_declared(kind, fields, declared.fields, "field")
        if not declared.kinds:
            continue  # a fault already, at "kinds"
        if kind != ANY and kind not in declared.kinds:
            near = did_you_mean(kind, declared.kinds) or "; '*' stands for every kind that is not named"
            collect.fault(kind, f"is not a declared kind{near}")
            continue
        carried: Collection[str] = declared.carried if kind == ANY else declared.kinds[kind].fields
        for field in fields:
            if field in declared.fields and field not in carried:
                collect.fault(kind, f"{quoted(field)} is not a field of {'any' if kind == ANY else 'this'} kind")
        entries.append(Collected(kind=kind, fields=fields))
    if not list(collect):
        table.fault("collect", "expected at least one kind")
    return tuple(entries)


def _sensitive(table: Reader, fields: Fields) -> tuple[Sensitive, ...]:
    named = table.texts("sensitive", "a list such as ['topic.bereavement']", optional=True, empty=True) or ()
    declared = {
        f"{field.name}.{value}": Sensitive(field=field.name, value=value)
        for field in fields.values()
        if isinstance(field, EnumField)
        for value in field.sensitive
    }
    unreadable = {name for name, field in fields.items() if field is None}
    for entry in named:
        if entry not in declared and entry.partition(".")[0] not in unreadable:
            near = did_you_mean(entry, declared)
            table.fault("sensitive", f"{quoted(entry)} is not declared as sensitive{near}")
    return tuple(declared[entry] for entry in named if entry in declared)


def _release(table: Reader) -> ReleaseRules | None:
    release = table.table("release", "a table of rules", optional=True)
    if release is None:
        return None
    fewest = release.integer(
        "min_accounts", "the fewest accounts behind a number", minimum=FEWEST_ACCOUNTS, maximum=_LARGEST
    )
    step = release.integer("round_to", "what numbers are rounded to", minimum=1, maximum=_LARGEST)
    epsilon = release.number("epsilon_per_year", "the privacy budget of a year", optional=True)
    rho, delta = _rho_and_delta(release)
    rules = ReleaseRules(
        min_accounts=fewest or 0,
        round_to=step or 0,
        cadence_days=release.days("cadence") or 0,
        epsilon_per_year=epsilon,
        rho_per_year=rho or msgspec.UNSET,
        delta_per_year=delta or msgspec.UNSET,
        approval=release.boolean("approval", "whether an officer approves each release first") or msgspec.UNSET,
    )
    release.done()
    return rules


def _rho_and_delta(release: Reader) -> tuple[float | None, float | None]:
    """The rest of a privacy budget: kept in rho instead of epsilon, and its delta."""
    rho = release.number("rho_per_year", "the privacy budget of a year, in zCDP", optional=True)
    delta = release.number("delta_per_year", "how much of a year's releases may fail their guarantee", optional=True)
    if release.has("rho_per_year") and release.has("epsilon_per_year"):
        release.fault("rho_per_year", "is given beside epsilon_per_year; a budget is kept in one of them")
    if release.has("delta_per_year") and not (release.has("rho_per_year") or release.has("epsilon_per_year")):
        release.fault("delta_per_year", "belongs to a budget; expected epsilon_per_year or rho_per_year beside it")
    if delta is not None and delta > _LARGEST_DELTA:
        release.fault("delta_per_year", f"expected at most {_LARGEST_DELTA}")
    return rho, delta


def _suppressions(top: Reader, purposes: Collection[str]) -> tuple[Suppression, ...]:
    table = top.table("suppression", "a table of reasons", optional=True)
    if table is None:
        return ()
    suppressions = []
    for reason in table:
        table.named(reason)
        named = table.texts(reason, "a list of purposes, or ['*'] for all") or ()
        if ANY in named and len(named) > 1:
            table.fault(reason, "expected '*' alone, or purposes by name")
        if purposes:  # without any, that is the fault
            table.each_declared(reason, [name for name in named if name != ANY], purposes, "purpose")
        suppressions.append(Suppression(reason=reason, purposes=named))
    top.at_most("suppression", len(suppressions), MAXIMUM_REASONS, "reasons")
    return tuple(suppressions)
