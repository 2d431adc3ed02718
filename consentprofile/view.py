"""Reading one purpose: :class:`View`, which :meth:`Store.view <consentprofile.client.Store.view>` makes."""

from __future__ import annotations

from consentprofile.model.profile import Profile
from consentprofile.usecases import reading


class View:
    """Read access bound to one purpose and one actor. Made by :meth:`Store.view`."""

    def __init__(self, reader: reading.Reader) -> None:
        self._reader = reader

    @property
    def purpose(self) -> str:
        """The purpose that is read."""
        return self._reader.purpose.name

    def profile(self, account: str) -> Profile | None:
        """The profile of an account, folded from its events.

        None, identically, for unknown, refused, withdrawn, expired, erased and suppressed accounts; an empty profile
        when consent is in force without events. Each call has a leaf, a trail entry and an entry of the actor book,
        committed before anything is opened. Raises :class:`InvalidAccount`. Cost: about 4 microseconds a block.
        """
        return self._reader.profile(account)

    def events(self, account: str) -> list[reading.StoredEvent] | None:
        """The events behind the profile, oldest first; None as for :meth:`profile`."""
        return self._reader.events(account)

    def __repr__(self) -> str:
        return f"<View of {self.purpose!r}>"
