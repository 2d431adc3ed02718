"""Importing: rows of a file become events, or decisions, and rows that cannot go to a file of rejects.

One bad row never voids its neighbours. Nothing personal is said about it: the rejects file has the line and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.errors import InputError, UndeclaredPurpose
from consentprofile.model.cells import RowRefused
from consentprofile.model.consent import Decision
from consentprofile.model.decision_rows import COLUMNS, decision_reader
from consentprofile.model.event import Event, Outcome
from consentprofile.model.mapping import read_mapping
from consentprofile.model.projection import FUTURE_SECONDS
from consentprofile.usecases.consent import decide
from consentprofile.usecases.recording import BATCH, record_many
from consentprofile.usecases.rejects import Rejects
from consentprofile.usecases.row_files import Format, RowSource, open_rows
from consentprofile.usecases.session import Session

DECISION_BATCH: Final = 1_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int, int, int | None], None]
"""Told the rows done, and the position in the file of how many bytes (None where that cannot be known)."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. ``outcomes`` is by purpose and outcome, for events; ``changed`` counts decisions that changed
    something, by the state they led to."""

    rows: int
    rejected: int
    outcomes: dict[str, dict[Outcome, int]] = {}
    changed: dict[str, int] = {}


def import_events(
    session: Session,
    source: str | Path,
    mapping: str,
    mapping_name: str,
    *,
    format: Format | None = None,
    rejects: Path | None = None,
    progress: Progress | None = None,
    batch_size: int = BATCH,
    workers: int = 0,
) -> Imported:
    """Import events from a CSV or NDJSON file, gzipped or not, or from standard input (``-``).

    ``mapping`` is the text of a mapping. Repeating an import adds nothing to any profile. Raises
    :class:`InvalidMapping` and :class:`UnreadableInput` before or while reading; batches recorded until then stay.
    ``workers`` is as for :func:`record_many`.
    """
    derive = session.keys.require_imports().event
    rows_mapping = read_mapping(mapping, mapping_name, session.policy)
    latest = datetime.fromtimestamp(session.now() + FUTURE_SECONDS, UTC) - timedelta(seconds=1)
    with open_rows(source, format, columns=rows_mapping.columns) as rows, Rejects(rejects) as refused:
        rows_mapping.check_columns(rows.columns)
        convert = rows_mapping.compile(rows.columns, derive)
        done = 0

        def events() -> Iterator[Event]:
            nonlocal done
            for line, row in rows:
                done += 1
                try:
                    if isinstance(row, RowRefused):
                        raise row
                    event = convert(row)
                    if event.at > latest:
                        raise RowRefused("the event's time is in the future")
                    if event.at < EPOCH:
                        raise RowRefused("the event's time is before 1970")
                except RowRefused as reason:
                    refused.write(line, str(reason))
                else:
                    yield event

        told = _told(rows, progress, lambda: done)
        summary = record_many(session, events(), batch_size=batch_size, progress=told, workers=workers)
        return Imported(
            rows=done,
            rejected=refused.count,
            outcomes={purpose: dict(counts) for purpose, counts in summary.outcomes.items()},
        )


def import_decisions(
    session: Session,
    source: str | Path,
    *,
    format: Format | None = None,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Import consent decisions, in the order of the file, each judged by the notice of its time.

    Decisions older than what stands change nothing, so an import can be repeated. Raises :class:`UnreadableInput`.
    """
    session.keys.require_officer()
    changed: dict[str, int] = {}
    with open_rows(source, format, columns=COLUMNS) as rows, Rejects(rejects) as refused:
        read = decision_reader(rows.columns)
        told = _told(rows, progress, lambda: done)
        done = 0
        batch: list[tuple[int, Decision]] = []
        for line, row in rows:
            done += 1
            try:
                if isinstance(row, RowRefused):
                    raise row
                batch.append((line, read(row)))
            except RowRefused as reason:
                refused.write(line, str(reason))
            if len(batch) >= DECISION_BATCH:
                _decide(session, batch, refused, changed)
                batch.clear()
                told(done)
        _decide(session, batch, refused, changed)
        told(done)
        return Imported(rows=done, rejected=refused.count, changed=changed)


def _decide(session: Session, batch: list[tuple[int, Decision]], refused: Rejects, changed: dict[str, int]) -> None:
    """Carry out a batch; where one of it is refused, by halves, so that only the bad rows are left out."""
    if not batch:
        return
    try:
        answers = decide(session, [decision for _, decision in batch], imported=True).answers
    except (InputError, UndeclaredPurpose) as error:
        if len(batch) == 1:
            refused.write(batch[0][0], str(error))
            return
        middle = len(batch) // 2
        _decide(session, batch[:middle], refused, changed)
        _decide(session, batch[middle:], refused, changed)
        return
    for answer in answers:
        for consent in answer.values():
            if consent.changed:
                changed[consent.state] = changed.get(consent.state, 0) + 1


def _told(rows: RowSource, progress: Progress | None, done: Callable[[], int]) -> Callable[[int], None]:
    def tell(_: int) -> None:
        if progress is not None:
            progress(done(), rows.position, rows.total)

    return tell
