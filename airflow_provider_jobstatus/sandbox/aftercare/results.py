"""What a finished job at the Aftercare stand-in has found: codes of answers, or evaluations of them.

Sources: https://docs.getaftercare.com/api-reference/coding/get ,
https://docs.getaftercare.com/api-reference/data-quality/batch , and the OpenAPI description behind them
(https://github.com/Kontractify/docs, api-reference/openapi.json).

No page says how results are divided into pages, or which query parameter takes a cursor. Here a page has a
number of top-level codes, so that a question may go on in the next one.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_jobstatus.sandbox.files import Content

Item = dict[str, Any]

# Braces, quotes, a status and letters outside ASCII: what makes a careless reader of JSON stumble.
AWKWARD = 'She said "status": "queued"} \\ and left. Größe 10 ✓'


class BadCursor(ValueError):
    """A cursor that was never given out."""


def made_up_codes(questions: int, codes: int, responses: int) -> list[tuple[Item, Item]]:
    """Make up top-level codes, each with the question that it belongs to.

    The first code of each question has two levels below it.
    """
    made = []
    for number in range(1, questions + 1):
        question = {"questionIdentifier": f"Q{number}", "question": f"What do you think of part {number}?"}
        for code in range(1, codes + 1):
            entries = [
                {"responseIdentifier": f"{code * 1000 + each}", "answer": AWKWARD}
                for each in range(responses)
            ]
            made.append((question, _code(code, f"Topic {code}", entries, levels=3 if code == 1 else 1)))
    return made


def codes_of(survey_responses: Sequence[Mapping[str, Any]]) -> list[tuple[Item, Item]]:
    """Code submitted answers: the long ones and the short ones."""
    made = []
    for given in survey_responses:
        question = {key: given[key] for key in ("questionIdentifier", "question")}
        entries = list(given["responseEntries"])
        for number, label in enumerate(("Long answer", "Short answer"), start=1):
            some = [entry for entry in entries if (len(entry["answer"]) >= 40) == (number == 1)]
            if some:
                made.append((question, _code(number, label, some, levels=2 if number == 1 else 1)))
    return made


def _code(number: int, label: str, entries: Sequence[Item], levels: int) -> Item:
    below = [_code(number * 10 + 1, f"{label}, closer", entries[:1], levels - 1)] if levels > 1 else []
    return {"id": number, "label": label, "responses": list(entries), "subCodes": below}


def question_codes(codes: Sequence[tuple[Item, Item]]) -> list[Item]:
    """Put the codes of a page under their questions."""
    questions: dict[str, Item] = {}
    for question, code in codes:
        identifier = question["questionIdentifier"]
        questions.setdefault(identifier, question | {"responseCodes": []})["responseCodes"].append(code)
    return list(questions.values())


def evaluations(count: int) -> list[Item]:
    """Make up evaluations of respondents; every second one has an issue."""
    made = []
    for number in range(1, count + 1):
        bad = number % 2 == 0
        score = 90 if bad else 5
        entry = {
            "surveyEntry": {"question": "What did you like?", "answer": AWKWARD},
            "numIssues": int(bad),
            "hasIssues": bad,
            "qualityScore": 100 - score,
            "demeritScore": score,
            "qualityIssueChecks": [
                {"type": "Low Effort", "score": score, "isIssue": bad, "evidence": "Short and vague."}
            ],
        }
        same = {key: entry[key] for key in ("numIssues", "qualityScore", "demeritScore")}
        made.append({"responseIdentifier": f"{1000 + number}", **same, "evaluations": [entry]})
    return made


def cut_page(items: Sequence[Any], cursor: str | None, size: int) -> tuple[Sequence[Any], str | None]:
    """Return a page and the cursor of the next one.

    :param items: All items.
    :param cursor: Where the page begins; none for the first.
    :param size: How many items a page has; 0 for all.
    :raises BadCursor: No page begins there.
    """
    begin = 0
    if cursor is not None:
        try:
            word, _, number = base64.b64decode(cursor, validate=True).decode("ascii").partition(":")
            begin = int(number) if word == "after" else 0
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise BadCursor(cursor) from error
        if not 0 < begin < len(items):
            raise BadCursor(cursor)
    end = begin + size if size else len(items)
    more = end < len(items)
    # Padding included, so that a client has to quote it.
    return items[begin:end], base64.b64encode(b"after:%d" % end).decode() if more else None


def large_reply(document: Mapping[str, object], results_bytes: int) -> Content:
    """Return a reply whose results are large, and made while they are sent.

    :param document: The reply with small results.
    :param results_bytes: About how large the results shall be.
    """
    mark = "the large results"
    before, after = json.dumps(dict(document) | {"results": mark}).split(json.dumps(mark))
    results = document["results"]
    completed_at = results["completedAt"] if isinstance(results, Mapping) else None
    head = {"completedAt": completed_at, "questionCodes": [{"questionIdentifier": "Q1", "question": "Why?"}]}
    # The list of codes is open where the head ends, and closed by the tail.
    opened = json.dumps(head).removesuffix("}]}") + ', "responseCodes": ['
    return Content(
        head=(before + opened).encode(),
        row=_large_row,
        rows=max(1, results_bytes // len(_large_row(0))),
        tail=(']}], "nextCursor": null}' + after).encode(),
    )


_LARGE_ROW = (
    json.dumps(
        {
            "id": -1,
            "label": "Topic",
            "responses": [
                {"responseIdentifier": f"NUMBER-{each}", "answer": f"{AWKWARD} " * 15} for each in range(4)
            ],
            "subCodes": [],
        },
        ensure_ascii=False,
    )
    .replace("%", "%%")
    .replace("-1,", "%(number)d,", 1)
    .replace("NUMBER", "%(number)d")
    .encode()
)


def _large_row(number: int) -> bytes:
    # Numbers of nine digits, so that all rows are equally long.
    return (b",\n" if number else b"\n ") + _LARGE_ROW % {b"number": 100_000_000 + number}
