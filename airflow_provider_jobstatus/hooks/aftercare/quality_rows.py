"""Rows of the results of data-quality batches; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

from typing import Any

from airflow_provider_jobstatus.core.json_reader import JsonReader
from airflow_provider_jobstatus.core.row_layout import RowLayout, RowSink
from airflow_provider_jobstatus.hooks.aftercare.cells import (
    FLAG,
    ID,
    INTEGER,
    NUMBER,
    TEXT,
    Checked,
    LeftOut,
    items,
    members,
    wrong,
)

LAYOUT = RowLayout(
    shared={
        "responseIdentifier": "text",
        "numIssues": "integer",
        "qualityScore": "number",
        "demeritScore": "number",
        "questionIdentifier": "text",
        "question": "text",
        "answer": "text",
        "entryNumIssues": "integer",
        "entryHasIssues": "flag",
        "entryQualityScore": "number",
        "entryDemeritScore": "number",
    },
    own={"type": "text", "score": "number", "isIssue": "flag", "evidence": "text"},
)
_RESPONDENT = Checked(
    ("responseIdentifier",),
    responseIdentifier=ID,
    numIssues=INTEGER,
    qualityScore=NUMBER,
    demeritScore=NUMBER,
)
_ENTRY = Checked(
    ("hasIssues", "qualityScore"), numIssues=INTEGER, hasIssues=FLAG, qualityScore=NUMBER, demeritScore=NUMBER
)
_ASKED = Checked(("questionIdentifier",), questionIdentifier=ID, question=TEXT, answer=TEXT)
_CHECK = Checked(("evidence",), type=TEXT, score=NUMBER, isIssue=FLAG, evidence=TEXT)


class QualityRows:
    """
    Makes rows of the results of a data-quality batch: one for each response, entry of it, and check.

    A response without entries, and an entry without checks, gives one row with empty cells.

    :param sink: takes the rows.
    """

    layout = LAYOUT
    #: The member of the results that holds them.
    member = "items"

    @staticmethod
    def fold(raw: bytes, last: bool) -> tuple[list[Any], bytes]:
        """Take no runs out of a text."""
        return [raw], b""

    def __init__(self, sink: RowSink) -> None:
        self.left_out = LeftOut()
        self._sink = sink

    def read(self, reader: JsonReader) -> None:
        """Read a page's array, which has been entered."""
        while reader.item():
            respondent, entries = self._told(reader, reader.value(), _RESPONDENT, "evaluations")
            if not entries:
                self._sink.add(self._sink.share(respondent), {})
            for entry in entries:
                told, checks = self._told(reader, entry, _ENTRY, "qualityIssueChecks", "surveyEntry")
                asked, _ = self._told(reader, told.pop("surveyEntry"), _ASKED)
                about = {f"entry{name[0].upper()}{name[1:]}": cell for name, cell in told.items()}
                shared = self._sink.share({**respondent, **asked, **about})
                for check in checks:
                    self._sink.add(shared, self._told(reader, check, _CHECK)[0])
                if not checks:
                    self._sink.add(shared, {})

    def finish(self) -> None:
        """Make no more rows."""

    def _told(
        self, reader: JsonReader, value: Any, checked: Checked, inner: str = "", kept: str = ""
    ) -> tuple[dict[str, Any], list[Any]]:
        """
        Return the cells of an object, and its array ``inner``.

        :param kept: a member that comes with the cells as it is.
        """
        cells: dict[str, Any] = {}
        listed: list[Any] | None = None if inner else []
        for name, member in members(value, f"what holds {min(checked.kinds)!r}"):
            if name in checked.kinds:
                cells[name] = checked.value(name, member)
            elif name == inner:
                listed = items(member, name)
            elif name == kept:
                cells[name] = member
            else:
                reader.plain(member)
                self.left_out.add(name)
        checked.need(cells)
        if listed is None or (kept and kept not in cells):
            raise wrong(f"without {(inner if listed is None else kept)!r}")
        return cells, listed
