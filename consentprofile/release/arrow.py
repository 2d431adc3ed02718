"""Tables in Arrow's memory, and Parquet: both by pyarrow, which the extra ``arrow`` brings."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from consentprofile.errors import UnsupportedEnvironment

if TYPE_CHECKING:
    import pyarrow


def has_arrow() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def require_arrow() -> None:
    """Raise :class:`UnsupportedEnvironment` where the extra is not installed."""
    if not has_arrow():
        raise UnsupportedEnvironment(
            "data frames and Parquet need pyarrow; install the extra: pip install 'consentprofile[arrow]'"
        )


def table(names: Sequence[str], texts: int, columns: Sequence[Sequence[object]]) -> pyarrow.Table:
    """A table of ``columns``: the first ``texts`` of them texts, the others numbers, whole where all of them are.

    Figures may be missing (null), texts may not. The same columns make the same table.
    """
    import pyarrow

    fields, arrays = [], []
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        kind = pyarrow.string() if place < texts else _number(column)
        fields.append(pyarrow.field(name, kind, nullable=place >= texts))
        arrays.append(pyarrow.array(column, type=kind))
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def _number(column: Sequence[object]) -> pyarrow.DataType:
    import pyarrow

    return pyarrow.float64() if any(isinstance(value, float) for value in column) else pyarrow.int64()


def parquet(filled: pyarrow.Table) -> bytes:
    """``filled`` as a Parquet file; the same table and the same version of pyarrow, the same bytes.

    The file names its writer and the writer's version, as the format has it, and holds neither time nor path.
    """
    import pyarrow
    from pyarrow import parquet as writer

    sink = pyarrow.BufferOutputStream()
    writer.write_table(filled, sink, compression="zstd", version="2.6", store_schema=False)
    return bytes(sink.getvalue())
