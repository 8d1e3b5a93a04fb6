"""What the demo shows: progress while it waits, and the table at the end."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from dev.runs import RunReport, Snapshot, TaskReport


class Progress:
    """Shows how far things are: in place on a terminal, as plain lines in a pipe."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._live = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._started = time.monotonic()
        self._shown: list[str] = []

    def say(self, text: str = "") -> None:
        """Write text that stays."""
        self.settle()
        print(text, file=self._out, flush=True)

    def show(self, lines: Sequence[str]) -> None:
        """Replace the lines that were shown before; in a pipe, write those that are new.

        :param lines: the present state, without anything that changes at every call
        """
        elapsed = f"{time.monotonic() - self._started:4.0f} s  "
        if not self._live:
            # A line for every percent would bury the others: a change of the last digit is not news.
            news = {re.sub(r"\d %", "0 %", line): line for line in lines}
            for key, line in news.items():
                if key not in self._shown:
                    print(f"{elapsed}{line}", file=self._out, flush=True)
            self._shown = list(news)
            return
        width = shutil.get_terminal_size().columns - 1
        up = f"\x1b[{len(self._shown)}A" if self._shown else ""
        self._shown = [f"{elapsed}{line}"[:width] for line in lines]
        print(f"{up}\r\x1b[J" + "\n".join(self._shown), file=self._out, flush=True)

    def settle(self) -> None:
        """Let the lines stay that are shown; what comes next goes below."""
        self._shown = []


def snapshot_lines(snapshot: Snapshot) -> list[str]:
    """Return a line for each task and for each job that has been asked for."""
    lines = [
        f"{dag_id}.{task.name}: {task.state or 'not started'}"
        for dag_id, tasks in snapshot.tasks.items()
        for task in tasks
    ]
    for job in snapshot.jobs:
        if job["polls"]:
            progress = "" if job["progress"] is None else f", {job['progress']} %"
            polls = f"{job['polls']} poll{'s' * (job['polls'] != 1)}"
            lines.append(f"  job {job['vendor']} {job['id']}: {job['status']}{progress}, {polls}")
    return lines


def table(reports: Sequence[RunReport]) -> str:
    """Return the table of all tasks."""
    rows = [("DAG", "TASK", "STATE", "DEFERRED", "POLLS", "RESULT")]
    rows += [
        (
            run.dag_id,
            report.task.name,
            report.task.state or "not started",
            f"{report.deferred_seconds:.1f} s" if report.deferrals else "-",
            "-" if report.polls is None else str(report.polls),
            _shown(report),
        )
        for run in reports
        for report in run.tasks
    ]
    return _aligned(rows)


def files(reports: Sequence[RunReport]) -> str:
    """Return the table of the files that arrived."""
    rows = [("WHAT ARRIVED", "ROWS", "BYTES", "VERIFIED BY")]
    rows += [
        (
            _readable(Path(manifest["path"])),
            "unknown" if manifest["rows"] is None else str(manifest["rows"]),
            str(manifest["bytes"]),
            manifest["verified_by"],
        )
        for manifest in manifests(reports)
    ]
    return _aligned(rows)


def rejected_rows(reports: Sequence[RunReport], limit: int = 5) -> str:
    """Return the first rows of every file that can be uploaded again, and what is wrong with them.

    :param limit: how many rows and messages of each file
    """
    parts = []
    for manifest in manifests(reports):
        path = Path(manifest["path"])
        if "errors_path" in manifest and manifest["rows"] and path.is_file():
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = list(islice(csv.reader(file), limit + 1))
            shown = (
                f"The first {min(limit, manifest['rows'])} of {manifest['rows']} rows in {_readable(path)}"
            )
            errors = json.loads(Path(manifest["errors_path"]).read_text())["errors"][:limit]
            wrong = [f"{error['rows']} x {_short(error['message'], 100)}" for error in errors]
            parts.append("\n".join([shown, _fitted(rows), *wrong]))
    return "\n\n".join(parts)


def manifests(reports: Sequence[RunReport]) -> list[dict[str, Any]]:
    """Return what tasks returned of the files that they have written."""
    found = []
    for report in (report for run in reports for report in run.tasks):
        results = report.result if isinstance(report.result, list) else [report.result]
        found += [result for result in results if _is_manifest(result)]
        found += [job["manifest"] for job in report.jobs if "manifest" in job]
    return found


def failures(reports: Sequence[RunReport]) -> list[TaskReport]:
    """Return the tasks that failed."""
    return [report for run in reports for report in run.tasks if report.task.state == "failed"]


def conclusion(failed: int, waits: int) -> str:
    """Return what is said when every task has ended as it should.

    :param failed: how many tasks have failed, as they were meant to
    """
    meant = {0: "", 1: " (the failed one was meant to fail)"}.get(
        failed, f" (the {failed} failed ones were meant to fail)"
    )
    return (
        f"Every task ended as it should{meant}, and every wait ({waits}) was really deferred, says Airflow."
    )


def _is_manifest(result: object) -> bool:
    return isinstance(result, dict) and {"path", "rows", "bytes", "format"} <= result.keys()


def _shown(report: TaskReport) -> str:
    if report.jobs:
        return ", ".join(f"job {job['job_id']}: {job['state']}" for job in report.jobs)
    if _is_manifest(report.result):
        return Path(report.result["path"]).name
    if not isinstance(report.result, str | int):
        return "-"
    text = str(report.result)
    return _readable(Path(text)) if text.startswith("/") else text


def _readable(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _short(text: str, width: int) -> str:
    # A vendor's text must not steer the terminal.
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= width else f"{text[: width - 1]}~"


def _fitted(rows: Sequence[Sequence[str]]) -> str:
    """Align rows without their empty columns, cut to the width of the screen."""
    used = [n for n in range(max(map(len, rows))) if any(n < len(row) and row[n] for row in rows[1:])]
    rows = [[row[n] if n < len(row) else "" for n in used] for row in rows]
    widths = [min(40, max(len(row[n]) for row in rows)) for n in range(len(used))]
    screen = shutil.get_terminal_size((120, 24)).columns
    # The widest gives way first; not the last, which says why a row was rejected.
    while sum(widths) + 2 * len(widths) > screen and max(widths[:-1], default=0) > 8:
        widths[widths.index(max(widths[:-1]))] -= 1
    return _aligned([[_short(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    columns = max(map(len, rows))
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(columns)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    )
