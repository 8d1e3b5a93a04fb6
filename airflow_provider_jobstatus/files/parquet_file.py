"""Rows as a Parquet file. ``pyarrow`` is imported when one is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from airflow_provider_jobstatus.core.row_layout import RowLayout
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.files.row_files import DigestFile, RowFile, json_text

#: Bytes of rows, as JSON, in one group: what a reader may skip, and what is held here.
GROUP_BYTES = 4 * 1024 * 1024


class ParquetFile(RowFile):
    """
    Writes rows as Parquet, in groups of some megabytes.

    :raises BadSettings: ``pyarrow`` is not installed.
    """

    def __init__(self, file: DigestFile, layout: RowLayout, watch: Callable[[bytes], None]) -> None:
        super().__init__(file, layout, watch)
        self._arrow = load_pyarrow()
        kinds = {
            "text": self._arrow.string(),
            "json": self._arrow.string(),
            "integer": self._arrow.int64(),
            "number": self._arrow.float64(),
            "flag": self._arrow.bool_(),
            "integers": self._arrow.list_(self._arrow.int64()),
            "texts": self._arrow.list_(self._arrow.string()),
        }
        columns = {**layout.shared, **layout.own}
        self._schema = self._arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._texts = [name for name, kind in layout.own.items() if kind == "json"]
        self._group: list[bytes] = []
        self._group_size = 0
        self._writer = self._arrow.parquet.ParquetWriter(file, self._schema)

    def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
        """Take a row; a cell that is missing is empty."""
        texts = {name: json_text(cells[name]) for name in self._texts if cells.get(name) is not None}
        super().add(shared, {**cells, **texts})

    def close(self) -> None:
        """Write the rest, and the end of the file, without closing it."""
        self.flush()
        self._write_group()
        self._writer.close()

    def _write(self, block: bytes) -> None:
        self._group.append(block)
        self._group_size += len(block)
        if self._group_size >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        lines, self._group, self._group_size = b"".join(self._group), [], 0
        if not lines:
            return
        arrow_json = self._arrow.json
        table = arrow_json.read_json(
            self._arrow.BufferReader(lines),
            # What it frees is free at once.
            memory_pool=self._arrow.system_memory_pool(),
            # In one block: a row that lay in two would be refused.
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=self._schema, unexpected_field_behavior="error"
            ),
        )
        self._writer.write_table(table.select(self._schema.names), row_group_size=table.num_rows)


def load_pyarrow() -> Any:
    """
    Return ``pyarrow``, with what is needed of it.

    :raises BadSettings: it is not installed.
    """
    try:
        pyarrow = import_module("pyarrow")
        for name in ("json", "parquet"):
            import_module(f"pyarrow.{name}")
    except ImportError as error:
        raise BadSettings(
            "a Parquet file needs pyarrow, which is not here: install airflow-provider-jobstatus[parquet] on "
            f"the workers, or choose another file_format ({type(error).__name__})"
        ) from None
    return pyarrow
