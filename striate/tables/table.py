"""A table as it was read, before anybody knows what its columns mean.

Columns are Arrow arrays: a text column of a million rows with few values is small, and one that nobody asks for is never
converted.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from striate.core.errors import TableError

NO_VALUE = frozenset({"", "na", "n/a", "null", "none", "-", "<na>"})


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of equal length by name, as text or as numbers."""

    place: str  # the file or folder, as errors name it
    origin: str  # CSV, Parquet, TensorBoard, ...
    columns: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False
    row_name: str = "data row"
    cache: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, place: str, origin: str, columns: Mapping[str, Sequence[Any]], **facts: Any) -> "Table":
        """From lists; None is no value."""
        import pyarrow as pa

        return cls(place=place, origin=origin, columns={n: pa.array(list(v)) for n, v in columns.items()}, **facts)

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def texts(self, name: str) -> tuple[list[str], np.ndarray]:
        """The distinct values of a column in the order of the rows, as text, and for each row which of them it has.

        No value is "". Numbers are written as short as they can be, so that 3.0 is 3.
        """
        if ("texts", name) not in self.cache:
            import pyarrow as pa

            encoded = pa.chunked_array([self.columns[name]]).combine_chunks().dictionary_encode("encode")
            encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
            raw = [_text(value) for value in encoded.dictionary.to_pylist()]
            distinct = list(dict.fromkeys(raw))
            position = {text: index for index, text in enumerate(distinct)}
            merged = np.array([position[text] for text in raw], dtype=np.int64)
            codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            self.cache["texts", name] = distinct, merged[codes] if len(merged) else codes
        found: tuple[list[str], np.ndarray] = self.cache["texts", name]
        return found

    def value_count(self, name: str) -> int:
        """How many different values a column has, beside none."""
        return sum(bool(text.strip()) for text in self.texts(name)[0])

    def numbers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column as numbers, and where there is no value; NaN and infinity are values.

        Raises:
            TableError: for text that is no number, with its row.
        """
        if ("numbers", name) not in self.cache:
            distinct, codes = self.texts(name)
            values = np.full(len(distinct), math.nan)
            is_missing = np.zeros(len(distinct), bool)
            for index, text in enumerate(distinct):
                number = self.number(text)
                if number is None:
                    is_missing[index] = text.strip().lower() in NO_VALUE
                    if not is_missing[index]:
                        row = int(np.flatnonzero(codes == index)[0]) + 1
                        raise TableError(
                            f"{self.place}, {self.row_name} {row}: '{name}' must be a number, got '{text:.40}'; "
                            "mend it, leave it empty, or write nan for a run that diverged"
                        )
                else:
                    values[index] = number
            self.cache["numbers", name] = values[codes], is_missing[codes]
        found: tuple[np.ndarray, np.ndarray] = self.cache["numbers", name]
        return found

    def number(self, text: str) -> float | None:
        """What a cell says; None where it is no number."""
        text = text.strip().removesuffix("%").rstrip()
        if self.decimal_comma and "." not in text:
            text = text.replace(",", ".")
        try:
            return None if "_" in text else float(text)
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(text.lower())

    def is_numeric(self, name: str, *, most: int = 200) -> bool:
        """Whether the first values of a column are numbers, at least one of them."""
        texts = [_text(value) for value in self.columns[name][:most].to_pylist()]
        given = [text for text in texts if text.strip().lower() not in NO_VALUE]
        return bool(given) and all(self.number(text) is not None for text in given)

    def is_percent_text(self, name: str) -> bool:
        """Whether every value is written with a percent sign."""
        given = [text for text in self.texts(name)[0] if text.strip().lower() not in NO_VALUE]
        return bool(given) and all(text.rstrip().endswith("%") for text in given)

    def first_text(self, name: str) -> str:
        """The first value of a column that is not empty."""
        texts = (_text(value).strip() for value in self.columns[name][:200].to_pylist())
        return next((text for text in texts if text), "")

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> "Table":
        """With more columns, from lists."""
        import pyarrow as pa

        return self.with_arrays({**self.columns, **{name: pa.array(list(v)) for name, v in columns.items()}})

    def with_arrays(self, columns: Mapping[str, Any]) -> "Table":
        """With other columns."""
        return replace(self, columns=columns, cache={})

    def few_valued(self, most: int = 50) -> Iterator[tuple[str, int]]:
        """Columns that could name arms: those with 2 to `most` different values, and fewer than rows."""
        for name in list(self.columns)[:200]:
            n = self.value_count(name)
            if 1 < n <= most and n < self.rows:
                yield name, n


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def plain_columns(arrow: Any) -> dict[str, Any]:
    """The columns of an Arrow table as text, numbers and truth values; nested ones as `outer.inner`, lists left out."""
    import pyarrow as pa

    while any(pa.types.is_struct(kind.type) for kind in arrow.schema):
        arrow = arrow.flatten()
    columns = {}
    for name, column in zip(arrow.column_names, arrow.columns, strict=True):
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
            continue
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = column.type
        if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
            column = column.cast(pa.float64())
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            try:
                column = column.cast(pa.string())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
        columns[name] = column
    return columns
