"""What a canonical specification asks for, in a few words: no figure, and nothing about anybody."""

from __future__ import annotations

from datetime import datetime

import msgspec

from consentprofile.errors import CorruptRecord
from consentprofile.release.figures import COMMON


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question under its number: what, by what, of which period (aware UTC, the end excluded), how protected.

    ``terms`` are those of the measure's own, such as the steps of a funnel. ``protection`` is the kind of protection
    that was asked for (with what it costs: ``dp, epsilon 0.5``), ``min_accounts`` its own minimum.
    """

    number: int
    purpose: str
    measure: str
    by: tuple[str, ...]
    since: datetime
    until: datetime
    where: dict[str, tuple[str, ...]]
    terms: dict[str, object]
    protection: str
    min_accounts: int


class Terms(msgspec.Struct, frozen=True):
    """What is read of a canonical specification; ``own`` are the terms of the measure's own."""

    measure: str
    purpose: str
    since: datetime = msgspec.field(name="from")
    until: datetime
    where: dict[str, tuple[str, ...]]
    protection: dict[str, str | int | float]
    by: tuple[str, ...] = ()
    own: dict[str, object] = {}

    @property
    def kind(self) -> str:
        """The kind of protection, with what it costs where it costs anything."""
        costs = [f"{name} {self.protection[name]}" for name in ("epsilon", "rho", "delta") if name in self.protection]
        return ", ".join([str(self.protection["kind"]), *costs])

    @property
    def min_accounts(self) -> int:
        """The fewest accounts behind a figure that it asks for; 0 where it does not say."""
        least = self.protection.get("min_accounts")
        return least if isinstance(least, int) else 0


def terms_of(specification: bytes) -> Terms:
    """The terms of a canonical specification. Raises :class:`CorruptRecord` for what is none."""
    try:
        said = msgspec.json.decode(specification, type=dict[str, object])
        own = {name: said.pop(name) for name in tuple(said) if name not in COMMON}
        return msgspec.convert(said | {"own": own}, Terms)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CorruptRecord("a sealed record holds no specification; run `consentprofile check`") from None
