"""The policy as a value: purposes, notices, kinds, fields, vocabularies, retention and release rules.

It is read from TOML by :mod:`consentprofile.model.policy_file`, which refuses whatever does not make sense as a whole;
a :class:`Policy` is therefore always consistent. Order is meaning: stored events name kinds, fields and enum values
by their position, so the digest changes with the order too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from consentprofile import canonical

ANY: Final = "*"
"""In ``collect``: every kind that is not named. In ``suppression``: every purpose."""

BUILT_IN_ROLES: Final = ("app", "officer")
"""The roles that exist in every policy: the app that embeds the SDK, and the privacy officer."""

RESERVED_FIELDS: Final = ("channel", "platform", "device")
"""Fields that profiles and releases give a meaning to: over what, on what, on which one."""

Precision: TypeAlias = Literal["second", "hour", "day", "month"]


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The base of the policy's values."""


# ---- fields -------------------------------------------------------------------------------------


class EnumField(Frozen, frozen=True, tag="enum"):
    """One of a closed vocabulary. ``sensitive`` values make the event exist only for purposes that name them."""

    name: str
    values: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    preference: bool = False


class IntegerField(Frozen, frozen=True, tag="integer"):
    """A whole number, bounds included."""

    name: str
    minimum: int
    maximum: int
    preference: bool = False


class AmountField(Frozen, frozen=True, tag="amount"):
    """An amount of money in minor units of ``currency`` (ISO 4217), from 0 to ``maximum``."""

    name: str
    currency: str
    maximum: int


class BooleanField(Frozen, frozen=True, tag="boolean"):
    """Yes or no."""

    name: str
    preference: bool = False


class TokenField(Frozen, frozen=True, tag="token"):
    """An opaque id, kept only as a keyed digest under the compartment's secret."""

    name: str


Field: TypeAlias = EnumField | IntegerField | AmountField | BooleanField | TokenField


# ---- the rest -----------------------------------------------------------------------------------


class Controller(Frozen, frozen=True):
    """Who decides why data is processed. ``jurisdiction`` is an ISO 3166 code."""

    name: str
    contact: str
    jurisdiction: str


class Notice(Frozen, frozen=True):
    """The text that the person was shown: ``sha256`` (64 hex digits) is of the bytes behind ``address``."""

    version: str
    language: str
    address: str
    sha256: str


class Kind(Frozen, frozen=True):
    """A kind of event, with the fields that it may carry."""

    name: str
    fields: tuple[str, ...]


class ReleaseRules(Frozen, frozen=True):
    """What may leave a purpose in aggregate. ``cadence_days`` lie between two periods of one specification.

    A budget of privacy loss is kept in epsilon or in rho, never in both; ``delta_per_year`` goes with either. Where
    an officer has to approve a release first, ``approval`` is true; it is never false. Those that came later are unset
    where they are not given, so that policies from before keep their text and their digest.
    """

    min_accounts: int
    round_to: int
    cadence_days: int
    epsilon_per_year: float | None = None
    rho_per_year: float | msgspec.UnsetType = msgspec.UNSET
    delta_per_year: float | msgspec.UnsetType = msgspec.UNSET
    approval: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def budget(self) -> tuple[str, float, float] | None:
        """``epsilon`` or ``rho``, how much of it a year, and how much delta; None where nothing may be spent."""
        delta = self.delta_per_year or 0.0
        if self.rho_per_year is not msgspec.UNSET:
            return "rho", self.rho_per_year, delta
        return None if self.epsilon_per_year is None else ("epsilon", self.epsilon_per_year, delta)

    @property
    def asks_approval(self) -> bool:
        """Whether an officer has to approve a release first."""
        return self.approval is True


class Collected(Frozen, frozen=True):
    """The fields that a purpose keeps of events of one kind (or of every other kind: :data:`ANY`)."""

    kind: str
    fields: tuple[str, ...]


class Sensitive(Frozen, frozen=True):
    """A sensitive value that a purpose names, so that events that carry it exist for this purpose."""

    field: str
    value: str


class Purpose(Frozen, frozen=True):
    """Why data is processed, and everything that follows from it. Days are of 24 hours, months are calendar months."""

    name: str
    title: str
    dpv: str
    notice: str
    lifetime_days: int
    retention_months: int
    evidence_months: int
    readers: tuple[str, ...]
    precision: Precision
    keep: int
    collect: tuple[Collected, ...]
    sensitive: tuple[Sensitive, ...] = ()
    release: ReleaseRules | None = None
    gpc_objects: bool = False
    grace_days: int = 7

    def collected(self, kind: str) -> tuple[str, ...] | None:
        """The fields kept of events of ``kind``, or None if the purpose does not collect that kind."""
        fallback = None
        for entry in self.collect:
            if entry.kind == kind:
                return entry.fields
            if entry.kind == ANY:
                fallback = entry.fields
        return fallback


class Suppression(Frozen, frozen=True):
    """A reason, and the purposes that it switches off (``("*",)`` for all)."""

    reason: str
    purposes: tuple[str, ...]


class Policy(Frozen, frozen=True):
    """A whole policy. Lists keep the order of the file; the mappings below find by name."""

    format: int
    time_zone: str
    roles: tuple[str, ...]
    controller: Controller
    notice_list: tuple[Notice, ...]
    field_list: tuple[Field, ...]
    kind_list: tuple[Kind, ...]
    purpose_list: tuple[Purpose, ...]
    suppression_list: tuple[Suppression, ...] = ()

    @cached_property
    def notices(self) -> Mapping[str, Notice]:
        """By version."""
        return MappingProxyType({notice.version: notice for notice in self.notice_list})

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """By name."""
        return MappingProxyType({field.name: field for field in self.field_list})

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """By name."""
        return MappingProxyType({kind.name: kind for kind in self.kind_list})

    @cached_property
    def purposes(self) -> Mapping[str, Purpose]:
        """By name."""
        return MappingProxyType({purpose.name: purpose for purpose in self.purpose_list})

    @cached_property
    def suppressions(self) -> Mapping[str, tuple[str, ...]]:
        """The purposes that each reason switches off, by reason, ``*`` resolved."""
        every = tuple(self.purposes)
        return MappingProxyType(
            {entry.reason: every if entry.purposes == (ANY,) else entry.purposes for entry in self.suppression_list}
        )

    @cached_property
    def all_roles(self) -> frozenset[str]:
        """The declared roles and the built-in ones."""
        return frozenset(self.roles) | frozenset(BUILT_IN_ROLES)

    @cached_property
    def text(self) -> bytes:
        """The canonical JSON of the policy, as the store keeps it."""
        return canonical.json_bytes(self)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of :attr:`text`."""
        return canonical.digest(self.text)

    def declaration(self, purpose: str) -> bytes:
        """The digest of everything that a consent to ``purpose`` was given under: SHA-256 of the canonical JSON of
        the purpose, the notice, the time zone, and the kinds and fields that the purpose collects."""
        declared = self.purposes[purpose]
        kinds = [kind for kind in self.kind_list if declared.collected(kind.name) is not None]
        kept = {name for entry in declared.collect for name in entry.fields} | {s.field for s in declared.sensitive}
        return canonical.digest(
            canonical.json_bytes(
                {
                    "fields": [field for field in self.field_list if field.name in kept],
                    "kinds": kinds,
                    "notice": self.notices[declared.notice],
                    "purpose": declared,
                    "time_zone": self.time_zone,
                }
            )
        )

    @classmethod
    def from_text(cls, text: bytes) -> Policy:
        """The policy whose canonical JSON is ``text``."""
        return msgspec.json.decode(text, type=cls)
