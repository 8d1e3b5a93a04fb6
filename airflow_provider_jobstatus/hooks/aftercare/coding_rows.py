"""Rows of the results of coding; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_jobstatus.core.json_reader import PART, JsonReader
from airflow_provider_jobstatus.core.row_layout import RowLayout, RowSink
from airflow_provider_jobstatus.core.row_runs import RunFinder
from airflow_provider_jobstatus.hooks.aftercare.cells import (
    ID,
    INTEGER,
    TEXT,
    Checked,
    LeftOut,
    items,
    members,
    wrong,
)

LAYOUT = RowLayout(
    shared={
        "questionIdentifier": "text",
        "question": "text",
        "codeIdPath": "integers",
        "codeLabelPath": "texts",
        "codeId": "integer",
        "codeLabel": "text",
        "level": "integer",
    },
    own={"responseIdentifier": "text", "answer": "text", "followupResponses": "json"},
    rare=frozenset({"followupResponses"}),
)
_QUESTION = Checked(questionIdentifier=ID, question=TEXT)
_CODE = Checked(id=INTEGER, label=TEXT)
_RESPONSE = Checked(responseIdentifier=ID, answer=TEXT)
#: Deepest level of codes: so many a text may have that is nested as deep as is read.
MAX_LEVEL = 29
#: Questions and codes without responses for which is remembered that they have none on any other page.
MAX_REMEMBERED = 100_000
#: Finds most responses without parsing them.
_RUNS = RunFinder("responseIdentifier", "answer")


@dataclass(slots=True, eq=False)
class _Code:
    """
    A question (level 0) or a code of it: what of it has come so far.

    :ivar late: codes and responses that came before it was known whose they are.
    :ivar listed: whether its codes or responses have come, be it none.
    :ivar is_used: whether it has any.
    """

    parent: _Code | None
    told: dict[str, Any] = field(default_factory=dict)
    late: list[tuple[str, Any]] = field(default_factory=list)
    listed: bool = False
    is_used: bool = False
    level: int = 0
    key: tuple[Any, ...] = ()
    cells: dict[str, Any] = field(default_factory=dict)
    shared: bytes = b""


class CodingRows:
    """
    Makes rows of the results of coding: one for each question, code and response.

    A code without responses, and a question without codes, gives one row with empty cells, unless it has some
    on another page. These rows come last.

    :param sink: takes the rows.
    """

    layout = LAYOUT
    #: The member of the results that holds them.
    member = "questionCodes"
    fold = staticmethod(_RUNS.fold)

    def __init__(self, sink: RowSink) -> None:
        self.left_out = LeftOut()
        self._sink = sink
        #: What has no rows so far, with its cells; what has some, with None.
        self._rowless: dict[tuple[Any, ...], dict[str, Any] | None] = {}

    def read(self, reader: JsonReader) -> None:
        """Read a page's array, which has been entered."""
        while reader.item():
            reader.enter("{")
            question = _Code(None)
            while (name := reader.member()) is not None:
                if name != "responseCodes":
                    self._tell(reader, name, question, _QUESTION)
                elif self._begins(reader, name, question, _QUESTION):
                    self._codes(reader, question)
            self._close(reader, question, _QUESTION)

    def finish(self) -> None:
        """Make the rows of what has no responses on any page."""
        for cells in self._rowless.values():
            if cells is not None:
                self._sink.add(self._sink.share(cells), {})

    def _codes(self, reader: JsonReader, question: _Code) -> None:
        """Read the codes of a question, an array that was entered, however long and deep they are."""
        way = [question]
        while True:
            if reader.item():
                if (value := reader.whole_value()) is not PART:
                    self._pass(reader, [(way[-1], "subCodes", value)])
                    continue
                reader.enter("{")
                way.append(_Code(way[-1]))
            elif len(way) == 1:
                return
            while len(way) > 1:
                code = way[-1]
                if (name := reader.member()) is None:
                    self._close(reader, way.pop(), _CODE)
                    break
                if name not in ("responses", "subCodes"):
                    self._tell(reader, name, code, _CODE)
                elif self._begins(reader, name, code, _CODE):
                    if name == "subCodes":
                        break
                    while reader.item():
                        self._response(reader, code, reader.value())

    def _tell(self, reader: JsonReader, name: str, code: _Code, checked: Checked) -> None:
        if name in checked.kinds:
            code.told[name] = checked.value(name, reader.plain(reader.value()))
        else:
            reader.skip()
            self.left_out.add(name)

    def _begins(self, reader: JsonReader, name: str, code: _Code, checked: Checked) -> bool:
        """Enter the array of codes or responses that is next; False if there is none, or it is too early."""
        code.listed = code.listed or name != "subCodes"
        if code.late or code.told.keys() != checked.kinds.keys():
            code.late.append((name, reader.value()))
            return False
        self._name(code)
        if reader.mark() != "[":
            items(reader.value(), name)
            return False
        reader.enter("[")
        return True

    def _close(self, reader: JsonReader, code: _Code, checked: Checked) -> None:
        """End a question or a code that was entered."""
        checked.need(code.told)
        self._name(code)
        # Pieces keep their order, however much of a code has been read at once.
        left = [(code, name, item) for name, value in code.late for item in items(value, name)]
        self._pass(reader, left)
        self._end(code)

    def _pass(self, reader: JsonReader, left: list[tuple[_Code, str, Any]]) -> None:
        """Make rows of responses and codes that have been read whole, and of those below them."""
        left.reverse()
        while left:
            parent, kind, value = left.pop()
            if kind == "responses":
                self._response(reader, parent, value)
                continue
            code = _Code(parent)
            below: list[tuple[_Code, str, Any]] = []
            for name, inner in members(value, "a code"):
                if name in _CODE.kinds:
                    code.told[name] = _CODE.value(name, inner)
                elif name in ("responses", "subCodes"):
                    listed = items(inner, name)
                    code.listed = code.listed or name == "responses"
                    code.is_used = code.is_used or (name == "responses" and bool(listed))
                    below += [(code, name, item) for item in listed]
                else:
                    reader.plain(inner)
                    self.left_out.add(name)
            _CODE.need(code.told)
            self._name(code)
            self._end(code)
            left += reversed(below)

    def _name(self, code: _Code) -> None:
        """Make the cells of a question or a code once all of them have come."""
        if code.cells:
            return
        parent, told = code.parent, code.told
        if parent is None:
            code.key, code.cells = (told["questionIdentifier"],), dict(told)
            self._remember(code)
            return
        code.level = parent.level + 1
        if code.level > MAX_LEVEL:
            raise ValueError(f"codes below each other on more than {MAX_LEVEL} levels")
        code.key = (*parent.key, told["id"])
        code.cells = {
            "questionIdentifier": parent.cells["questionIdentifier"],
            "question": parent.cells["question"],
            "codeIdPath": list(code.key[1:]),
            "codeLabelPath": [*parent.cells.get("codeLabelPath", ()), told["label"]],
            "codeId": told["id"],
            "codeLabel": told["label"],
            "level": code.level,
        }
        if parent.parent is None:
            self._use(parent)
        self._remember(code)

    def _remember(self, code: _Code) -> None:
        """Note a question or code that may have no rows."""
        if len(self._rowless) < MAX_REMEMBERED:
            self._rowless.setdefault(code.key, code.cells)

    def _use(self, code: _Code) -> None:
        """Note that a question has a code, or a code a response."""
        code.is_used = True
        if code.key in self._rowless:
            self._rowless[code.key] = None

    def _end(self, code: _Code) -> None:
        if not code.listed:
            raise wrong(f"without {('responses' if code.parent else 'responseCodes')!r}")
        if not code.is_used and code.key not in self._rowless:
            self._sink.add(self._sink.share(code.cells), {})

    def _response(self, reader: JsonReader, code: _Code, value: Any) -> None:
        if not code.shared:
            self._use(code)
            code.shared = self._sink.share(code.cells)
        if (run := reader.run(value)) is not None:
            self._sink.add_run(code.shared, run)
            return
        cells: dict[str, Any] = {}
        for name, inner in members(value, "a response"):
            if name in _RESPONSE.kinds:
                cells[name] = _RESPONSE.value(name, inner)
            elif name == "followupResponses":
                cells[name] = reader.plain(inner) or None
            else:
                reader.plain(inner)
                self.left_out.add(name)
        _RESPONSE.need(cells)
        self._sink.add(code.shared, cells)
