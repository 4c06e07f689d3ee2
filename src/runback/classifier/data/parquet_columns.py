"""Images and labels in two columns of a parquet file."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runback.classifier.data.image_decoding import BATCH, Item
from runback.classifier.data.reading.reading_report import BrokenImage
from runback.errors import DataError
from runback.system.text.listing import nearest

TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)

MAX_ROWS = 50_000_000
"""Rows of a file: a label repeated a billion times takes a few bytes of it."""


def read_label_column(file: Path, column: str) -> np.ndarray:
    """Return the labels of all rows: int64, or Python text as objects, of shape (n,); reads no image.

    A dictionary's labels are what it has for them. Raises DataError for a file that is not parquet or
    truncated, a missing column (naming the nearest), no rows, labels that are neither integers nor text, or a
    null (naming the row, from 0).
    """
    with _opened(file) as table:
        _check_column(table.schema_arrow, column, file)
        values = table.read(columns=[column]).column(0)
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        is_text = any(test(values.type) for test in TEXTS)
        if not (is_text or pa.types.is_integer(values.type)):
            what = f"{values.type}: make them integers" if pa.types.is_floating(values.type) else values.type
            raise DataError(f"{file}: expected integers or text in column {column!r}; got {what}")
        if not len(values):
            raise DataError(f"{file}: expected rows; got none")
        if values.null_count:
            row = pc.index(values.is_null(), True).as_py()
            raise DataError(f"{file}: expected a label in column {column!r}; got null at row {row}")
        if is_text:
            return np.array(values.to_pylist(), object)
        try:
            return np.asarray(values.cast(pa.int64()).to_numpy())
        except pa.ArrowInvalid as error:
            raise DataError(f"{file}: expected classes in column {column!r}: {error}") from error


def read_texts(file: Path, names: Collection[str]) -> dict[str, list[str]]:
    """Return the different texts in each column of texts whose name, in lower case, is one of these."""
    found = {}
    with _opened(file) as table:
        for field in table.schema_arrow:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if field.name.lower() in names and any(test(kind) for test in TEXTS):
                texts = table.read(columns=[field.name]).column(0).cast(kind).unique().to_pylist()
                found[field.name] = sorted(text for text in texts if text is not None)
    return found


def read_class_names(file: Path, column: str) -> tuple[str, ...] | None:
    """Return the class names that Hugging Face's `datasets` wrote into the schema, or None."""
    with _opened(file) as table:
        metadata = table.schema_arrow.metadata or {}
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def check_image_column(file: Path, column: str) -> None:
    """Raise DataError unless a file has a column that can hold images; reads none."""
    with _opened(file) as table:
        _check_column(table.schema_arrow, column, file)
        _check_bytes(table.schema_arrow.field(column).type, column, file)


def encoded_images(file: Path, column: str, rows: np.ndarray, name: str) -> Iterator[list[Item]]:
    """Return the bytes of the images at `rows` (rising, from 0); `name` is what items call the file.

    A null is a broken image.
    """
    check_image_column(file, column)
    with _opened(file) as table:
        start = 0
        for batch in table.iter_batches(BATCH, columns=[column], use_threads=False):
            low, high = np.searchsorted(rows, [start, start + len(batch)])
            if high > low:
                yield _items(batch.column(0), rows[low:high], start, name, column)
            start += len(batch)


def _items(values: Any, rows: np.ndarray, start: int, name: str, column: str) -> list[Item]:
    values = values.take(pa.array(rows - start))
    if pa.types.is_struct(values.type):
        values = pc.struct_field(values, "bytes")
    return [_item(row, value, name, column) for row, value in zip(rows, values.to_pylist(), strict=True)]


def _item(row: int, value: bytes | None, name: str, column: str) -> Item:
    called = f"{name} row {row}"
    if value is None:
        reason = f"expected an image in column {column!r}; got null at row {row}"
        return called, BrokenImage(called, reason)
    return called, value


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise DataError(f"expected the parquet file {file}; there is none")
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            if table.metadata.num_rows > MAX_ROWS:
                rows = table.metadata.num_rows
                raise DataError(f"{file}: expected at most {MAX_ROWS:,} rows; got {rows:,}")
            yield table
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{file}: not a readable parquet file, or a truncated one: {reason}") from error


def _check_column(schema: Any, column: str, file: Path) -> None:
    if column not in schema.names:
        match = nearest(column, schema.names, cutoff=0.0)
        hint = f"; did you mean {match!r}?" if match else ""
        raise DataError(f"{file}: expected a column {column!r}; got {', '.join(schema.names)}{hint}")


def _check_bytes(kind: Any, column: str, file: Path) -> None:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)):
        raise DataError(
            f"{file}: expected image bytes, or a struct with a field bytes, in column {column!r}; got {kind}"
        )
