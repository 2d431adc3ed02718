"""Read declared TOML files (policy, mapping, release specification) as a whole, every fault at its place.

A :class:`Reader` stands for one table. Each getter returns a value of the right type or None, and notes a fault for
whatever is missing, of the wrong type or out of bounds; :meth:`Reader.done` notes every key that nothing asked for.
So a file is read to its end, and refused with the list of all that is wrong in it.

Faults quote names out of the file: such a file is written by the controller and holds no personal data.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
import zoneinfo
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from consentprofile.errors import Fault

MAXIMUM_BYTES: Final = 1 << 20
"""The largest declared file, in bytes of UTF-8: 1 MiB."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NAME_WORDS: Final = "a name of lowercase letters, digits, _ and -, at most 64 characters"

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_COUNT: Final = re.compile(r"(0|[1-9][0-9]{0,8}) (day|month)s?")
_LONGEST_QUOTE: Final = 64


class Reader:
    """One TOML table at ``place`` (as in ``policy.toml: purposes.support``), noting into the shared ``faults``."""

    def __init__(self, table: Mapping[str, object], place: str, faults: list[Fault], *, root: bool = False) -> None:
        self._table = table
        self._place = place
        self._faults = faults
        self._root = root
        self._asked: set[str] = set()

    @classmethod
    def of_text(cls, text: str, name: str, faults: list[Fault]) -> Reader | None:
        """The top table of a file called ``name``, or None with a fault that gives the line that is not TOML."""
        if len(text) > MAXIMUM_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
            faults.append(Fault(name, "is larger than 1 MiB"))
            return None
        try:
            return cls(tomllib.loads(text), name, faults, root=True)
        except ValueError as error:  # not only TOMLDecodeError: int() refuses numbers of thousands of digits
            faults.append(Fault(name, f"is not TOML: {error}"))
        except RecursionError:
            faults.append(Fault(name, "is nested too deeply"))
        return None

    def place(self, key: str) -> str:
        """Where ``key`` stands, for messages."""
        shown = key if _BARE_KEY.fullmatch(key) else json.dumps(key[:_LONGEST_QUOTE])
        return f"{self._place}: {shown}" if self._root else f"{self._place}.{shown}"

    def fault(self, key: str, expected: str) -> None:
        """Note that ``key`` is not as ``expected``."""
        self._faults.append(Fault(self.place(key), expected))

    def has(self, key: str) -> bool:
        """Whether the key is there. (Asking for it is left to a getter.)"""
        return key in self._table

    def know(self, *keys: str) -> None:
        """Let :meth:`done` take these keys as known, though no getter asks for them in this table."""
        self._asked.update(keys)

    def keys(self) -> Iterator[str]:
        """Every key, in the order of the file."""
        return iter(self._table)

    __iter__ = keys

    def named(self, key: str) -> None:
        """Note a fault if ``key``, which the file itself chose, is not a name as :data:`NAME` has it."""
        if not NAME.fullmatch(key):
            self.fault(key, f"expected {NAME_WORDS}")

    def at_most(self, key: str, count: int, maximum: int, what: str) -> None:
        """Note a fault if there are more than ``maximum`` of ``what`` under ``key``."""
        if count > maximum:
            self.fault(key, f"expected at most {maximum} {what}, found {count}")

    def each_declared(self, key: str, names: Collection[str], declared: Collection[str], what: str) -> None:
        """Note each of ``names``, listed under ``key``, that is not among the ``declared``."""
        for name in names:
            if name not in declared:
                self.fault(key, f"{quoted(name)} is not a declared {what}{did_you_mean(name, declared)}")

    def raw(self, key: str, expected: str, *, optional: bool = False) -> object | None:
        """The value as it stands; a missing one is a fault unless ``optional``."""
        self._asked.add(key)
        if key not in self._table:
            if not optional:
                self.fault(key, f"is missing; expected {expected}")
            return None
        return self._table[key]

    def text(self, key: str, expected: str = "a text", *, optional: bool = False, maximum: int = 2048) -> str | None:
        """A text of 1 to ``maximum`` characters, without control characters."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= maximum or not value.isprintable():
            self.fault(key, f"expected {expected}")
            return None
        return value

    def matching(
        self, key: str, pattern: re.Pattern[str], expected: str, *, optional: bool = False, maximum: int = 2048
    ) -> str | None:
        """A text, as :meth:`text` takes it, of which the whole matches ``pattern``."""
        value = self.text(key, expected, optional=optional, maximum=maximum)
        if value is not None and not pattern.fullmatch(value):
            self.fault(key, f"expected {expected}")
            return None
        return value

    def days(self, key: str, *, minimum: int = 1, maximum: int = 36_500, optional: bool = False) -> int | None:
        """A number of days of 24 hours, written as in ``"30 days"``."""
        return self._count(key, "day", "whole days, such as '30 days'", minimum, maximum, optional)

    def months(self, key: str, *, minimum: int = 1, maximum: int = 1_200, optional: bool = False) -> int | None:
        """A number of calendar months, written as in ``"12 months"``."""
        return self._count(key, "month", "whole calendar months, such as '12 months'", minimum, maximum, optional)

    def _count(self, key: str, unit: str, expected: str, minimum: int, maximum: int, optional: bool) -> int | None:
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        match = _COUNT.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2] != unit:
            self.fault(key, f"expected {expected}")
            return None
        count = int(match[1])
        if not minimum <= count <= maximum:
            self.fault(key, f"expected {expected}, from {minimum} to {maximum}")
            return None
        return count

    def integer(self, key: str, expected: str, *, minimum: int, maximum: int, optional: bool = False) -> int | None:
        """A whole number, bounds included."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            self.fault(key, f"expected {expected}, from {minimum} to {maximum}")
            return None
        return value

    def number(self, key: str, expected: str, *, optional: bool = False) -> float | None:
        """A finite number above zero."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = float("inf")
            if 0 < number < float("inf"):
                return number
        self.fault(key, f"expected {expected}, above zero")
        return None

    def boolean(self, key: str, expected: str, *, default: bool = False) -> bool:
        """True or false; ``default`` where the key is not there."""
        value = self.raw(key, expected, optional=True)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, f"expected {expected}: true or false")
            return default
        return value

    def time_zone(self, key: str, *, optional: bool = False) -> str | None:
        """A name of the time zone database, in its own spelling."""
        expected = "a time zone known on this machine, such as 'UTC' or 'Europe/Berlin'"
        zone = self.text(key, expected, optional=optional)
        # Opening the zone would not do: some systems find names in any case, paths ("right/UTC"), or their local time.
        if zone is not None and zone not in _zones():
            self.fault(key, f"expected {expected}{did_you_mean(zone, sorted(_zones()))}")
            return None
        return zone

    def choice(self, key: str, choices: Collection[str], *, optional: bool = False) -> str | None:
        """One of ``choices``."""
        expected = "one of " + ", ".join(choices)
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if not isinstance(value, str) or value not in choices:
            self.fault(key, f"expected {expected}{did_you_mean(value, choices)}")
            return None
        return value

    def texts(self, key: str, expected: str, *, optional: bool = False, empty: bool = False) -> tuple[str, ...] | None:
        """A list of distinct texts; an ``empty`` one only where allowed."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or not all(isinstance(item, str) and item and item.isprintable() for item in value)
            or (not value and not empty)
        ):
            self.fault(key, f"expected {expected}")
            return None
        seen: set[str] = set()
        for item in value:
            if item in seen:
                self.fault(key, f"names {quoted(item)} twice")
                return None
            seen.add(item)
        return tuple(value)

    def table(self, key: str, expected: str = "a table", *, optional: bool = False) -> Reader | None:
        """The table under ``key``."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fault(key, f"expected {expected}")
            return None
        return Reader(value, self.place(key), self._faults)

    def tables(self, key: str, expected: str = "a list of tables", *, optional: bool = False) -> list[Reader]:
        """The tables under ``key`` (``[[key]]``), each with its place, ``key[1]`` the first; none only if optional."""
        value = self.raw(key, expected, optional=optional)
        if value is None:
            return []
        if (
            not isinstance(value, list)
            or not all(isinstance(item, dict) for item in value)
            or (not value and not optional)
        ):
            self.fault(key, f"expected {expected}")
            return []
        return [Reader(item, f"{self.place(key)}[{number}]", self._faults) for number, item in enumerate(value, 1)]

    def done(self) -> None:
        """Note every key that nothing asked for: a misspelt rule must not be a rule that is silently not there."""
        for key in self._table:
            if key not in self._asked:
                self.fault(key, f"is not known here{did_you_mean(key, sorted(self._asked - self._table.keys()))}")


def quoted(name: str) -> str:
    """A name out of a file, in quotes, cut to 64 characters."""
    return repr(name if len(name) <= _LONGEST_QUOTE else name[: _LONGEST_QUOTE - 1] + "…")


def did_you_mean(word: object, choices: Collection[str]) -> str:
    """``; did you mean 'x'?`` for the nearest of ``choices``, or nothing."""
    if not isinstance(word, str) or len(word) > _LONGEST_QUOTE:
        return ""
    import difflib

    close = difflib.get_close_matches(word, choices, 1)
    return f"; did you mean {quoted(close[0])}?" if close else ""


_MACHINE_ZONES: Final = frozenset({"localtime", "Factory", "posixrules"})
"""Names in the time zone database that mean something else on another machine, or nothing."""


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _MACHINE_ZONES | {"UTC"}
