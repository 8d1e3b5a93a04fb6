"""What Aftercare's results are as rows: of any spacing, order of members and size, and over pages."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Mapping
from itertools import chain, repeat
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import ServerError, SettingsError, UnexpectedResponse, VendorError
from airflow_provider_jobstatus.core.json_reader import PIECE_BYTES, JsonReader
from airflow_provider_jobstatus.core.row_runs import RowRun
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.aftercare.coding_rows import LAYOUT, CodingRows
from airflow_provider_jobstatus.hooks.aftercare.quality_rows import QualityRows
from airflow_provider_jobstatus.hooks.aftercare.results import (
    HEAD_BYTES,
    ResultPage,
    ResultPages,
    read_page,
    rows_of,
)
from tests.support.flows import finish, hook_of, reply, sample

JOB = "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377"
COLUMNS = (*LAYOUT.shared, *LAYOUT.own)
Row = list[Any]


class Kept:
    """Rows, kept as lists of cells; those of a run are parsed."""

    def __init__(self, columns: Iterable[str] = COLUMNS) -> None:
        self.rows: list[Row] = []
        self.runs = 0
        self._columns = tuple(columns)

    def share(self, cells: Mapping[str, Any]) -> bytes:
        return json.dumps(cells).encode()

    def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
        row = {**json.loads(shared), **cells}
        assert row.keys() <= set(self._columns)
        self.rows.append([row.get(name) for name in self._columns])

    def add_run(self, shared: bytes, run: RowRun) -> None:
        self.runs += run.rows
        text = run.text.replace(run.middle, b",").replace(run.between, b"],[")
        for identifier, answer in json.loads(b"[[" + text + b"]]"):
            self.add(shared, {"responseIdentifier": identifier, "answer": answer})


def rows_from(
    *pages: bytes | Iterable[bytes], size: int = 1_000_000, piece: int = PIECE_BYTES, kept: Kept | None = None
) -> list[Row]:
    kept = kept or Kept()
    rows = CodingRows(kept)
    for page in pages:
        chunks = (
            (page[at : at + size] for at in range(0, len(page), size)) if isinstance(page, bytes) else page
        )
        read_page(JsonReader(chunks, rows.fold, piece), rows)
    rows.finish()
    return kept.rows


def page_of(*questions: Any, **more: Any) -> bytes:
    return json.dumps(
        {"batchJobId": JOB, "status": "completed", "results": {"questionCodes": questions} | more}
    ).encode()


def question(identifier: str, *codes: Any) -> dict[str, Any]:
    return {"questionIdentifier": identifier, "question": f"{identifier}?", "responseCodes": codes}


def code(number: int, *responses: Any, below: Iterable[Any] = ()) -> dict[str, Any]:
    return {"id": number, "label": f"C{number}", "responses": responses, "subCodes": list(below)}


def response(identifier: Any, answer: Any = "a", **more: Any) -> dict[str, Any]:
    return {"responseIdentifier": identifier, "answer": answer, **more}


def expected(document: Any) -> list[Row]:
    """Return the rows of a page, as plain as can be."""
    rows: list[Row] = []
    last: list[Row] = []

    def add(asked: Row, codes: Any, ids: list[int], labels: list[str]) -> None:
        for each in codes:
            way, names = [*ids, each["id"]], [*labels, each["label"]]
            cells = [*asked, way, names, each["id"], each["label"], len(way)]
            if not each["responses"]:
                last.append([*cells, None, None, None])
            for name in [name for name in each if name in ("responses", "subCodes")]:
                if name == "subCodes":
                    add(asked, each[name], way, names)
                    continue
                for one in each[name]:
                    followups = one.get("followupResponses") or None
                    rows.append([*cells, str(one["responseIdentifier"]), one["answer"], followups])

    for each in document["results"]["questionCodes"]:
        asked = [each["questionIdentifier"], each["question"]]
        if not each["responseCodes"]:
            last.append(asked + [None] * 8)
        add(asked, each["responseCodes"], [], [])
    return rows + last


def test_the_sample_of_the_docs_is_a_row_for_each_response_of_each_code() -> None:
    document = sample("aftercare/coding-completed.json")
    rows = rows_from(document)
    assert rows == expected(json.loads(document))
    assert {len(row[2]) for row in rows if row[2]} == {1, 2}


PIECES = [*'a"\\\n\t é✓😀{}[],:/\x00\x7f\u2028', '}, {"responseIdentifier": "', '"answer":', "\\u0041"]


class Maker:
    """Makes up results, now and then with members in another order, or with more of them."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def question(self, number: int) -> dict[str, Any]:
        told = question(f"Q{number}", *self._codes(1, 3)) | {"question": self._text()}
        return self._shuffled(told)

    def _codes(self, level: int, most: int) -> list[dict[str, Any]]:
        made = []
        for number in range(self._chance.randint(0, most if level < 5 else 0)):
            answers = [self._response(each) for each in range(self._chance.choice([0, 1, 2, 20]))]
            more = {"score": 0.5} if self._chance.random() < 0.1 else {}
            told = code(number, *answers, below=self._codes(level + 1, 2))
            made.append(self._shuffled(told | {"label": self._text()} | more))
        return made

    def _response(self, number: int) -> dict[str, Any]:
        told = response(str(number), self._text())
        match self._chance.randint(0, 20):
            case 0:
                told["followupResponses"] = [{"question": self._text(), "answer": self._text()}]
            case 1:
                told["followupResponses"] = []
            case 2:
                told |= {"responseIdentifier": number, "answer": None}
            case 3:
                told["more"] = [response("1")]
            case 4:
                return dict(reversed(told.items()))
        return told

    def _text(self) -> str:
        return "".join(self._chance.choices(PIECES, k=self._chance.randint(0, 6)))

    def _shuffled(self, told: dict[str, Any]) -> dict[str, Any]:
        members = list(told.items())
        if self._chance.random() < 0.2:
            self._chance.shuffle(members)
        return dict(members)


@settings(deadline=None, max_examples=100)
@given(
    chance=st.randoms(use_true_random=False),
    size=st.sampled_from([7, 64, 100_000]),
    piece=st.sampled_from([1, 30, 1000, 100_000]),
    spacing=st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]),
)
def test_rows_are_those_of_the_document_however_it_is_written_and_cut(
    chance: Random, size: int, piece: int, spacing: dict[str, Any]
) -> None:
    made = [Maker(chance).question(number) for number in range(chance.randint(0, 3))]
    document = {"batchJobId": JOB, "status": "completed", "results": {"questionCodes": made}}
    assert rows_from(json.dumps(document, **spacing).encode(), size=size, piece=piece) == expected(document)


def test_a_question_a_code_and_its_responses_may_be_split_over_pages() -> None:
    pages = (
        page_of(question("Q1", code(1, response("1"), below=[code(11)])), question("Q2")),
        page_of(question("Q1", code(1, below=[code(11, response("2")), code(12)]), code(2))),
        page_of(question("Q2", code(1)), question("Q1", code(2, response("3")))),
    )
    rows = rows_from(*pages)
    assert [(row[0], row[2], row[7]) for row in rows] == [
        ("Q1", [1], "1"),
        ("Q1", [1, 11], "2"),
        ("Q1", [2], "3"),
        ("Q1", [1, 12], None),
        ("Q2", [1], None),
    ]


WRONG_RESULTS = {
    "a code without an id": (question("Q", {"label": "x", "responses": []}), "without 'id'"),
    "an id that is none": (question("Q", code(1) | {"id": "x"}), "'id' is not a whole number"),
    "an id that is true": (question("Q", code(1) | {"id": True}), "'id' is not a whole number"),
    "an id of 65 bits": (question("Q", code(2**63)), "'id' is not a whole number"),
    "no responses": (question("Q", {"id": 1, "label": "x"}), "without 'responses'"),
    "responses that are none": (question("Q", code(1) | {"responses": {}}), "'responses' is no array"),
    "a response that is none": (question("Q", code(1, "x")), "a response is no object"),
    "a response without an answer": (question("Q", code(1, {"responseIdentifier": "1"})), "without 'answer'"),
    "an answer that is none": (question("Q", code(1, response("1", 5))), "'answer' is not a text"),
    "an identifier that is null": (question("Q", code(1, response(None))), "not an identifier"),
    "a code that is a response": (question("Q", response("1")), "without 'id'"),
    "a code that is none": (question("Q", 1), "a code is no object"),
    "no codes": ({"questionIdentifier": "Q", "question": "x"}, "without 'responseCodes'"),
    "no question": ({"question": "x", "responseCodes": []}, "without 'questionIdentifier'"),
}


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize(("wrong", "says"), WRONG_RESULTS.values(), ids=WRONG_RESULTS)
def test_results_of_another_form_are_refused(wrong: Any, says: str, size: int) -> None:
    with pytest.raises((UnexpectedResponse, ValueError), match=f"{says}|is due"):
        rows_from(page_of(wrong), size=size, piece=size)


def test_codes_may_be_deep_and_no_deeper_than_json_may_be() -> None:
    def nested(levels: int) -> bytes:
        found = code(levels, response("1"))
        for level in range(levels - 1, 0, -1):
            found = code(level, below=[found])
        return page_of(question("Q", found))

    assert max(row[6] for row in rows_from(nested(29))) == 29
    with pytest.raises(ValueError, match="levels"):
        rows_from(nested(30))


def test_null_is_a_list_without_items_and_members_without_a_column_are_named() -> None:
    kept = Kept()
    rows = CodingRows(kept)
    told = question("Q", code(1) | {"responses": None, "subCodes": None, "weight": 1}) | {"tags": [{}]}
    read_page(JsonReader([page_of(told, question("R") | {"responseCodes": None})], rows.fold), rows)
    rows.finish()
    assert [(row[0], row[4], row[7]) for row in kept.rows] == [("Q", 1, None), ("R", None, None)]
    assert list(rows.left_out.names) == ["weight", "tags"]


@pytest.mark.parametrize("many", ["responses", "codes", "questions"])
def test_memory_does_not_grow_with_one_huge_question_code_or_page(many: str) -> None:
    answers = json.dumps([response(str(number), "because of it " * 4) for number in range(500)])[1:-1]
    one = answers if many == "responses" else json.dumps(code(1, response("1", "x" * 40_000)))
    one = one if many != "questions" else json.dumps(question("Q", code(1, response("1", "x" * 40_000))))
    head, _, tail = (
        page_of(question("Q", code(1, "HERE")))
        if many == "responses"
        else page_of(question("Q", "HERE"))
        if many == "codes"
        else page_of("HERE")
    ).partition(b'"HERE"')
    text = chain([head, one.encode()], repeat(b", " + one.encode(), 800), [tail])

    class Counted(Kept):
        def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
            self.runs += 1

        def add_run(self, shared: bytes, run: RowRun) -> None:
            self.runs += run.rows

    counted = Counted()
    tracemalloc.start()
    rows_from(text, kept=counted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (counted.runs, peak < 6_000_000) == (801 * (500 if many == "responses" else 1), True)


def test_a_data_quality_batch_is_a_row_for_each_check() -> None:
    kept = Kept([*QualityRows.layout.shared, *QualityRows.layout.own])
    rows = QualityRows(kept)
    body = json.loads(sample("aftercare/quality-completed.json"))
    bare = {"numIssues": 0, "qualityScore": 1, "demeritScore": 0.5, "evaluations": []}
    entry = {"surveyEntry": {"question": "Why?", "answer": None}, "numIssues": 0, "demeritScore": 1}
    body["results"]["items"] += [bare, bare | {"evaluations": [entry | {"qualityIssueChecks": []}]}]
    page = read_page(JsonReader([json.dumps(body).encode()], rows.fold), rows)
    checks = [
        (item.get("responseIdentifier"), asked["surveyEntry"]["answer"], check["type"], check["score"])
        for item in body["results"]["items"]
        for asked in item["evaluations"]
        for check in asked["qualityIssueChecks"]
    ]
    assert (page.is_there, bool(checks)) == (True, True)
    assert [(row[0], row[6], row[11], row[12]) for row in kept.rows[:-2]] == checks
    assert kept.rows[-2:] == [
        [None, 0, 1, 0.5] + [None] * 11,
        [None, 0, 1, 0.5, None, "Why?", None, 0, None, None, 1] + [None] * 4,
    ]


def pages_of(parameter: str | None = None, **extra: Any) -> ResultPages:
    hook = hook_of(AftercareHook, extra=extra)
    return ResultPages(hook, hook.parse_job_id(JOB), parameter)


def ended(pages: ResultPages, cursor: Any = None, rows: bytes = b"", **members: Any) -> bool:
    pages.watch(rows)
    told = {"batchJobId": JOB, "status": "completed"} | members
    return pages.end(ResultPage(told, {"nextCursor": cursor}, is_there=True))


def target(pages: ResultPages) -> str:
    flow = pages.operation().flow()
    return next(flow).url.partition("/api/v1")[2]


@pytest.mark.parametrize(
    ("given", "extra", "name"),
    [
        (None, {}, "cursor"),
        ("", {"cursor_parameter": ""}, "cursor"),
        (None, {"cursor_parameter": "after"}, "after"),
        ("page[after]", {"cursor_parameter": "after"}, "page%5Bafter%5D"),
    ],
)
def test_the_cursor_goes_under_the_name_of_the_operator_the_connection_or_ours(
    given: str | None, extra: dict[str, Any], name: str
) -> None:
    pages = pages_of(given, **extra)
    assert target(pages) == f"/coding/{JOB}"
    assert ended(pages, "a+/=")
    assert target(pages) == f"/coding/{JOB}?{name}=a%2B%2F%3D"
    assert not ended(pages)


@pytest.mark.parametrize("name", ["a b", "a=b", "a&b", "ü", "x" * 65])
def test_a_name_that_no_query_parameter_has_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="cursor_parameter"):
        pages_of(name)


HEAD = b"x" * HEAD_BYTES
REPEATED: dict[str, list[tuple[str | None, bytes]]] = {
    "the cursor stays": [("a", b"1"), ("a", b"2")],
    "the cursor comes again": [("a", b"1"), ("b", b"2"), ("a", b"3")],
    "the last page is the first": [("a", b"1"), (None, b"1")],
    "a page comes again under other cursors": [("a", b"1"), ("b", b"2"), ("c", b"2")],
    "a page begins as another one": [("a", HEAD + b"1"), ("b", HEAD + b"2")],
}


@pytest.mark.parametrize("pages", REPEATED.values(), ids=REPEATED)
def test_a_page_or_cursor_that_comes_again_is_an_error_that_names_the_setting(
    pages: list[tuple[str | None, bytes]],
) -> None:
    seen = pages_of("after")
    for cursor, rows in pages[:-1]:
        assert ended(seen, cursor, rows)
    with pytest.raises(UnexpectedResponse, match=r"'after'.*cursor_parameter.*connection"):
        ended(seen, *pages[-1])


def test_pages_without_rows_are_no_repetition() -> None:
    seen = pages_of()
    assert [ended(seen, cursor) for cursor in ("a", "b", None)] == [True, True, False]


@pytest.mark.parametrize(
    ("members", "error", "says"),
    [
        ({"status": "processing"}, ServerError, "'processing'"),
        ({"status": "partial_failure"}, UnexpectedResponse, "which has none"),
        ({"status": "odd"}, UnexpectedResponse, "unknown status"),
        ({"status": None}, UnexpectedResponse, "without a status"),
        ({"batchJobId": "other"}, UnexpectedResponse, "'other'"),
        ({"results": {"error": "x"}}, UnexpectedResponse, "error"),
        ({"cursor": ""}, UnexpectedResponse, "nextCursor"),
        ({"cursor": True}, UnexpectedResponse, "nextCursor"),
        ({"cursor": {}}, UnexpectedResponse, "nextCursor"),
    ],
)
def test_a_page_that_is_no_page_of_this_finished_job_is_refused(
    members: dict[str, Any], error: type[VendorError], says: str
) -> None:
    with pytest.raises(error, match=says):
        ended(pages_of(), **members)


@pytest.mark.parametrize(
    "body",
    [
        {"batchJobId": JOB, "status": "completed"},
        {"batchJobId": JOB, "status": "completed", "results": None},
        {"batchJobId": JOB, "status": "completed", "results": {"questionCodes": None}},
        {"batchJobId": JOB, "status": "completed", "results": {"items": []}},
        {"status": "completed", "results": {"questionCodes": []}},
    ],
)
def test_results_or_an_id_that_are_not_there_are_no_empty_results(body: dict[str, Any]) -> None:
    pages = pages_of()
    page = read_page(JsonReader([json.dumps(body).encode()]), CodingRows(Kept()))
    with pytest.raises(UnexpectedResponse, match="without"):
        pages.end(page)


def test_a_cursor_that_is_rejected_names_the_setting() -> None:
    pages = pages_of()
    ended(pages, "a")
    with pytest.raises(VendorError, match="cursor_parameter"):
        finish(pages.operation().flow(), reply({"code": "INVALID_REQUEST"}, 400))


def test_the_form_of_the_id_says_which_results_there_are() -> None:
    hook = hook_of(AftercareHook)
    assert [rows_of(hook.parse_job_id(job)) for job in (JOB, f"data-quality/{JOB}")] == [
        CodingRows,
        QualityRows,
    ]
