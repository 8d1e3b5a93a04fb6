"""Scripted answers, faults and the clock."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox


def get_status(sandbox: Sandbox, job_id: str = "demo-site/j", timeout: float = 10) -> requests.Response:
    token = sandbox.connection("ruler", token=True)["password"]
    site, job = job_id.split("/", 1)
    url = f"{sandbox.api_url}/v1/{site}/batch/{job}/status"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout)


def admin(sandbox: Sandbox, method: str, path: str, body: object = None) -> requests.Response:
    return requests.request(method, f"{sandbox.api_url}/_sandbox/{path}", json=body, timeout=10)


@pytest.mark.parametrize("last", ["complete", 503])
def test_a_scripted_job_plays_its_script_and_repeats_the_last(sandbox: Sandbox, last: object) -> None:
    script = ["pending", "processing", last if isinstance(last, str) else {"http": last}]
    sandbox.put_job("ruler", "demo-site/j", script=script)
    replies = [get_status(sandbox) for _ in range(5)]
    said = [reply.json()["status"] if reply.ok else reply.status_code for reply in replies]
    assert said == ["pending", "processing", last, last, last]


def test_a_scripted_job_can_be_made_over_http(sandbox: Sandbox) -> None:
    made = admin(sandbox, "PUT", "ruler/jobs/demo-site/j", {"script": ["processing"]})
    assert made.json() == {
        "vendor": "ruler",
        "id": "demo-site/j",
        "status": "processing",
        "progress": 50,
        "polls": 0,
        "last_poll_at": None,
    }
    assert get_status(sandbox).json()["status"] == "processing"


def test_scripted_counts_override_and_shape_what_follows_from_them(sandbox: Sandbox) -> None:
    entry = {"status": "processing", "processedRows": 40, "failureReason": "odd"}
    sandbox.put_job("ruler", "demo-site/j", total_rows=200, script=[entry])
    body = get_status(sandbox).json()
    assert (body["processedRows"], body["percentageProgress"], body["successCount"]) == (40, 20, 40)
    assert body["failureReason"] == "odd"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pending", (0, 0, 0, 0)),
        ("processing", (50, 50, 50, 0)),
        ("complete", (100, 100, 100, 0)),
        ("partialcomplete", (100, 100, 99, 1)),
        ("failed", (100, 100, 0, 100)),
        ("archived", (50, 50, 50, 0)),
    ],
)
def test_a_scripted_word_brings_counts_that_fit(
    shared: Sandbox, word: str, expected: tuple[int, ...]
) -> None:
    shared.put_job("ruler", "demo-site/j", script=[word])
    body = get_status(shared).json()
    keys = ("processedRows", "percentageProgress", "successCount", "failureCount")
    assert tuple(body[key] for key in keys) == expected
    assert (body["completedDateTime"] is not None) == (word in ("complete", "partialcomplete", "failed"))


def test_the_end_of_a_scripted_job_stays_where_it_was_first_shown(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=["complete"])
    first = get_status(sandbox).json()
    sandbox.advance_clock(500)
    assert get_status(sandbox).json() == first


def test_a_scripted_fault_has_the_status_headers_and_body_it_was_given(sandbox: Sandbox) -> None:
    sandbox.put_job(
        "ruler",
        "demo-site/j",
        script=[
            {"http": 503, "headers": {"Retry-After": "2"}},
            {"http": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
            {"body": [1, 2]},
            {"body": '{"status": ', "content_type": "application/json"},
            {"body": b"\xff\xfe"},
            "complete",
        ],
    )
    unavailable, gateway, wrong_type, broken, binary, good = [get_status(sandbox) for _ in range(6)]
    assert (unavailable.status_code, unavailable.headers["Retry-After"], unavailable.text) == (503, "2", "")
    assert (gateway.status_code, gateway.text) == (502, "<h1>Bad gateway</h1>")
    assert gateway.headers["Content-Type"] == "text/html"
    assert (wrong_type.status_code, wrong_type.json()) == (200, [1, 2])
    assert wrong_type.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (broken.text, broken.headers["Content-Type"]) == ('{"status": ', "application/json")
    assert binary.content == b"\xff\xfe"
    assert good.json()["status"] == "complete"


def test_a_redirect_is_sent_as_scripted(sandbox: Sandbox) -> None:
    sandbox.put_answers("/v1/r", [{"http": 303, "headers": {"Location": "/elsewhere"}}])
    response = requests.get(f"{sandbox.api_url}/v1/r", allow_redirects=False, timeout=10)
    assert (response.status_code, response.headers["Location"]) == (303, "/elsewhere")


def test_a_scripted_disconnect_ends_the_connection_without_an_answer(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=[{"disconnect": True}, "complete"])
    with pytest.raises(requests.ConnectionError):
        get_status(sandbox)
    assert sandbox.requests[-1]["status"] is None
    assert get_status(sandbox).json()["status"] == "complete"


def test_a_disconnect_with_a_body_breaks_off_in_its_middle(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=[{"disconnect": True, "body": "0123456789"}])
    token = sandbox.connection("ruler", token=True)["password"]
    with requests.get(
        f"{sandbox.api_url}/v1/demo-site/batch/j/status",
        headers={"Authorization": f"Bearer {token}"},
        stream=True,
        timeout=10,
    ) as response:
        assert response.headers["Content-Length"] == "10"
        pieces = response.iter_content(1)
        assert b"".join(next(pieces) for _ in range(5)) == b"01234"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(pieces)
    assert sandbox.requests[-1]["status"] == 200


def test_a_delay_outlasts_a_clients_patience_and_does_not_hold_up_the_end(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=[{"delay_seconds": 60}])
    with pytest.raises(requests.ReadTimeout):
        get_status(sandbox, timeout=0.2)
    assert sandbox.requests[-1]["status"] is None
    begin = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - begin < 5


def test_a_dripping_body_arrives_whole_but_late(sandbox: Sandbox) -> None:
    sandbox.put_answers("/v1/drip", [{"body": "abcdef", "drip_seconds": 0.02}])
    begin = time.monotonic()
    assert requests.get(f"{sandbox.api_url}/v1/drip", timeout=10).text == "abcdef"
    assert time.monotonic() - begin >= 0.1


def test_an_entry_without_an_answer_changes_the_usual_one(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=[{"status": "pending", "headers": {"X-Trace": "1"}}])
    response = get_status(sandbox)
    assert (response.json()["status"], response.headers["X-Trace"]) == ("pending", "1")
    sandbox.put_answers("/v1/nowhere", [{"headers": {"X-Trace": "2"}}])
    response = requests.get(f"{sandbox.api_url}/v1/nowhere", timeout=10)
    assert (response.status_code, response.headers["X-Trace"]) == (404, "2")


def test_answers_for_a_method_and_path_are_used_up_and_then_the_usual_behaviour_returns(
    sandbox: Sandbox,
) -> None:
    def statuses(method: str, url: str, count: int) -> list[int]:
        return [requests.request(method, url, timeout=10).status_code for _ in range(count)]

    path, listing = "/v1/demo-site/batch/jobs", f"{sandbox.api_url}/v1/demo-site/batch/jobs"
    body = {"path": path, "method": "GET", "script": [{"http": 500}, {"http": 429}]}
    assert admin(sandbox, "PUT", "ruler/answers", body).json() == {"answers": 2}
    assert statuses("GET", f"{listing}?page=1", 3) == [500, 429, 401]
    sandbox.put_answers(path, [{"http": 500}], method="POST")
    assert (statuses("GET", listing, 1), statuses("POST", listing, 1)) == ([401], [500])
    # A login can be scripted, too; new answers replace those that are left.
    sandbox.put_answers("/v1/login", [{"http": 200}], method="post")
    assert statuses("POST", f"{sandbox.auth_url}/v1/login", 2) == [200, 401]
    sandbox.put_answers("/v1/x", [{"http": 500}, {"http": 500}])
    sandbox.put_answers("/v1/x", [{"http": 418}])
    assert statuses("GET", f"{sandbox.api_url}/v1/x", 2) == [418, 404]


def test_the_clock_moves_forward_only(sandbox: Sandbox) -> None:
    before = sandbox.health()["now"]
    after = admin(sandbox, "POST", "clock", {"advance_seconds": 60}).json()["now"]
    assert 60 <= after - before < 90
    assert admin(sandbox, "POST", "clock", {"advance_seconds": -1}).status_code == 400
    with pytest.raises(ValueError, match="only moves forward"):
        sandbox.advance_clock(-1)
    stopped_at = sandbox.stop_clock()
    assert (sandbox.health()["now"], sandbox.advance_clock(2)) == (stopped_at, stopped_at + 2)


def test_jobs_tell_how_often_they_were_asked_for(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "demo-site/j", script=[{"http": 503}, "processing"])
    sandbox.put_job("ruler", "demo-site/k")
    get_status(sandbox)
    get_status(sandbox)
    jobs = {job["id"]: job for job in admin(sandbox, "GET", "jobs").json()}
    assert jobs == {job["id"]: job for job in sandbox.jobs()}
    assert (jobs["demo-site/j"]["polls"], jobs["demo-site/j"]["status"]) == (2, "processing")
    assert abs(jobs["demo-site/j"]["last_poll_at"] - sandbox.health()["now"]) < 60
    assert (jobs["demo-site/k"]["polls"], jobs["demo-site/k"]["last_poll_at"]) == (0, None)


#: Vendor, id, spec, and what the message says.
BAD_JOBS: list[tuple[str, str, Any, str]] = [
    *(
        ("ruler", "demo-site/j", spec, message)
        for spec, message in (
            ({"total": 5}, "unknown key total"),
            ({"total_rows": -1}, "total_rows must be a whole number"),
            ({"total_rows": True}, "total_rows must be a whole number"),
            ({"pending_seconds": "2"}, "pending_seconds must be a number"),
            ({"end": "done"}, "end must be one of"),
            ({"end": "complete", "failed_rows": 1}, "no failed_rows"),
            ({"end": "partialcomplete", "failed_rows": 100}, "not all rows"),
            ({"end": "failed", "failed_rows": 1}, "failed in all rows"),
            ({"failed_rows": 101}, "more than total_rows"),
            ({"failures_csv": 1}, "failures_csv must be a string"),
            ({"start_on_first_poll": 1}, "must be true or false"),
            ({"script": {}}, "script must be a list"),
            ({"script": "complete"}, "there is no instruction 'complete'"),
            ({"script": "reset*0"}, "'reset*0' is no instruction"),
            ({"script": ""}, "'' is no instruction"),
            ({"script": "status:99"}, "status:99 is no status"),
            ({"script": "status:503:done"}, "status:503:done is no status"),
            ({"script": "status:200:cancelled"}, "has no word for 'cancelled'"),
            ({"script": [{"http": 99}]}, "http must be a status"),
            ({"script": [{"http": 200, "status": "failed"}]}, "no other keys"),
            ({"script": [{"processed": 1}]}, "unknown key processed"),
            ({"script": [{"headers": {"A": 1}}]}, "object of strings"),
            ({"script": [7]}, "must be an object"),
            ([], "must be an object"),
        )
    ),
    ("ruler", "just-a-site", {}, "<site id>/<job id>"),
    ("talkdesk", "j", {}, "<report type>/<job id>"),
    ("talkdesk", "calls/", {}, "<report type>/<job id>"),
    ("talkdesk", "calls/j", {"end": "complete"}, "end must be one of done, failed"),
    ("talkdesk", "calls/j", {"format": "xml"}, "format must be one of"),
    ("talkdesk", "calls/j", {"done_form": "304"}, "done_form must be one of"),
    ("talkdesk", "calls/j", {"words": "title"}, "words must be one of"),
    ("talkdesk", "calls/j", {"pending_seconds": 3}, "unknown key pending_seconds"),
    ("talkdesk", "calls/j", {"script": [{"progress": 3}]}, "unknown key progress"),
    ("aftercare", "no_id", {}, "<batchJobId>"),
    ("aftercare", "quality/j", {}, "<batchJobId>"),
    ("aftercare", "data-quality/j", {"end": "partial_failure"}, "end must be one of completed, failed"),
    ("aftercare", "j", {"end": "failed"}, "end must be one of completed, partial_failure"),
    ("aftercare", "j", {"status_position": "nowhere"}, "status_position must be one of"),
    ("aftercare", "j", {"results_bytes": -1}, "results_bytes must be a whole number"),
    ("aftercare", "data-quality/j", {"results_bytes": 1}, "unknown key results_bytes"),
    ("aftercare", "j", {"script": [{"progress": 1}]}, "unknown key progress"),
    ("questionpro", "x", {}, "id is a number"),
    ("questionpro", "7/8", {}, "id is a number"),
    ("questionpro", "7", {"running_words": "Queued"}, "running_words must be a list"),
    ("questionpro", "7", {"pending_seconds": 1}, "unknown key pending_seconds"),
    ("questionpro", "7", {"script": [{"progress": 1}]}, "unknown key progress"),
]


def test_a_mistake_in_a_job_is_an_error_and_makes_none(sandbox: Sandbox) -> None:
    before = sandbox.jobs()
    for vendor, job_id, spec, message in BAD_JOBS:
        if not job_id.endswith("/"):  # which is no such address
            response = admin(sandbox, "PUT", f"{vendor}/jobs/{job_id}", spec)
            assert (response.status_code, message in response.json()["error"]) == (400, True), message
        if isinstance(spec, dict):
            with pytest.raises(ValueError, match=re.escape(message)):
                sandbox.put_job(vendor, job_id, **spec)
    assert sandbox.jobs() == before


def test_a_mistake_in_another_admin_request_is_an_error(sandbox: Sandbox) -> None:
    for method, path, body, message in (
        ("PUT", "ruler/answers", {"path": "v1", "script": []}, "begin with a slash"),
        ("PUT", "ruler/answers", {"path": "/v1?x", "script": []}, "no query"),
        ("PUT", "ruler/answers", {"path": "/v1", "script": ["complete"]}, "status word means nothing"),
        ("PATCH", "ruler/settings", {"token_lifetime": 3}, "unknown key token_lifetime"),
        ("POST", "clock", {"seconds": 3}, "unknown key seconds"),
    ):
        response = admin(sandbox, method, path, body)
        assert (response.status_code, message in response.json()["error"]) == (400, True), message


def test_an_admin_body_that_is_not_json_and_an_unknown_vendor_are_told(sandbox: Sandbox) -> None:
    url = f"{sandbox.api_url}/_sandbox/clock"
    assert requests.post(url, data=b"{", timeout=10).json() == {"error": "The body must be JSON."}
    unknown = admin(sandbox, "PATCH", "rules/settings", {})
    assert unknown.status_code == 404
    assert "no vendor 'rules'" in unknown.json()["error"]
    assert admin(sandbox, "PUT", "rules/answers", {"path": "/x", "script": []}).status_code == 404


#: A good change of each vendor's settings, and bad ones.
SETTINGS: dict[str, tuple[dict[str, object], list[dict[str, object]]]] = {
    "ruler": ({"password": "new"}, [{"typo": 1}]),
    "aftercare": ({"api_key": "new"}, [{"last_cursor": "empty"}, {"page_size": -1}]),
    "questionpro": ({"api_key": "new"}, [{"create_status": 202}, {"key": "x"}, {"licence_calls_left": -1}]),
    "talkdesk": (
        {"client_id": "new"},
        [{"expired_status": 500}, {"jwt_algorithm": "none"}, {"done_form": "304"}, {"secret": "x"}],
    ),
}


@pytest.mark.parametrize("vendor", SETTINGS)
def test_settings_change_all_or_not_at_all(sandbox: Sandbox, vendor: str) -> None:
    good, mistakes = SETTINGS[vendor]
    before = sandbox.settings(vendor)
    for mistake in mistakes:
        assert admin(sandbox, "PATCH", f"{vendor}/settings", good | mistake).status_code == 400
        with pytest.raises(ValueError, match="settings: "):
            sandbox.change_settings(vendor, **good, **mistake)
        assert sandbox.settings(vendor) == before
    changed = admin(sandbox, "PATCH", f"{vendor}/settings", good).json()
    assert changed == before | good == admin(sandbox, "GET", f"{vendor}/settings").json()
