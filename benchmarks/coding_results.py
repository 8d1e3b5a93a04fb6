"""Rows of Aftercare's results: how fast they are made, next to ijson's tokens, and in how much memory."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import Record, select, spread, unique

MIB = 1024 * 1024
#: Of all bytes, ours are read at so much of ijson's speed at least, and with so much memory at most.
MIN_RATIO, MAX_MEMORY_MIB = 0.6, 64
#: As a transport hands them on.
CHUNK_BYTES = 32 * 1024
_PLAIN = "The people at the counter were very helpful and solved my problem quickly."
#: Kinds of results: the answers, one after the other, and how many of them a code has.
KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "sentences": ((*[_PLAIN] * 8, "Größer als nötig.", 'A "friend"\nsaid so.'), 2000),
    "a word or two": (("Price", "the staff", "I don't know"), 2000),
    "quotes, line breaks and accents in each": (('"Très bien", he said.\n', 'l\'hôtel était\t"ok"'), 2000),
    "codes with 20 responses": ((_PLAIN,), 20),
}


def cases(quick: bool) -> list[Record]:
    """Return the runs of a round."""
    usual: Record = {"module": "benchmarks.coding_results", "mib": 16 if quick else 64}
    speed = [{**usual, "kind": kind, "file_format": "ndjson"} for kind in KINDS]
    formats = [{**usual, "kind": "sentences", "file_format": name} for name in ("csv", "parquet")]
    memory = {**usual, "kind": "sentences", "mib": 64 if quick else 1024, "only_memory": True}
    return speed + formats + [{**memory, "file_format": name} for name in ("ndjson", "csv", "parquet")]


def tables(records: Sequence[Record]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| results | written as | speed over `ijson.basic_parse` | MiB/s | memory above start, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for case in unique(records):
        runs = list(select(records, case).values())
        memory = f"{max(run['memory_bytes'] for run in runs) / MIB:.1f}" if case.get("only_memory") else ""
        ratio = "" if memory else spread(run["theirs"] / run["ours"] for run in runs)
        speed = spread((run["bytes"] / MIB / run["ours"] for run in runs), ".0f")
        name = f"{case['kind']}, {case['mib']:,} MiB"
        lines.append(f"| {name} | {case['file_format']} | {ratio} | {speed} | {memory} |")
    return [*lines, "", f"Bars: at least {MIN_RATIO}, and less than {MAX_MEMORY_MIB} MiB."]


def body(kind: str, size: int) -> Iterator[bytes]:
    """Yield the pieces of a reply of about this size."""
    answers, count = KINDS[kind]
    about = {"batchJobId": "job", "surveyIdentifier": "CSAT", "status": "completed"}
    yield json.dumps(about)[:-1].encode() + b', "results": {"questionCodes": ['
    made, number = 0, 0
    codes = [_code(each, answers, count) for each in range(1, max(2, 4_000 // count))]
    told = json.dumps(
        {"question": "What did you like?", "responseCodes": codes}, separators=(",", ":"), ensure_ascii=False
    )
    while made < size:
        piece = f'{"," if number else ""}{{"questionIdentifier":"Q{number}",{told[1:]}'.encode()
        made, number = made + len(piece), number + 1
        yield piece
    yield b'], "nextCursor": null}}'


def _code(number: int, answers: Sequence[str], count: int) -> dict[str, Any]:
    entries = [
        {"responseIdentifier": f"{number}{each:06}", "answer": answers[each % len(answers)]}
        for each in range(count)
    ]
    below = [{"id": number * 10, "label": "closer", "responses": entries[: count // 2], "subCodes": []}]
    return {"id": number, "label": f"Topic {number}", "responses": entries, "subCodes": below}


def make_rows(chunks: Iterator[bytes], file_format: str) -> int:
    """Make the rows of a reply, hash them and drop them; return how many there are."""
    from airflow_provider_jobstatus.core.json_reader import JsonReader
    from airflow_provider_jobstatus.files.parquet_file import ParquetFile
    from airflow_provider_jobstatus.files.row_files import CsvFile, DigestFile, RowFile
    from airflow_provider_jobstatus.hooks.aftercare.coding_rows import CodingRows
    from airflow_provider_jobstatus.hooks.aftercare.results import read_page

    kind = {"ndjson": RowFile, "csv": CsvFile, "parquet": ParquetFile}[file_format]
    with open(os.devnull, "wb", buffering=0) as nowhere:
        table = kind(DigestFile(nowhere), CodingRows.layout, lambda _: None)  # type: ignore[arg-type]
        rows = CodingRows(table)
        read_page(JsonReader(chunks, rows.fold), rows)
        rows.finish()
        table.close()
    return table.rows


def cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as a transport would."""
    for piece in pieces:
        yield from (piece[at : at + CHUNK_BYTES] for at in range(0, len(piece), CHUNK_BYTES))


def highest_memory() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def main() -> None:
    """Measure once, and print it."""
    orders = json.loads(sys.argv[1])
    file_format, kind, size = orders["file_format"], orders["kind"], orders["mib"] * MIB
    # What is imported once is no part of it; nor are tables that a library makes at its first use.
    make_rows(body(kind, 1), file_format)
    before = highest_memory()
    if orders.get("only_memory"):
        began = time.process_time()
        make_rows(cut(body(kind, size)), file_format)
        seconds = time.process_time() - began
        measured: Record = {"ours": seconds, "bytes": size, "memory_bytes": highest_memory() - before}
    else:
        import ijson.backends.yajl2_c as peer

        whole = b"".join(body(kind, size))
        measured = {"bytes": len(whole)}
        for name in ("ours", "theirs") if orders["seed"] % 2 else ("theirs", "ours"):
            began = time.process_time()
            if name == "ours":
                make_rows(cut(iter([whole])), file_format)
            else:
                for _ in peer.basic_parse(io.BytesIO(whole)):
                    pass
            measured[name] = time.process_time() - began
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
