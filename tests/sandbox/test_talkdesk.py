"""Jobs of the Talkdesk stand-in."""

from __future__ import annotations

from functools import partial

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox import client
from tests.sandbox.client import NOW

ask = partial(client.ask, "talkdesk")
JOB_KEYS = ["id", "name", "timezone", "status", "format", "timespan"]
ORDER = {
    "name": "Calls of a day",
    "timezone": "Europe/Lisbon",
    "format": "json",
    "timespan": {"from": "2024-01-15T00:00:00Z", "to": "2024-01-16T00:00:00Z"},
}


def test_a_running_job_has_the_documented_keys(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j", format="json", name="n", timezone="Europe/Lisbon")
    reply = ask(sandbox, "calls/jobs/j")
    assert reply.status_code == 200
    assert set(reply.json()) == {"job", "_links"}
    job = reply.json()["job"]
    assert list(job) == JOB_KEYS
    assert (job["id"], job["name"], job["timezone"], job["format"]) == ("j", "n", "Europe/Lisbon", "json")
    assert set(job["timespan"]) == {"from", "to"}
    assert set(reply.json()["_links"]) == {"self", "files"}


def test_the_links_lead_to_a_host_that_cannot_exist(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j")
    links = ask(sandbox, "calls/jobs/j").json()["_links"]
    assert links["files"]["href"] == "http://api-docs.talkdesk.invalid/data/reports/calls/files/j"


@pytest.mark.parametrize("words", ["lower", "upper"])
def test_a_job_moves_with_the_clock_through_the_words(sandbox: Sandbox, words: str) -> None:
    sandbox.change_settings("talkdesk", done_form="200", words=words)
    sandbox.put_job("talkdesk", "calls/j", created_seconds=100, processing_seconds=100, uploading_seconds=100)
    seen = [ask(sandbox, "calls/jobs/j").json()["job"]["status"]]
    for _ in range(3):
        sandbox.advance_clock(100)
        seen.append(ask(sandbox, "calls/jobs/j").json()["job"]["status"])
    expected = ["created", "processing", "uploading", "done"]
    assert seen == (expected if words == "lower" else [word.upper() for word in expected])
    (view,) = [job for job in sandbox.jobs() if job["id"] == "calls/j"]
    assert (view["vendor"], view["status"], view["polls"]) == ("talkdesk", seen[-1], 4)


@pytest.mark.parametrize("end", ["failed", "canceled", "deleted"])
def test_a_job_may_end_badly_with_a_200(shared: Sandbox, end: str) -> None:
    shared.put_job("talkdesk", "calls/j", end=end, **NOW)
    reply = ask(shared, "calls/jobs/j")
    assert (reply.status_code, reply.json()["job"]["status"]) == (200, end)
    assert ask(shared, "calls/files/j").status_code == 404


def test_a_done_job_is_by_default_a_300_with_a_relative_location_and_the_job(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j", **NOW)
    reply = ask(sandbox, "calls/jobs/j")
    assert reply.status_code == 300
    assert reply.headers["Location"] == "/data/reports/calls/files/j"
    assert reply.json()["job"]["status"] == "done"


@pytest.mark.parametrize("form", ["300", "301", "302", "303", "307", "308"])
@pytest.mark.parametrize("body", [True, False])
@pytest.mark.parametrize("location", ["relative", "absolute", "missing", "//elsewhere.example/x"])
def test_a_done_job_is_a_redirect_in_any_form(shared: Sandbox, form: str, body: bool, location: str) -> None:
    spec = {"done_form": form, "done_body": body, "done_location": location}
    shared.put_job("talkdesk", "calls/j", **NOW, **spec)
    reply = ask(shared, "calls/jobs/j")
    assert reply.status_code == int(form)
    path = "/data/reports/calls/files/j"
    expected = {"relative": path, "absolute": shared.api_url + path, "missing": None}
    assert reply.headers.get("Location") == expected.get(location, location)
    assert bool(reply.content) == body


def test_a_done_job_may_be_the_report_itself(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j", done_form="entries", rows=3, **NOW)
    reply = ask(sandbox, "calls/jobs/j")
    assert (reply.status_code, set(reply.json())) == (200, {"entries", "total"})
    assert len(reply.json()["entries"]) == reply.json()["total"] == 3


def test_the_settings_choose_the_form_for_jobs_that_have_none_of_their_own(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/own", done_form="302", **NOW)
    sandbox.put_job("talkdesk", "calls/usual", **NOW)
    sandbox.change_settings("talkdesk", done_form="303", done_location="missing", done_body=False)
    assert ask(sandbox, "calls/jobs/own").status_code == 302
    usual = ask(sandbox, "calls/jobs/usual")
    assert (usual.status_code, usual.content, "Location" in usual.headers) == (303, b"", False)


def test_a_script_tells_words_empty_answers_and_faults(sandbox: Sandbox) -> None:
    script = ["CREATED", {"http": 204}, {"http": 503}, "sending", {"status": "done", "format": "json"}]
    sandbox.put_job("talkdesk", "calls/j", script=script, words="upper")
    replies = [ask(sandbox, "calls/jobs/j") for _ in range(6)]
    assert [reply.status_code for reply in replies] == [200, 204, 503, 200, 300, 300]
    assert replies[0].json()["job"]["status"] == "CREATED"
    assert replies[1].content == b""
    assert replies[3].json()["job"]["status"] == "sending"
    assert replies[5].json()["job"] == replies[4].json()["job"]
    assert (replies[5].json()["job"]["status"], replies[5].json()["job"]["format"]) == ("done", "json")


def test_an_unknown_job_a_job_of_another_type_and_an_unknown_type_are_errors(sandbox: Sandbox) -> None:
    sandbox.put_job("talkdesk", "calls/j")
    for path, status in (
        ("calls/jobs/nope", 404),
        ("contacts/jobs/j", 404),
        ("calls/files/nope", 404),
        ("no_such/jobs/j", 400),
        ("no_such/jobs", 400),
    ):
        reply = ask(sandbox, path)
        assert reply.status_code == status
        assert set(reply.json()) == {"code", "message", "description", "fields"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "calls/jobs"),
        ("POST", "calls/jobs"),
        ("GET", "calls/jobs/calls-demo"),
        ("GET", "calls/files/calls-demo"),
        ("DELETE", "calls/files/calls-demo"),
        ("GET", "no_such/jobs"),
    ],
)
def test_without_a_good_token_every_endpoint_answers_401(shared: Sandbox, method: str, path: str) -> None:
    for header in ("", "Bearer", "Bearer wrong", "Basic eDp5"):
        url = f"{shared.api_url}/data/reports/{path}"
        reply = requests.request(method, url, headers={"Authorization": header}, timeout=10)
        assert reply.status_code == 401
        assert {"code", "message"} <= set(reply.json())


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_an_order_makes_a_job_that_moves_with_time(sandbox: Sandbox, form: str) -> None:
    sandbox.change_settings("talkdesk", execute_form=form, execute_seconds=100, execute_rows=7)
    reply = ask(sandbox, "calls/jobs", ORDER)
    assert reply.status_code == 202
    job = reply.json() if form == "flat" else reply.json()["job"]
    assert ("job" in reply.json()) == (form == "nested")
    assert job["status"] == "created"
    assert {key: job[key] for key in ORDER} == ORDER
    sandbox.advance_clock(50)
    assert ask(sandbox, f"calls/jobs/{job['id']}").json()["job"]["status"] == "processing"
    sandbox.advance_clock(50)
    assert ask(sandbox, f"calls/jobs/{job['id']}").status_code == 300
    sandbox.change_settings("talkdesk", file_form="200")
    assert ask(sandbox, f"calls/files/{job['id']}").json()["total"] == 7


def test_an_order_without_name_and_timezone_is_served(sandbox: Sandbox) -> None:
    order = {key: ORDER[key] for key in ("format", "timespan")}
    assert ask(sandbox, "calls/jobs", order).status_code == 202


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (ORDER | {"format": "xml"}, "format"),
        (ORDER | {"format": ["csv"]}, "format"),
        (ORDER | {"timespan": {"from": "2024-01-15T00:00:00Z"}}, "timespan.to"),
        (ORDER | {"timespan": "today"}, "timespan.from"),
        (ORDER | {"timezone": 1}, "timezone"),
        ([], ""),
    ],
)
def test_an_order_that_is_no_good_is_a_400_with_its_fields(
    sandbox: Sandbox, order: object, field: str
) -> None:
    before = len(sandbox.jobs())
    reply = ask(sandbox, "calls/jobs", order)
    assert reply.status_code == 400
    assert field in [problem["name"] for problem in reply.json()["fields"]]
    assert len(sandbox.jobs()) == before


def test_the_demo_jobs_start_at_their_first_status_request_and_take_20_seconds(sandbox: Sandbox) -> None:
    sandbox.advance_clock(3600)
    jobs = ("calls/jobs/calls-demo", "user_status/jobs/status-demo", "calls/jobs/calls-bad")
    assert [ask(sandbox, job).json()["job"]["status"] for job in jobs] == ["created"] * 3
    sandbox.advance_clock(15)
    assert ask(sandbox, jobs[0]).status_code == 200
    sandbox.advance_clock(5)
    assert [ask(sandbox, job).status_code for job in jobs] == [300, 300, 200]
    sandbox.change_settings("talkdesk", file_form="200")
    assert len(ask(sandbox, "calls/files/calls-demo").text.splitlines()) == 41
    assert ask(sandbox, "user_status/files/status-demo").json()["total"] == 40


def test_an_order_that_is_no_json_is_a_400(sandbox: Sandbox) -> None:
    assert ask(sandbox, "calls/jobs", method="POST").status_code == 400
