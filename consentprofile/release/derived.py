"""What a release folder may hold beside the release: Parquet and pictures, made anew from the published bytes.

They are no part of the release. The ledger does not keep them, the manifest does not name them, and they may be made,
thrown away and made again at any time: from the same release and under the same versions of pyarrow and matplotlib they
have the same bytes. ``derived.json`` names them with their digests, and the manifest that they were made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from consentprofile import canonical
from consentprofile.release import arrow
from consentprofile.release.figures import MANIFEST, figures_of
from consentprofile.release.pictures import canvas
from consentprofile.release.pictures.choosing import picture

Also: TypeAlias = Literal["parquet", "pictures"]
"""What can be derived: ``data.parquet``; ``picture.svg`` and ``picture.png``."""

PARQUET: Final = "data.parquet"
SVG: Final = "picture.svg"
PNG: Final = "picture.png"
DERIVED: Final = "derived.json"
NAMES: Final = frozenset({PARQUET, SVG, PNG, DERIVED})
FORMAT: Final = 1


def wanted(also: Sequence[Also] | None) -> tuple[Also, ...]:
    """What to derive: what is asked for, or for None whatever the installed extras can.

    Raises :class:`UnsupportedEnvironment` where what is asked for needs an extra that is missing.
    """
    if also is None:
        can: dict[Also, bool] = {"parquet": arrow.has_arrow(), "pictures": canvas.has_pictures()}
        return tuple(name for name, here in can.items() if here)
    if "parquet" in also:
        arrow.require_arrow()
    if "pictures" in also:
        canvas.require_pictures()
    return tuple(also)


def derive(files: Mapping[str, bytes], also: Sequence[Also]) -> dict[str, bytes]:
    """The derived files of the release whose published files are ``files``; none for nothing."""
    if not also:
        return {}
    figures = figures_of(files)
    made: dict[str, bytes] = {}
    if "parquet" in also:
        made[PARQUET] = arrow.parquet(figures.table())
    if "pictures" in also:
        made[SVG], made[PNG] = picture(figures)
    digests = {name: canonical.digest(data).hex() for name, data in made.items()}
    origin = canonical.digest(files[MANIFEST]).hex()
    return made | {DERIVED: canonical.json_bytes({"format": FORMAT, "manifest": origin, "files": digests})}
