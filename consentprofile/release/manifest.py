"""The manifest of a release: what was asked, how accounts are protected, how far figures can be off.

It is published, so it says nothing that the data could change: no exact count, no number of suppressed or repeated
cells, no time, no position in the audit log. A checkpoint would date the release among everything else that happened;
instead there is a commitment to it, SHA-256(salt ‖ root), that the controller can open to an auditor by showing both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.model.policy import Policy
from consentprofile.release.figures import MarginLevel
from consentprofile.release.ledger import SALT_BYTES
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.table import columns
from consentprofile.release.threshold import largest_error, step

FORMAT: Final = 1
"""The format of manifests; docs/release-manifest.schema.json describes it."""

HEURISTIC: Final = "heuristic"
"""Threshold protection is no proof of privacy."""


class Protection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rules: at least ``min_accounts`` behind a figure (the policy demands ``policy_min_accounts``), rounded.

    ``hidden_width``, where there are margins: rows are hidden besides, so that none without a figure can be bounded to
    fewer than this many counts. How many rows that were follows from people, and is not told.
    """

    kind: str
    min_accounts: int
    policy_min_accounts: int
    round_to: int
    hidden_width: int | None = None


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that adds up amounts: one account adds at most ``limit``; a multiple of ``step``."""

    name: str
    limit: int
    step: int
    largest_error: int


class Parameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The shape of the data, known beforehand; ``largest_error`` is in accounts, exact count against figure.

    It is left out where no accounts are counted; ``amounts`` has what is added up instead, or beside. ``cells`` counts
    all rows, those of the ``margins`` too.
    """

    columns: tuple[str, ...]
    cells: int
    largest_error: int | None = None
    amounts: tuple[Amount, ...] = ()
    margins: tuple[MarginLevel, ...] = ()


class Bound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most that one account can change: this many rows, and this many margins, which come with them."""

    cells_per_account: int
    margins_per_account: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest without the digests of the files, which :func:`~consentprofile.release.writers.render` adds."""

    format: int
    spec: dict[str, object]
    protection: Protection
    parameters: Parameters
    bound: Bound
    guarantee: str
    policy: str
    commitment: str

    def json(self, files: Mapping[str, bytes]) -> bytes:
        """The canonical JSON, with the SHA-256 of each of ``files``."""
        digests = {name: canonical.digest(data).hex() for name, data in files.items()}
        return canonical.json_bytes(msgspec.structs.asdict(self) | {"files": digests})


def manifest(spec: ReleaseSpec, policy: Policy, *, salt: bytes, root: bytes) -> Manifest:
    """The manifest of a release of ``spec`` under ``policy``.

    ``root`` is what is committed to: the audit log's root at the time of the release. ``salt`` is 32 random bytes, kept
    in the ledger. The name of the release and the paths it is written to are not in it: a repetition under another
    name gets the same bytes.
    """
    return Manifest(
        format=FORMAT,
        spec=spec.terms,
        protection=Protection(
            kind="threshold",
            min_accounts=spec.min_accounts,
            policy_min_accounts=spec.rules.min_accounts,
            round_to=spec.rules.round_to,
            hidden_width=spec.rules.min_accounts if spec.margins else None,
        ),
        parameters=_parameters(spec),
        bound=_bound(spec),
        guarantee=HEURISTIC,
        policy=policy.digest.hex(),
        commitment=commitment(salt, root),
    )


def _parameters(spec: ReleaseSpec) -> Parameters:
    parts = spec.measure.parts
    return Parameters(
        columns=columns(spec),
        cells=spec.rows,
        largest_error=next((largest_error(spec.rules, part) for part in parts if part.counts), None),
        amounts=tuple(
            Amount(
                name=part.name,
                limit=part.limit,
                step=step(spec.rules, part),
                largest_error=largest_error(spec.rules, part),
            )
            for part in parts
            if not part.counts
        ),
        margins=levels(spec),
    )


def levels(spec: ReleaseSpec) -> tuple[MarginLevel, ...]:
    """What holds for the margins over each choice of columns."""
    rows = Counter(margin.over for margin in spec.margins)
    parts = {margin.over: margin.part(spec.measure.parts[0], spec.bound) for margin in spec.margins}
    return tuple(
        MarginLevel(
            over=over,
            rows=rows[over],
            limit=part.limit,
            step=step(spec.rules, part),
            largest_error=largest_error(spec.rules, part),
        )
        for over, part in parts.items()
    )


def _bound(spec: ReleaseSpec) -> Bound:
    margins = sum(min(spec.bound, level.rows) for level in levels(spec))
    return Bound(cells_per_account=spec.bound, margins_per_account=margins or None)


def commitment(salt: bytes, root: bytes) -> str:
    """SHA-256(salt ‖ root) in hex; ``ValueError`` for a salt of another length than 32 bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 32 bytes")
    return canonical.digest(salt + root).hex()
