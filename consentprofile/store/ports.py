"""The door of the store: all that use cases may know of it."""

from consentprofile.store.blocks import Blocks
from consentprofile.store.compartments import CompartmentFiles, Compartments, Slice
from consentprofile.store.counts import decode as decode_counts
from consentprofile.store.files import DATA, KEYS, Durability
from consentprofile.store.ground import Ground, create_directory
from consentprofile.store.heads import StoredHead
from consentprofile.store.journal import JOURNAL, Destruction
from consentprofile.store.journal import encode as encode_destruction
from consentprofile.store.journal import read as read_journal
from consentprofile.store.keyring import (
    ACCOUNT_PLACE,
    EVIDENCE_PLACE,
    FIRST_PURPOSE_PLACE,
    Epoch,
    Keyring,
    Terms,
    destroyed,
    place_of,
)
from consentprofile.store.keyring_file import KeyringFile, state_of_keyring
from consentprofile.store.log import Head, StoredLeaf
from consentprofile.store.names import FILES, PART, WHOLE
from consentprofile.store.packs import Packed as SealedBlock
from consentprofile.store.pending import POLICY, Work
from consentprofile.store.rows import ACCOUNT, BLOCK, EVIDENCE, TABLES, TRAIL, Rows, SealedRow
from consentprofile.store.settling import Observe, is_unsettled, nobody_watches
from consentprofile.store.staging import Staging
from consentprofile.store.standing import Standing
from consentprofile.store.tables import StoredRelease

__all__ = [
    "ACCOUNT",
    "ACCOUNT_PLACE",
    "BLOCK",
    "DATA",
    "EVIDENCE",
    "EVIDENCE_PLACE",
    "FILES",
    "FIRST_PURPOSE_PLACE",
    "JOURNAL",
    "KEYS",
    "PART",
    "POLICY",
    "TABLES",
    "TRAIL",
    "WHOLE",
    "Blocks",
    "CompartmentFiles",
    "Compartments",
    "Destruction",
    "Durability",
    "Epoch",
    "Ground",
    "Head",
    "Keyring",
    "KeyringFile",
    "Observe",
    "Rows",
    "SealedBlock",
    "SealedRow",
    "Slice",
    "Staging",
    "Standing",
    "StoredHead",
    "StoredLeaf",
    "StoredRelease",
    "Terms",
    "Work",
    "create_directory",
    "decode_counts",
    "destroyed",
    "encode_destruction",
    "is_unsettled",
    "nobody_watches",
    "place_of",
    "read_journal",
    "state_of_keyring",
]
