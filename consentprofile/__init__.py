"""consentprofile: consent is the key.

An embedded, encrypted store for explicitly consented, first-party events of logged-in accounts. Giving consent for a
purpose mints a random data key for that account and purpose; withdrawing it destroys the key.
"""

import importlib
from typing import TYPE_CHECKING

from consentprofile.audit import Audit, Certificate, Statement, open_certificate, reference_matches
from consentprofile.care import examine, recover_key
from consentprofile.client import Store
from consentprofile.crypto.capability import Capability
from consentprofile.crypto.providers import EnvKey, KeyFile, KeyProvider, Passphrase, new_key_text
from consentprofile.errors import (
    AccessDenied,
    BeyondCapability,
    BrokenLog,
    ConsentProfileError,
    CorruptRecord,
    DestroyedKey,
    DestructionStopped,
    Fault,
    InputError,
    IntegrityFault,
    InvalidAccount,
    InvalidActor,
    InvalidDecision,
    InvalidEvent,
    InvalidMapping,
    InvalidPolicy,
    InvalidSpec,
    KeyFault,
    KeysRotated,
    KeyUnavailable,
    NewerFormat,
    OlderFormat,
    PolicyChanged,
    PolicyError,
    PolicyRefused,
    ProofRefused,
    QuarantinedRecord,
    ReleaseError,
    ReleaseRefused,
    RestoreRefused,
    RoleNotAllowed,
    StoreBusy,
    StoreClosed,
    StoreExists,
    StoreFault,
    StoreNotFound,
    UndeclaredPurpose,
    UnreadableInput,
    UnsupportedEnvironment,
    WrongKey,
)
from consentprofile.model.consent import Act, Consent, Decision, Entry
from consentprofile.model.event import Event, Outcome, Value
from consentprofile.model.policy import Policy, Purpose
from consentprofile.model.profile import Profile
from consentprofile.release.dp.plan import PlannedFigure, PlannedNoise
from consentprofile.release.figures import Figures, MarginLevel, read_figures
from consentprofile.release.plan import ReleasePlan
from consentprofile.upkeep import Upkeep
from consentprofile.usecases.access import Held
from consentprofile.usecases.approval import ReleaseApproval
from consentprofile.usecases.audit import LogEntry
from consentprofile.usecases.budget import Budget, BudgetCharge
from consentprofile.usecases.capabilities import IssuedCapability
from consentprofile.usecases.certificates import IssuedCertificate
from consentprofile.usecases.check import Finding, Report
from consentprofile.usecases.compaction import Compacted
from consentprofile.usecases.declared_files import load_policy
from consentprofile.usecases.doctor import Diagnosis
from consentprofile.usecases.erasure import ErasurePlan
from consentprofile.usecases.expiry import Expiry
from consentprofile.usecases.importing import Imported
from consentprofile.usecases.key_status import KeyCopy, KeyStatus
from consentprofile.usecases.places import Symptom
from consentprofile.usecases.policies import PlannedChange, PolicyPlan
from consentprofile.usecases.proving import Exported
from consentprofile.usecases.reading import StoredEvent
from consentprofile.usecases.recording import Summary
from consentprofile.usecases.recovery import RecoveredKey
from consentprofile.usecases.release import Release
from consentprofile.usecases.released import Released
from consentprofile.usecases.restore import Restored
from consentprofile.usecases.retention import Retained, RetentionPlan
from consentprofile.usecases.rotation import Rotated
from consentprofile.usecases.tracing import Trace
from consentprofile.usecases.verifying import LogHead
from consentprofile.view import View

if TYPE_CHECKING:
    from consentprofile.async_audit import AsyncAudit
    from consentprofile.async_client import AsyncStore, AsyncView
    from consentprofile.async_upkeep import AsyncUpkeep

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Act",
    "AsyncAudit",
    "AsyncStore",
    "AsyncUpkeep",
    "AsyncView",
    "Audit",
    "BeyondCapability",
    "BrokenLog",
    "Budget",
    "BudgetCharge",
    "Capability",
    "Certificate",
    "Compacted",
    "Consent",
    "ConsentProfileError",
    "CorruptRecord",
    "Decision",
    "DestroyedKey",
    "DestructionStopped",
    "Diagnosis",
    "Entry",
    "EnvKey",
    "ErasurePlan",
    "Event",
    "Expiry",
    "Exported",
    "Fault",
    "Figures",
    "Finding",
    "Held",
    "Imported",
    "InputError",
    "IntegrityFault",
    "InvalidAccount",
    "InvalidActor",
    "InvalidDecision",
    "InvalidEvent",
    "InvalidMapping",
    "InvalidPolicy",
    "InvalidSpec",
    "IssuedCapability",
    "IssuedCertificate",
    "KeyCopy",
    "KeyFault",
    "KeyFile",
    "KeyProvider",
    "KeyStatus",
    "KeyUnavailable",
    "KeysRotated",
    "LogEntry",
    "LogHead",
    "MarginLevel",
    "NewerFormat",
    "OlderFormat",
    "Outcome",
    "Passphrase",
    "PlannedChange",
    "PlannedFigure",
    "PlannedNoise",
    "Policy",
    "PolicyChanged",
    "PolicyError",
    "PolicyPlan",
    "PolicyRefused",
    "Profile",
    "ProofRefused",
    "Purpose",
    "QuarantinedRecord",
    "RecoveredKey",
    "Release",
    "ReleaseApproval",
    "ReleaseError",
    "ReleasePlan",
    "ReleaseRefused",
    "Released",
    "Report",
    "RestoreRefused",
    "Restored",
    "Retained",
    "RetentionPlan",
    "RoleNotAllowed",
    "Rotated",
    "Statement",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreExists",
    "StoreFault",
    "StoreNotFound",
    "StoredEvent",
    "Summary",
    "Symptom",
    "Trace",
    "UndeclaredPurpose",
    "UnreadableInput",
    "UnsupportedEnvironment",
    "Upkeep",
    "Value",
    "View",
    "WrongKey",
    "__version__",
    "examine",
    "load_policy",
    "new_key_text",
    "open_certificate",
    "read_figures",
    "recover_key",
    "reference_matches",
]


_ASYNC = {
    "AsyncAudit": "consentprofile.async_audit",
    "AsyncStore": "consentprofile.async_client",
    "AsyncUpkeep": "consentprofile.async_upkeep",
    "AsyncView": "consentprofile.async_client",
}


def __getattr__(name: str) -> object:
    # asyncio is half of what importing this package would cost; who does not ask for it does not pay for it.
    if name in _ASYNC:
        return getattr(importlib.import_module(_ASYNC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
