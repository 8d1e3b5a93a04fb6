"""How a report is asked for, and looked for afterwards, as values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    ServerError,
    SettingsError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook, submit
from airflow_provider_jobstatus.hooks.talkdesk.listing import PAGE_SIZE
from airflow_provider_jobstatus.hooks.talkdesk.windows import Window
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.flows import finish, hook_of, reply

API = "https://api.talkdeskapp.com/data/reports"
BODY = submit.order_body(
    "Montag",
    "Europe/Berlin",
    "csv",
    Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)),
)


def ask(answer: Response, report_type: str = "calls") -> str:
    result: str = finish(submit.submit_flow(hook_of(TalkdeskHook), report_type, BODY), answer)
    return result


def test_a_report_is_asked_for_once_and_its_id_carries_its_type() -> None:
    request = next(submit.submit_flow(hook_of(TalkdeskHook), " user_status ", BODY))
    assert (request.method, request.url) == ("POST", f"{API}/user_status/jobs")
    assert request.headers == {"Content-Type": "application/json"}
    assert json.loads(request.body or b"") == {
        "name": "Montag",
        "timezone": "Europe/Berlin",
        "format": "csv",
        "timespan": {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"},
    }


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
@pytest.mark.parametrize(
    "body",
    [
        {"id": "0f9c"},
        {"job": {"id": "0f9c"}},
        {"job": {"id": "0f9c", "status": "created"}, "id": "0f9c", "_links": {"self": {"href": "x"}}},
        {"job": None, "id": "0f9c"},
    ],
)
def test_any_2xx_with_an_id_is_a_job(status: int, body: dict[str, Any]) -> None:
    assert ask(reply(body, status)) == "calls/0f9c"
    assert ask(reply(json.dumps(body).replace('"0f9c"', "17").encode(), status)) == "calls/17"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        {},
        {"job": {}},
        {"job": []},
        {"id": ""},
        {"id": "a/b"},
        {"id": ".."},
        {"id": "None"},
        {"id": True},
        {"id": 1.5},
        {"id": ["0f9c"]},
        {"id": "0f9c", "job": {"id": "0f9d"}},
        {"jobId": "0f9c"},
        # Of another job, or of a gateway.
        {"id": "0f9c", "name": "another report"},
        {"job": {"id": "0f9c", "name": "another report"}},
        {"id": "0f9c", "code": "500", "message": "failed"},
        {"id": "req-1", "message": "accepted"},
    ],
)
def test_a_2xx_without_an_id_is_no_job(body: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        ask(reply(body, 202))


@pytest.mark.parametrize(
    ("status", "error"), [(503, ServerError), (302, UnexpectedResponse), (204, UnexpectedResponse)]
)
def test_what_is_no_2xx_with_a_body_is_its_error(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(reply(b"", status, location="/"))


@pytest.mark.parametrize("report_type", ["", "a/b", "..", "a b", None, 5])
def test_a_report_type_is_one_part_of_a_path(report_type: Any) -> None:
    with pytest.raises(SettingsError, match="report_type"):
        next(submit.submit_flow(hook_of(TalkdeskHook), report_type, BODY))


@pytest.mark.parametrize("name", ["", " ", None, 5, "a\nb", "a\u200bb", "x" * (submit.MAX_OWN_NAME + 1)])
def test_a_name_can_be_printed(name: object) -> None:
    with pytest.raises(SettingsError, match="name is"):
        submit.check_name(name)


def test_a_missing_scope_is_named(sandbox: Sandbox) -> None:
    sandbox.change_settings("talkdesk", scopes="data-reports:read")
    hook = TalkdeskHook("talkdesk_default")
    with pytest.raises(AccessDenied, match="needs the scope data-reports:write"):
        hook.call(submit.submission(hook, "calls", BODY))


def page(*jobs: object) -> Response:
    return reply({"_embedded": {"jobs": list(jobs)}})


def search(*answers: Response) -> list[str]:
    result: list[str] = finish(submit.search_flow(hook_of(TalkdeskHook), "calls", "mine"), *answers)
    return result


FULL = page(*({"id": f"j{number}", "name": "theirs"} for number in range(PAGE_SIZE)))
MINE = {"id": "0f9c", "name": "mine"}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([page()], []),
        ([page({"id": "a", "name": "mine too"}, {"id": "b", "name": "Mine"})], []),
        ([page(MINE)], ["calls/0f9c"]),
        ([FULL, page({"id": "b", "name": ""}, MINE)], ["calls/0f9c"]),
        # A job may move on to the next page meanwhile.
        ([page(*[{"id": "z", "name": "theirs"}] * (PAGE_SIZE - 1), MINE), page(MINE)], ["calls/0f9c"]),
        # A server may have smaller pages.
        (
            [page({"id": "a", "name": "theirs"}), page({"id": "b", "name": "theirs"}), page(MINE)],
            ["calls/0f9c"],
        ),
        ([page(MINE, {"id": 17, "name": "mine"})], ["calls/0f9c", "calls/17"]),
    ],
)
def test_jobs_are_found_by_their_exact_name_on_all_pages(answers: list[Response], found: list[str]) -> None:
    # The last page has nothing new.
    assert search(*answers, *[page()] * (answers != [page()])) == found


def test_jobs_of_a_tag_come_in_the_order_of_their_last_words() -> None:
    names = {
        "b": "calls tag-1 0a",
        "a": "calls tag-1 0b",
        "c": "tag-1 00",
        "x": "calls tag-12 0c",
        "y": "tag",
    }
    flow = submit.search_flow(hook_of(TalkdeskHook), "calls", tag="tag-1")
    listed = page(*({"id": key, "name": name} for key, name in names.items()))
    assert finish(flow, listed, listed) == ["calls/c", "calls/b", "calls/a"]


@pytest.mark.parametrize(
    "answers",
    [
        [page({"id": "a"})],
        [page("a")],
        [page({"id": "a", "name": None})],
        [page({"name": "mine"})],
        [page({"id": {}, "name": "mine"})],
        [reply({"_embedded": {"executions": []}})],
        [reply([])],
        [page({"id": number, "name": "theirs"}) for number in range(submit.MAX_SEARCHED_PAGES)],
    ],
)
def test_a_list_that_may_leave_the_job_out_finds_nothing(answers: list[Response]) -> None:
    with pytest.raises(UnexpectedResponse):
        search(*answers)


@pytest.mark.parametrize("execute_form", ["flat", "nested"])
def test_a_job_is_found_by_its_name_at_the_sandbox(sandbox: Sandbox, execute_form: str) -> None:
    sandbox.change_settings("talkdesk", execute_form=execute_form)
    hook = TalkdeskHook("talkdesk_default")
    job_id = hook.call(submit.submission(hook, "calls", BODY))
    assert hook.call(submit.search(hook, "calls", "Montag")) == [job_id]
    assert hook.call(submit.search(hook, "contacts", "Montag")) == []
