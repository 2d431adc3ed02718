"""Values that do not show themselves: a representation ends up in logs, and personal data must not."""

from __future__ import annotations

import msgspec


class Withheld(msgspec.Struct, frozen=True):
    """The base of values that are personal data: their representations show nothing of what they hold."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, contents withheld>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Nothing either: rich asks for this instead of the representation."""
        return []
