"""Jobs and report files of the Talkdesk stand-in.

Sources: https://docs.talkdesk.com/reference/check-a-report-status ,
https://docs.talkdesk.com/reference/execute-a-report , https://docs.talkdesk.com/docs/calls-report

No page describes the columns of all reports or the layout of ``json_bulk``; the rows here are made up, and
one JSON object a line is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.files import Content, StoredFile
from airflow_provider_jobstatus.sandbox.lists import ListScript, read_listed
from airflow_provider_jobstatus.sandbox.orders import OrderRefused
from airflow_provider_jobstatus.sandbox.timeline import Timeline, read_timeline

FORMATS = ("csv", "json", "json_bulk")
ENDS = ("done", "failed", "canceled", "deleted")
STATUS_KEYS = ("id", "name", "timezone", "status", "format", "timespan")
DONE_FORMS = ("300", "200", "301", "302", "303", "307", "308", "entries")
FILE_FORMS = ("303", "302", "200")
SECONDS = {"created": 2.0, "processing": 6.0, "uploading": 2.0}
CONTENT_TYPES = {"csv": "text/csv", "json": "application/json", "json_bulk": "application/x-ndjson"}
EXTENSIONS = {"csv": "csv", "json": "json", "json_bulk": "jsonl"}


@dataclass(frozen=True, kw_only=True)
class TalkdeskForms:
    """The forms of an answer over which the vendor's pages and clients disagree.

    :param words: ``lower`` or ``upper``, the case of the status words.
    :param done_form: What a status request gets when the job is done: the job with this HTTP status, or
        ``entries``, the report itself.
    :param done_location: The ``Location`` of a redirect: ``relative``, ``absolute``, ``missing`` or a text to
        be sent as it is.
    :param done_body: Whether a redirect has the job as its body.
    :param file_form: What a file request gets: a redirect with this HTTP status to the storage, or with
        ``200`` the file.
    """

    words: str = "lower"
    done_form: str = "300"
    done_location: str = "relative"
    done_body: bool = True
    file_form: str = "303"


def read_forms(given: Fields) -> dict[str, Any]:
    """Read those forms that are given."""
    return given.changed(
        TalkdeskForms(), words=("lower", "upper"), done_form=DONE_FORMS, file_form=FILE_FORMS
    )


@dataclass(kw_only=True)
class TalkdeskJob:
    """One job.

    :param kind: The type of the report.
    :param job_id: Its id.
    :param document: The keys of the answer that do not change.
    :param timeline: Its status.
    :param listed: What lists show of it.
    :param rows: Rows of the report.
    :param note_bytes: How long the last column of each row is: large reports are made sooner of long rows.
    :param file_text: The report's text, instead of made-up rows.
    :param disposition: The ``Content-Disposition`` of the file, instead of the usual one.
    :param breaks: Positions in the file at which a connection that sends it ends, each once.
    :param zipped: Whether the file is compressed on its way, where the client takes that.
    :param own_forms: TalkdeskForms in which it differs from the settings.
    """

    kind: str
    job_id: str
    document: Mapping[str, object]
    timeline: Timeline
    listed: ListScript = field(default_factory=ListScript)
    rows: int
    note_bytes: int = 0
    file_text: str | None = None
    disposition: str | None = None
    breaks: list[int] = field(default_factory=list)
    zipped: bool = False
    own_forms: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False
    _file: StoredFile | None = None

    @property
    def file_path(self) -> str:
        """The path to the file, from the type on."""
        return f"{quote(self.kind, safe='')}/files/{quote(self.job_id, safe='')}"

    def forms(self, usual: TalkdeskForms) -> TalkdeskForms:
        """Return the forms in which this job is shown."""
        return replace(usual, **self.own_forms)

    def word(self, now: float, forms: TalkdeskForms) -> object:
        """Return the status."""
        word = "deleted" if self.deleted else self.timeline.word(now)
        if "status" in self.timeline.overrides and not self.deleted:
            return word  # a script's word is sent as it was written
        return str(word).upper() if forms.words == "upper" else word

    def done(self, now: float) -> bool:
        """Return whether there is a file to be had."""
        return not self.deleted and str(self.timeline.word(now)).lower() == "done"

    def status(self, now: float, forms: TalkdeskForms) -> dict[str, object]:
        """Return the job's part of a status answer."""
        document = {"id": self.job_id, **self.document, **self.timeline.overrides}
        return {key: self.word(now, forms) if key == "status" else document.get(key) for key in STATUS_KEYS}

    def file(self) -> StoredFile:
        """Return the report's file: always the same one, as its ETag promises."""
        if self._file is None:
            kind = str(self.document["format"])
            usual = f'attachment; filename="{quote(self.job_id, safe="")}.{EXTENSIONS[kind]}"'
            self._file = StoredFile(
                content=self.content(kind),
                content_type=CONTENT_TYPES[kind],
                disposition=usual if self.disposition is None else self.disposition,
                breaks=self.breaks,
                zipped=self.zipped,
            )
        return self._file

    def content(self, kind: str) -> Content:
        """Return the report in one of the formats."""
        if self.file_text is not None:
            return Content(head=self.file_text.encode())
        if kind == "csv":
            row = _CSV_ROW + b"n" * self.note_bytes + b"\r\n"
            head = b"id,agent,started_at,seconds,note\r\n"
            return Content(head=head, row=lambda number: row % _row_values(number), rows=self.rows)
        row = _JSON_ROW + b"n" * self.note_bytes + b'"}'
        if kind == "json_bulk":
            return Content(row=lambda number: row % _row_values(number) + b"\n", rows=self.rows)
        return Content(
            head=b'{"entries": [',
            row=lambda number: (b",\n" if number else b"\n ") + row % _row_values(number),
            rows=self.rows,
            tail=b'], "total": %d}' % self.rows,
        )


def read_job(kind: str, job_id: str, spec: Mapping[str, object], now: float) -> TalkdeskJob:
    """Make a job from the body of an admin request.

    :raises ValueError: The body has mistakes.
    """
    given = Fields(spec, "job")
    timespan = {"from": "2024-01-15T00:00:00Z", "to": "2024-01-16T00:00:00Z"}
    job = TalkdeskJob(
        kind=kind,
        job_id=job_id,
        document={
            "name": given.text("name", f"{kind} report"),
            "timezone": given.text("timezone", "UTC"),
            "format": given.choice("format", FORMATS, "csv"),
            "timespan": given.take("timespan", timespan),
        },
        timeline=read_timeline(given, now, seconds=SECONDS, ends=ENDS, keys=STATUS_KEYS),
        listed=read_listed(given, STATUS_KEYS),
        rows=given.whole("rows", 40) or 0,
        note_bytes=given.whole("note_bytes", 0) or 0,
        file_text=given.text("file_text"),
        disposition=given.text("disposition"),
        breaks=read_breaks(given.take("breaks", [])),
        zipped=given.flag("zipped"),
        own_forms=read_forms(given),
    )
    given.finish()
    return job


def read_breaks(values: object) -> list[int]:
    """Read the positions at which a file breaks.

    :raises ValueError: They are no whole numbers in order.
    """
    positions: list[Any] = list(values) if isinstance(values, list | tuple) else [None]
    if not all(type(position) is int and position >= 0 for position in positions):
        raise ValueError("job: breaks must be a list of whole numbers that are not negative.")
    if positions != sorted(positions):
        raise ValueError("job: breaks must be in order.")
    return positions


def executed_job(
    kind: str, job_id: str, order: object, now: float, *, seconds: float, rows: int
) -> TalkdeskJob:
    """Make the job of an execute request.

    :param seconds: How long it takes.
    :raises OrderRefused: The request is no good.
    """
    if not isinstance(order, Mapping):
        raise OrderRefused({"": "The body must be a JSON object."})
    problems = {}
    if order.get("format") not in FORMATS:
        problems["format"] = f"must be one of {', '.join(FORMATS)}"
    span = order.get("timespan")
    for key in ("from", "to"):
        if not isinstance(span, Mapping) or not isinstance(span.get(key), str):
            problems[f"timespan.{key}"] = "must be a date and time"
    for key in ("name", "timezone"):  # clients that send neither are served
        if not isinstance(order.get(key, ""), str):
            problems[key] = "must be a string"
    if problems:
        raise OrderRefused(problems)
    parts = dict(zip(SECONDS, (0.2 * seconds, 0.6 * seconds, 0.2 * seconds), strict=True))
    spec = {key: order[key] for key in ("name", "timezone", "format", "timespan") if key in order}
    spec |= {f"{word}_seconds": part for word, part in parts.items()} | {"rows": rows}
    return read_job(kind, job_id, spec, now)


# A comma and a letter outside ASCII in each row; times without a zone, as the real reports have them.
_CSV_ROW = b'%09d,"M\xc3\xbcller, Ana",2024-01-15 %02d:%02d:%02d,%d,'
_JSON_ROW = (
    b'{"id": "%09d", "agent": "M\xc3\xbcller, Ana", "started_at": "2024-01-15 %02d:%02d:%02d", '
    b'"seconds": %d, "note": "'
)


def _row_values(number: int) -> tuple[int, int, int, int, int]:
    minutes, seconds = divmod(number * 37 % 86_400, 60)
    return number + 1, minutes // 60, minutes % 60, seconds, 100 + number % 900
