"""How a job is submitted; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from airflow_provider_jobstatus.core.content import without_addresses
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import expect_json, unexpected
from airflow_provider_jobstatus.core.strict_json import DECODER, MAX_JSON_DEPTH, nesting
from airflow_provider_jobstatus.hooks.aftercare.job import AftercareJobId
from airflow_provider_jobstatus.hooks.base import BatchJobHook

CodingKind = Literal["coding", "brand-coding", "data-quality"]

_PATHS = {"coding": "/coding", "brand-coding": "/brand-coding", "data-quality": "/data-quality/batch"}
#: Most mistakes that are named.
MAX_SHOWN = 5

#: What an object needs: a text, a text that is not empty, another object, or a list of objects that is not
#: empty.
_TEXT, _NAME = "a text", "a text that is not empty"
Needs = Mapping[str, Any]
_QUESTION: Needs = {
    "questionIdentifier": _NAME,
    "question": _NAME,
    "responseEntries": [{"responseIdentifier": _NAME, "answer": _TEXT}],
}
_BRANDS: Needs = {"brandContext": {"industryDescription": _NAME, "brands": [{"name": _NAME}]}}
_NEEDS: Mapping[str, Needs] = {
    "coding": {"surveyIdentifier": _NAME, "surveyResponses": [_QUESTION]},
    "brand-coding": {"surveyIdentifier": _NAME, "surveyResponses": [{**_QUESTION, **_BRANDS}]},
    "data-quality": {
        "surveyName": _NAME,
        "callbackUrl": _NAME,
        "responses": [{"surveyEntries": [{"question": _NAME, "answer": _TEXT}]}],
    },
}

#: Columns of a table of answers; the first may be missing.
COLUMNS = ("questionIdentifier", "question", "responseIdentifier", "answer")


def order_body(kind: CodingKind, body: object) -> bytes:
    """
    Return the body of an order as it is sent: as it was given, unknown members included.

    :param body: an object, or a text or bytes of strict JSON, which are sent as they are.
    :raises SettingsError: it cannot be an order; names the places, and shows nothing of what stands there.
    """
    if isinstance(body, (str, bytes)):
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body.removeprefix(BOM_UTF8)
        body = _parsed(raw)
    else:
        try:
            raw = json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            # The text of a TypeError names a type, that of the others nothing of the content.
            raise SettingsError(f"body is no JSON: {error}") from None
    _check(_mistakes("body", body, _NEEDS[kind]))
    return raw


def body_of_rows(rows: object, survey_identifier: str) -> dict[str, Any]:
    """
    Return the body of an order of coding for a table of answers.

    :param rows: a list of dicts with :data:`COLUMNS`. Rows without ``questionIdentifier`` have the text of
        their question for one. Identifiers may be whole numbers.
    :raises SettingsError: a row that cannot be sent, or a response that stands twice in one question; by its
        number, from 0, and never by its content.
    """
    if not isinstance(rows, (list, tuple)):
        raise SettingsError(
            f"rows is a {type(rows).__name__}; give a list of dicts, or the output of a task that returns "
            "one: a template makes a text of it"
        )
    questions: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()

    def mistakes() -> Iterator[str]:
        for number, row in enumerate(rows):
            place = f"rows[{number}]"
            if not isinstance(row, Mapping):
                yield f"{place} is a {type(row).__name__}, not a dict"
                continue
            if strays := row.keys() - set(COLUMNS):
                yield f"{place} has {len(strays)} columns besides {', '.join(COLUMNS)}"
                continue
            cells = {name: _as_text(name, row.get(name)) for name in COLUMNS}
            if cells["questionIdentifier"] is None and row.get("questionIdentifier") is None:
                cells["questionIdentifier"] = cells["question"]
            if missing := [name for name in COLUMNS if not cells[name] or not str(cells[name]).strip()]:
                yield f"{place}.{missing[0]} is {_kind(row.get(missing[0]))}, not a text that is not empty"
                continue
            identifier, question, response, answer = (str(cells[name]) for name in COLUMNS)
            asked = questions.setdefault(
                identifier,
                {"questionIdentifier": identifier, "question": question, "responseEntries": []},
            )
            if asked["question"] != question:
                yield f"{place}.question is another one than before for the same questionIdentifier"
            elif (identifier, response) in seen:
                yield f"{place}.responseIdentifier stands twice in one question"
            seen.add((identifier, response))
            asked["responseEntries"].append({"responseIdentifier": response, "answer": answer})

    _check(mistakes())
    return {"surveyIdentifier": survey_identifier, "surveyResponses": list(questions.values())}


def submit_flow(hook: BatchJobHook, kind: CodingKind, body: bytes) -> Flow[str]:
    """
    Submit a job: ``POST /coding``, ``POST /brand-coding``, ``POST /data-quality/batch``.

    Smallest reply relied on, with any 2xx: ``{"batchJobId": "123e4567"}``

    :param body: from :func:`order_body`.
    :return: the job id.
    :raises UnexpectedResponse: a 2xx that names no job.
    """
    request = hook.request("POST", _PATHS[kind], headers={"Content-Type": "application/json"}, body=body)
    response = yield request
    if response.status >= 400:
        response = without_addresses(response)
    reply = expect_json(request, response, *range(200, 300))
    told, survey = reply.get("batchJobId"), reply.get("surveyIdentifier")
    if reply.get("code") or reply.get("error"):
        raise unexpected(request, "answered an error, with or without the id of a job")
    if kind != "data-quality" and survey not in (None, json.loads(body)["surveyIdentifier"]):
        raise unexpected(request, "answered for another survey")
    if not isinstance(told, str) or not told.strip():
        raise unexpected(request, "answered without a 'batchJobId'")
    try:
        job: AftercareJobId = hook.parse_job_id(f"data-quality/{told}" if kind == "data-quality" else told)
        if job.job != told:
            raise SettingsError("it names another kind of job")
    except SettingsError as error:
        raise unexpected(request, f"answered an id that is none: {error}") from None
    return job.text


def submission(hook: BatchJobHook, kind: CodingKind, body: bytes) -> Operation[str]:
    """Return the operation that submits a job."""
    return hook.submission(partial(submit_flow, hook, kind, body))


def _parsed(raw: bytes) -> Any:
    try:
        if nesting(raw) > MAX_JSON_DEPTH:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        return DECODER.decode(raw.decode())
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
        if raw.lstrip().startswith(b"{'"):
            reason += "; a template makes JSON of a dict with the filter tojson"
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except ValueError as error:
        reason = str(error)
    raise SettingsError(f"body is no JSON: {reason}")


def _mistakes(place: str, value: object, needs: Needs) -> Iterator[str]:
    """Yield what is wrong with an object, by its place."""
    if not isinstance(value, Mapping):
        yield f"{place} is {_kind(value)}, not an object (a dict)"
        return
    for name, need in needs.items():
        found, where = value.get(name), f"{place}.{name}"
        if isinstance(need, Mapping):
            yield from _mistakes(where, found, need)
        elif isinstance(need, list):
            if not isinstance(found, (list, tuple)) or not found:
                yield f"{where} is {_kind(found)}, not a list that is not empty"
                continue
            for number, item in enumerate(found):
                yield from _mistakes(f"{where}[{number}]", item, need[0])
        elif not isinstance(found, str) or (need == _NAME and not found.strip()):
            yield f"{where} is {_kind(found)}, not {need}"


def _check(mistakes: Iterator[str]) -> None:
    found = list(mistakes)
    if found:
        more = f"; and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        raise SettingsError("; ".join(found[:MAX_SHOWN]) + more)


def _as_text(name: str, value: object) -> str | None:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300
    return str(value) if is_number and name.endswith("Identifier") else None


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    empty = isinstance(value, (str, list, tuple)) and not (value.strip() if isinstance(value, str) else value)
    return "empty" if empty else type(value).__name__
