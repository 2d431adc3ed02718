"""What can go wrong, in families, each with its exit code for the command line.

Every error derives from :class:`ConsentProfileError`. A message says what is wrong and what to do next.
No message, argument or attribute ever holds personal data or secrets: not an account id, not a field's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong in a declared file: where it stands, and what is expected there."""

    place: str
    expected: str

    def __str__(self) -> str:
        return f"{self.place}: {self.expected}"


class ConsentProfileError(Exception):
    """The base of every error of this package."""

    exit_code: ClassVar[int] = 70


class FaultsError(ConsentProfileError):
    """A declared file (policy, mapping, release specification) was refused; :attr:`faults` lists every reason."""

    what: ClassVar[str] = "file"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"the {self.what} has {count}:\n{lines}")


# ---- what the caller handed in ------------------------------------------------------------------


class InputError(ConsentProfileError):
    """A value that the caller handed in was refused; nothing was changed."""

    exit_code = 3


class InvalidAccount(InputError):
    """An account id that cannot be one."""


class InvalidActor(InputError):
    """An actor that is not ``role:name``, or whose role the policy does not know."""


class InvalidDecision(InputError):
    """A consent decision that cannot be taken as it stands: wrong notice, undeclared purpose, a time to come."""


class InvalidEvent(InputError):
    """An event that is malformed, undeclared or from the future.

    ``index`` is its place in the iterable given to ``record_many`` (0 for a single ``record``),
    ``committed`` the number of events before it that are already recorded.
    """

    def __init__(self, message: str, *, index: int = 0, committed: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.committed = committed


class InvalidMapping(FaultsError, InputError):
    """A mapping for ``import`` that cannot be used."""

    what = "mapping"
    exit_code = 3


class UnreadableInput(InputError):
    """An input file that cannot be read as what it claims to be."""


# ---- the policy ---------------------------------------------------------------------------------


class PolicyError(ConsentProfileError):
    """The policy stands in the way."""

    exit_code = 4


class InvalidPolicy(FaultsError, PolicyError):
    """A policy file that was refused as a whole."""

    what = "policy"
    exit_code = 4


class PolicyChanged(PolicyError):
    """The policy is not the one in force: a file differs from it, or it has changed since the store was opened."""


class PolicyRefused(FaultsError, PolicyError):
    """A change of the policy that the store cannot accept; :attr:`faults` say why, each at its place."""

    what = "change of the policy"
    exit_code = 4


# ---- keys ---------------------------------------------------------------------------------------


class KeyFault(ConsentProfileError):
    """A key is missing, wrong or gone."""

    exit_code = 5


class KeyUnavailable(KeyFault):
    """The key provider has no usable secret: missing file, loose permissions, unset variable."""


class WrongKey(KeyFault):
    """The secret is well formed, but it is not this store's."""


class KeysRotated(KeyFault):
    """The keys were rotated: what this was opened with opens nothing any more."""


class DestroyedKey(KeyFault):
    """The record was sealed under a key that has been destroyed. It cannot be opened by anyone."""


# ---- integrity ----------------------------------------------------------------------------------


class IntegrityFault(ConsentProfileError):
    """Something in the store is not as it was written."""

    exit_code = 6


class CorruptRecord(IntegrityFault):
    """A record does not authenticate under the key that it names."""


class QuarantinedRecord(IntegrityFault):
    """A record names a slot or a generation that the keyring has not reached: it is from elsewhere."""


class BrokenLog(IntegrityFault):
    """The audit log does not agree with itself. ``sequence`` is the first leaf that is wrong."""

    def __init__(self, message: str, *, sequence: int) -> None:
        super().__init__(message)
        self.sequence = sequence


class ProofRefused(IntegrityFault):
    """A note, checkpoint, proof, tile or signature of the audit log does not hold, or is not written canonically."""


# ---- access -------------------------------------------------------------------------------------


class AccessDenied(ConsentProfileError):
    """This actor, or the key at hand, may not do this. A refused reading is in the audit log."""

    exit_code = 7


class UndeclaredPurpose(AccessDenied):
    """The policy declares no such purpose."""


class RoleNotAllowed(AccessDenied):
    """The purpose is declared, but not for this role."""


class BeyondCapability(AccessDenied):
    """The key at hand is a capability: it does not hold the key of this purpose, or the one that this act needs."""


# ---- the store as a place -----------------------------------------------------------------------


class StoreFault(ConsentProfileError):
    """The store cannot be used as asked."""

    exit_code = 8


class StoreNotFound(StoreFault):
    """There is no store at this path, or a part of it is missing."""


class StoreExists(StoreFault):
    """There is a store at this path already."""


class StoreBusy(StoreFault):
    """Another process held a lock for longer than the settable wait."""


class StoreClosed(StoreFault):
    """The store was closed before this call."""


class NewerFormat(StoreFault):
    """The store was written by a newer version of this package."""


class OlderFormat(StoreFault):
    """The store is of a format that ended; only the version that made it reads it."""


class UnsupportedEnvironment(StoreFault):
    """This machine lacks something that the store cannot do without."""


class RestoreRefused(StoreFault):
    """A restore would undo or lose more than it saves; nothing was changed."""


class DestructionStopped(StoreFault):
    """Unattended destruction stopped itself, because what it was about to do is implausible."""


# ---- releases -----------------------------------------------------------------------------------


class ReleaseError(ConsentProfileError):
    """A release was refused; nothing left the store."""

    exit_code = 9


class InvalidSpec(FaultsError, ReleaseError):
    """A release specification that cannot be used."""

    what = "release specification"
    exit_code = 9


class ReleaseRefused(ReleaseError):
    """The specification is well formed, but the policy or the ledger does not allow it."""
