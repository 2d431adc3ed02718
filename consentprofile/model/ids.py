"""The ids that callers hand in: accounts and actors."""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

from consentprofile.errors import InvalidAccount, InvalidActor

MAXIMUM_ID_BYTES: Final = 256

OFFICER: Final = "officer"
"""The role of privacy officers, which is in every policy."""

UNNAMED: Final = "unnamed"
"""The name of an actor where nobody was named."""


def normalize_account(account: str) -> bytes:
    """The normalized id of an account, as UTF-8: Unicode NFC, no case folding.

    Raises :class:`InvalidAccount` for ids of 0 or more than 256 bytes, with control characters, with spaces at an edge,
    or that UTF-8 cannot encode.
    """
    if not isinstance(account, str):
        raise InvalidAccount("an account id is a text")
    if not account.isascii():
        account = unicodedata.normalize("NFC", account)
    try:
        normalized = account.encode()
    except UnicodeEncodeError:
        raise InvalidAccount("an account id must be text that UTF-8 can encode") from None
    if not 0 < len(normalized) <= MAXIMUM_ID_BYTES:
        raise InvalidAccount(f"an account id has 1 to {MAXIMUM_ID_BYTES} bytes of UTF-8")
    if not account.isprintable() and any(unicodedata.category(character) == "Cc" for character in account):
        raise InvalidAccount("an account id has no control characters")
    if account[0].isspace() or account[-1].isspace():
        raise InvalidAccount("an account id has no space at its edges")
    return normalized


class Actor(NamedTuple):
    """Who reads or decides: a role that the policy knows, and a name. It is asserted by the app, not authenticated."""

    role: str
    name: str

    @property
    def is_named(self) -> bool:
        """Whether it says who: not the name that stands where nobody was named."""
        return self.name != UNNAMED

    def is_also(self, other: Actor) -> bool:
        """Whether both go by one name, in whatever roles: upper and lower case, and ways to write a letter, are one."""
        return _plain(self.name) == _plain(other.name)

    def __str__(self) -> str:
        return f"{self.role}:{self.name}"


def parse_actor(text: str) -> Actor:
    """The actor behind ``role:name``. Raises :class:`InvalidActor`."""
    role, colon, name = text.partition(":")
    if not colon or not role or not name or not text.isprintable() or len(text.encode()) > MAXIMUM_ID_BYTES:
        raise InvalidActor("an actor is written role:name, such as support-agent:17")
    return Actor(role, name)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()
