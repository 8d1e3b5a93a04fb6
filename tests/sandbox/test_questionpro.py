"""The QuestionPro stand-in."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import jsonschema
import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox import client
from tests.sandbox.schemas import questionpro as schemas

ask = partial(client.ask, "questionpro")
ORDER: dict[str, Any] = {
    "compose": {"surveyID": 4711},
    "recipients": {"filterType": 1},
    "send": {"notification": {"enableEmailInvitation": True}},
}


def batch(sandbox: Sandbox, batch_id: int = 7) -> dict[str, Any]:
    """Return a mailing, which must be as the vendor describes it."""
    reply = ask(sandbox, f"batches/{batch_id}")
    assert reply.status_code == 200
    jsonschema.validate(reply.json(), schemas.BATCH)
    inner: dict[str, Any] = reply.json()["response"]
    assert inner["id"] == batch_id
    return inner


def check_error(
    reply: requests.Response, status: int, error_id: str, name: str, *, http: int | None = None
) -> None:
    jsonschema.validate(reply.json(), schemas.ERROR)
    error = reply.json()["response"]["error"]
    assert reply.status_code == (status if http is None else http)
    assert (error["httpStatusCode"], error["id"], error["name"]) == (status, error_id, name)


ENDPOINTS = [("GET", "batches/1001"), ("POST", "batches"), ("GET", "users/7001/communities")]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_only_the_header_with_the_hyphen_counts(shared: Sandbox, method: str, path: str) -> None:
    key = shared.connection("questionpro")["password"]
    url = f"{shared.api_url}/a/api/v2/micropanel/{path}"
    for headers, params in (
        ({}, {}),
        ({"api-key": "wrong"}, {}),
        ({"api-key": b"\xff\xfe"}, {}),
        ({"apiKey": key}, {}),
        ({}, {"apiKey": key}),
        ({"Authorization": f"Bearer {key}"}, {}),
    ):
        reply = requests.request(method, url, headers=headers, params=params, timeout=10)
        check_error(reply, 401, "1010", "UNAUTHORIZED")
    reply = requests.request(method, url, headers={"API-KEY": key}, timeout=10)
    assert reply.status_code in (200, 400)


def test_a_key_can_be_rotated_and_revoked(sandbox: Sandbox) -> None:
    old = {"api-key": sandbox.connection("questionpro")["password"]}
    sandbox.change_settings("questionpro", api_key="new")
    url = f"{sandbox.api_url}/a/api/v2/micropanel/batches/1001"
    assert requests.get(url, headers=old, timeout=10).status_code == 401
    assert ask(sandbox, "batches/1001").status_code == 200
    assert (sandbox.revoke_tokens("questionpro"), sandbox.revoke_tokens("questionpro")) == (1, 0)
    check_error(ask(sandbox, "batches/1001"), 401, "1010", "UNAUTHORIZED")
    sandbox.change_settings("questionpro", api_key="newer")
    assert ask(sandbox, "batches/1001").status_code == 200
    assert sandbox.settings("questionpro")["keys_refused"] == 2


def test_the_connection_is_an_origin_and_a_key_of_its_own(sandbox: Sandbox) -> None:
    connection = sandbox.connection("questionpro")
    assert set(connection) == {"conn_type", "host", "password"}
    assert connection["host"] == sandbox.api_url
    assert connection["password"].startswith("sandbox-password-")
    with Sandbox(settings={"questionpro": {"api_key": "canary"}}) as other:
        assert other.connection("questionpro")["password"] == "canary"


def test_a_batch_moves_with_the_clock_to_its_delivery(sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", "7", running_seconds=200, survey_id=11, sender_user_id=12)
    bodies = [batch(sandbox)]
    for _ in range(2):
        sandbox.advance_clock(100)
        bodies.append(batch(sandbox))
    assert [body["status"] for body in bodies] == ["Scheduled", "Sending", "Delivery Successful"]
    assert list(bodies[0]) == ["surveyID", "senderUserID", "status", "creationTimestamp", "id"]
    assert {(body["surveyID"], body["senderUserID"]) for body in bodies} == {(11, 12)}
    (view,) = [job for job in sandbox.jobs() if job["id"] == "7"]
    assert (view["vendor"], view["status"], view["polls"]) == ("questionpro", "Delivery Successful", 3)


def test_the_time_has_milliseconds_and_an_offset_with_a_colon(sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", "7")
    text = batch(sandbox)["creationTimestamp"]
    assert text.endswith("+00:00")
    assert len(text) == len("2023-05-17T11:03:21.000+00:00")
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


def test_any_words_can_be_given(sandbox: Sandbox) -> None:
    sandbox.put_job(
        "questionpro", "7", running_words=["In Arbeit"], running_seconds=100, end="Delivery Failed"
    )
    assert batch(sandbox)["status"] == "In Arbeit"
    sandbox.advance_clock(100)
    assert batch(sandbox)["status"] == "Delivery Failed"
    sandbox.put_job("questionpro", "7", running_words=[])
    assert batch(sandbox)["status"] == "Delivery Successful"
    sandbox.put_job("questionpro", "7", script=["Paused", {"status": "", "surveyID": 3}, {"http": 502}])
    assert batch(sandbox)["status"] == "Paused"
    assert (batch(sandbox)["status"], ask(sandbox, "batches/7").status_code) == ("", 502)


def test_an_error_may_come_inside_a_200(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", errors_inside_200=True)
    check_error(ask(sandbox, "batches/9"), 404, "1040", "NOT_FOUND", http=200)
    sandbox.change_settings("questionpro", permitted=False)
    check_error(ask(sandbox, "batches/1001"), 403, "1013", "FORBIDDEN", http=200)
    sandbox.change_settings("questionpro", permitted=True, errors_inside_200=False)
    body = {"response": {"error": {"id": "1026", "httpStatusCode": 500}}}
    sandbox.put_job("questionpro", "7", script=[{"body": body}])
    reply = ask(sandbox, "batches/7")
    assert (reply.status_code, reply.json()) == (200, body)


def test_the_id_of_an_error_may_be_a_number(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", integer_error_ids=True)
    assert ask(sandbox, "batches/9").json()["response"]["error"]["id"] == 1040


def test_an_unknown_batch_and_a_malformed_id_are_errors(sandbox: Sandbox) -> None:
    check_error(ask(sandbox, "batches/9"), 404, "1040", "NOT_FOUND")
    check_error(ask(sandbox, "nowhere"), 404, "1040", "NOT_FOUND")
    for batch_id in ("None", "7%20", "-7", "7.0", "%D9%A7", "9" * 30):
        check_error(ask(sandbox, f"batches/{batch_id}"), 400, "1000", "BAD_REQUEST")


def test_a_key_without_permission_is_a_403(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", permitted=False)
    for path in ("batches/1001", "users/7001/communities"):
        check_error(ask(sandbox, path), 403, "1013", "FORBIDDEN")


def test_calls_are_throttled_when_asked_for_and_again_free_after_the_window(sandbox: Sandbox) -> None:
    assert {ask(sandbox, "batches/1001").status_code for _ in range(3)} == {200}, "off by default"
    sandbox.advance_clock(61)
    sandbox.change_settings("questionpro", requests_per_window=2, window_seconds=60)
    assert [ask(sandbox, "batches/1001").status_code for _ in range(4)] == [200, 200, 429, 429]
    reply = ask(sandbox, "batches/1001")
    jsonschema.validate(reply.json(), schemas.ERROR)
    assert reply.json()["response"]["error"]["id"] != "1013"
    assert "Retry-After" not in reply.headers
    sandbox.change_settings("questionpro", retry_after_seconds=7)
    assert ask(sandbox, "batches/1001").headers["Retry-After"] == "7"
    sandbox.advance_clock(60)
    assert ask(sandbox, "batches/1001").status_code == 200
    assert sandbox.settings("questionpro")["throttled"] == 4


def test_a_window_of_time_goes_along_with_the_clock_and_counts_what_was_answered(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", requests_per_window=2)
    statuses = []
    for seconds in (0, 40, 10, 15, 10, 30):
        sandbox.advance_clock(seconds)
        statuses.append(ask(sandbox, "batches/1001").status_code)
    # At 0, 40, 50, 65, 75 and 105 seconds: the first call leaves the window at 60, the next one at 100.
    assert statuses == [200, 200, 429, 200, 429, 200]
    assert sandbox.settings("questionpro")["throttled"] == 2


def test_a_spent_licence_is_a_429_of_another_kind_that_waiting_does_not_cure(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", licence_calls_left=1)
    assert ask(sandbox, "batches/1001").status_code == 200
    sandbox.advance_clock(86_400)
    check_error(ask(sandbox, "batches/1001"), 429, "1013", "TOO_MANY_REQUESTS")
    assert sandbox.settings("questionpro")["licence_calls_left"] == 0
    sandbox.change_settings("questionpro", licence_calls_left=None)
    assert ask(sandbox, "batches/1001").status_code == 200


def test_a_mailing_is_sent_once_a_call_and_counted(sandbox: Sandbox) -> None:
    first = ask(sandbox, "batches", ORDER)
    sandbox.change_settings("questionpro", create_status=201, create_running_seconds=100)
    second = ask(sandbox, "batches", ORDER)
    assert (first.status_code, second.status_code) == (200, 201)
    for reply in (first, second):
        jsonschema.validate(reply.json(), schemas.BATCH)
        assert reply.json()["response"]["surveyID"] == 4711
    assert first.json()["response"]["id"] != second.json()["response"]["id"]
    assert sandbox.settings("questionpro")["mails_sent"] == 2
    sandbox.advance_clock(99)
    assert batch(sandbox, second.json()["response"]["id"])["status"] == "Sending"
    sandbox.advance_clock(1)
    assert batch(sandbox, second.json()["response"]["id"])["status"] == "Delivery Successful"


@pytest.mark.parametrize(
    ("body", "error_id"),
    [
        ("x", "1002"),
        ([], "1002"),
        (ORDER | {"compose": {}}, "1002"),
        (ORDER | {"compose": {"surveyID": "4711"}}, "1002"),
        (ORDER | {"recipients": {"filterType": 4}}, "1002"),
        (ORDER | {"recipients": {"filterType": [1]}}, "1002"),
        (ORDER | {"recipients": {"filterType": 2}}, "1002"),
        (ORDER | {"recipients": {"filterType": 3}}, "1002"),
        ({"compose": ORDER["compose"], "recipients": ORDER["recipients"]}, "1002"),
    ],
)
def test_a_mailing_that_is_no_good_is_a_400_and_sends_nothing(
    sandbox: Sandbox, body: object, error_id: str
) -> None:
    check_error(ask(sandbox, "batches", body), 400, error_id, "BAD_REQUEST")
    assert sandbox.settings("questionpro")["mails_sent"] == 0


def test_a_body_that_is_no_json_has_an_error_of_its_own(sandbox: Sandbox) -> None:
    headers = {"api-key": sandbox.connection("questionpro")["password"]}
    url = f"{sandbox.api_url}/a/api/v2/micropanel/batches"
    check_error(requests.post(url, data=b"{", headers=headers, timeout=10), 400, "1001", "BAD_REQUEST")


def test_the_communities_of_a_user_are_a_harmless_read(sandbox: Sandbox) -> None:
    sender = batch(sandbox, 1001)["senderUserID"]
    reply = ask(sandbox, f"users/{sender}/communities")
    assert (reply.status_code, set(reply.json())) == (200, {"response", "requestID"})
    assert isinstance(reply.json()["response"], list)
    check_error(ask(sandbox, "users/0/communities"), 404, "1040", "NOT_FOUND")
    check_error(ask(sandbox, "users/me/communities"), 400, "1000", "BAD_REQUEST")


def test_the_demo_batch_starts_at_its_first_status_request_and_takes_20_seconds(sandbox: Sandbox) -> None:
    sandbox.advance_clock(3600)
    assert batch(sandbox, 1001)["status"] == "Scheduled"
    sandbox.advance_clock(10)
    assert batch(sandbox, 1001)["status"] == "Sending"
    sandbox.advance_clock(10)
    assert batch(sandbox, 1001)["status"] == "Delivery Successful"


# Responses to a survey


def page(sandbox: Sandbox, number: int = 1, per_page: int = 10, survey: object = 5001) -> requests.Response:
    return requests.get(
        f"{sandbox.api_url}/a/api/v2/surveys/{survey}/responses",
        headers=client.credentials("questionpro", sandbox),
        params={"page": str(number), "perPage": str(per_page)},
        timeout=10,
    )


def numbers(reply: requests.Response) -> list[int]:
    """Return which responses a page has, counted from the survey's first."""
    return [item["responseID"] - 32_000_001 for item in reply.json()["response"]]


def test_responses_come_in_pages_as_the_vendor_describes_them(sandbox: Sandbox) -> None:
    replies = [page(sandbox, number) for number in (1, 2, 3, 4)]
    for reply in replies:
        jsonschema.validate(reply.json(), schemas.RESPONSES)
    assert [numbers(reply) for reply in replies] == [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 25)),
        [],
    ]
    told = replies[1].json()["pagination"]
    assert {name: told[name] for name in told if name != "links"} == {
        "perPage": 10,
        "totalItems": 25,
        "currentPage": 2,
        "totalPages": 3,
    }
    assert told["links"]["next"] == "?page=3&perPage=10"


def test_the_older_form_of_a_page_has_other_names(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", older_pagination=True, most_per_page=4)
    told = page(sandbox, 7).json()["pagination"]
    assert (told["page"], told["total"], told["perPage"]) == (7, 25, 4)
    assert set(told) == {"page", "total", "perPage", "links"}


def test_responses_arrive_and_vanish_after_each_page_of_their_survey(sandbox: Sandbox) -> None:
    sandbox.put_job("questionpro", "8", survey_id=8)
    sandbox.change_settings("questionpro", survey_responses=4, responses_arrive=2, responses_vanish=1)
    assert [numbers(page(sandbox)) for _ in range(3)] == [[0, 1, 2, 3], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]]
    assert numbers(page(sandbox, survey=8)) == [0, 1, 2, 3]
    sandbox.change_settings("questionpro", newest_first=True, ignore_page=True)
    assert numbers(page(sandbox, 9, 3, survey=8)) == [5, 4, 3]


def test_each_page_is_a_call_that_counts(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", licence_calls_left=1)
    assert page(sandbox).status_code == 200
    check_error(page(sandbox), 429, "1013", "TOO_MANY_REQUESTS")


@pytest.mark.parametrize(
    ("arguments", "status", "error_id", "name"),
    [
        ({"survey": 6006}, 404, "1040", "NOT_FOUND"),
        ({"survey": "x"}, 400, "1003", "BAD_REQUEST"),
        ({"number": 0}, 400, "1003", "BAD_REQUEST"),
        ({"per_page": -1}, 400, "1003", "BAD_REQUEST"),
    ],
)
def test_a_page_that_cannot_be_is_an_error(
    sandbox: Sandbox, arguments: dict[str, Any], status: int, error_id: str, name: str
) -> None:
    check_error(page(sandbox, **arguments), status, error_id, name)
