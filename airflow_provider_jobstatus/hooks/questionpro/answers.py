"""The answers in a response to a survey, as rows; see :mod:`airflow_provider_jobstatus.hooks.questionpro`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Columns, named as QuestionPro's own members: of the response, of the question, of the answer, of its value.
_RESPONSE = (
    *("responseID", "surveyID", "surveyName", "timestamp", "responseStatus", "timeTaken", "duplicate"),
    *("language", "externalReference", "ipAddress", "customVariables"),
)
_QUESTION = ("questionID", "questionCode", "questionText")
_ANSWER = ("answerID", "answerText")
_VALUE = ("scale", "other", "text", "result", "fileLink", "weight")
COLUMNS = (*_RESPONSE, *_QUESTION, *_ANSWER, *(f"value.{name}" for name in _VALUE))


def answer_rows(response: str) -> Iterator[list[str]]:
    """
    Yield a row for each answer of a response: the cells of :data:`COLUMNS`.

    A question without an answer gives one row with empty cells, and so does a response without a question. A
    number stands as the vendor has written it, an object or array as JSON, null and what is missing as an
    empty cell. Members without a column, such as the browser, are left out.

    :param response: as JSON.
    """
    told = json.loads(response, parse_float=str, parse_int=str)
    if isinstance(told.get("customVariables"), (dict, list)):
        told["customVariables"] = json.loads(response)["customVariables"]  # its numbers are no texts
    cells = _cells(told, _RESPONSE)
    for question in _objects(told, "responseSet"):
        of_question = cells + _cells(question, _QUESTION)
        for answer in _objects(question, "answerValues"):
            value = answer.get("value")
            of_value = _cells(value if isinstance(value, Mapping) else {}, _VALUE)
            yield of_question + _cells(answer, _ANSWER) + of_value


def _objects(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects of an array; one without members if there are none."""
    found = told.get(name)
    items = found if isinstance(found, list) else []
    return [item for item in items if isinstance(item, Mapping)] or [{}]


def _cells(told: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [_cell(told.get(name)) for name in names]


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).lower()
        case _:
            return json.dumps(value, ensure_ascii=False)
