"""Logins, tokens and jobs of the Ruler stand-in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox

STATUS_KEYS = [
    "status",
    "totalRows",
    "processedRows",
    "percentageProgress",
    "successCount",
    "failureCount",
    "createdDateTime",
    "completedDateTime",
    "failureReason",
]


def log_in(sandbox: Sandbox, **changes: str) -> requests.Response:
    connection = sandbox.connection("ruler")
    form = {"username": connection["login"], "password": connection["password"]} | changes
    return requests.post(connection["extra"]["auth_url"], data=form, timeout=10)


def get(sandbox: Sandbox, path: str, *, token: str | None = None) -> requests.Response:
    token = token or sandbox.connection("ruler", token=True)["password"]
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{sandbox.api_url}/v1/{path}", headers=headers, timeout=10)


def test_a_login_gives_the_documented_keys_and_a_token_that_works(sandbox: Sandbox) -> None:
    reply = log_in(sandbox)
    assert reply.status_code == 200
    assert set(reply.json()) == {"access_token", "scope", "expires_in", "refresh_token"}
    assert reply.json()["expires_in"] == 3600
    assert get(sandbox, "demo-site/batch/jobs", token=reply.json()["access_token"]).status_code == 200


def test_a_wrong_login_is_refused_in_json(sandbox: Sandbox) -> None:
    for changes in ({"password": "wrong"}, {"username": "wrong"}, {"password": ""}):
        reply = log_in(sandbox, **changes)
        assert reply.status_code == 401
        assert isinstance(reply.json(), dict)
    connection = sandbox.connection("ruler")
    as_json = {"username": connection["login"], "password": connection["password"]}
    assert requests.post(f"{sandbox.auth_url}/v1/login", json=as_json, timeout=10).status_code == 401
    as_text = requests.Request("POST", connection["extra"]["auth_url"], data=as_json).prepare()
    as_text.headers["Content-Type"] = "text/plain"
    with requests.Session() as session:
        assert session.send(as_text, timeout=10).status_code == 401
    assert sandbox.settings("ruler")["logins_refused"] == 5


def test_a_password_with_any_letters_survives_the_form(sandbox: Sandbox) -> None:
    sandbox.change_settings("ruler", password="ü &=+% ")
    assert log_in(sandbox).status_code == 200


def test_logins_are_counted(sandbox: Sandbox) -> None:
    tokens = {log_in(sandbox).json()["access_token"] for _ in range(3)}
    assert len(tokens) == 3
    assert sandbox.settings("ruler")["tokens_issued"] == 3


@pytest.mark.parametrize(
    "path",
    [
        "demo-site/batch/jobs",
        "demo-site/batch/revenue-demo/status",
        "demo-site/batch/revenue-demo/failures",
        "demo-site/revenue/template",
    ],
)
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic {token}", "{token}", "Bearer  {token}"]
)
def test_without_a_good_token_every_endpoint_answers_401(
    shared: Sandbox, path: str, header: str | None
) -> None:
    token = shared.connection("ruler", token=True)["password"]
    headers = {"Authorization": header.format(token=token)} if header else {}
    response = requests.get(f"{shared.api_url}/v1/{path}", headers=headers, timeout=10)
    assert response.status_code == 401
    assert isinstance(response.json(), dict)


def test_an_upload_needs_a_token_too(sandbox: Sandbox) -> None:
    assert requests.post(f"{sandbox.api_url}/v1/demo-site/revenue/batch", timeout=10).status_code == 401


def test_a_token_expires_when_its_lifetime_is_over(sandbox: Sandbox) -> None:
    sandbox.change_settings("ruler", token_lifetime_seconds=30)
    reply = log_in(sandbox).json()
    assert reply["expires_in"] == 30
    sandbox.advance_clock(15)
    assert get(sandbox, "demo-site/batch/jobs", token=reply["access_token"]).status_code == 200
    sandbox.advance_clock(16)
    assert get(sandbox, "demo-site/batch/jobs", token=reply["access_token"]).status_code == 401
    assert get(sandbox, "demo-site/batch/jobs").status_code == 200, "the static token does not expire"


def test_revoking_ends_every_token_and_a_new_login_begins_anew(sandbox: Sandbox) -> None:
    token = log_in(sandbox).json()["access_token"]
    reply = requests.post(f"{sandbox.api_url}/_sandbox/ruler/revoke", timeout=10)
    assert reply.json() == {"revoked": 2}
    assert get(sandbox, "demo-site/batch/jobs", token=token).status_code == 401
    assert get(sandbox, "demo-site/batch/jobs").status_code == 401
    assert (
        get(sandbox, "demo-site/batch/jobs", token=log_in(sandbox).json()["access_token"]).status_code == 200
    )
    assert sandbox.revoke_tokens("ruler") == 1


def test_a_rotated_static_token_ends_the_old_one(sandbox: Sandbox) -> None:
    old = sandbox.connection("ruler", token=True)["password"]
    sandbox.change_settings("ruler", access_token="rotated")
    assert get(sandbox, "demo-site/batch/jobs", token=old).status_code == 401
    assert get(sandbox, "demo-site/batch/jobs", token="rotated").status_code == 200


def test_a_changed_password_refuses_the_old_one(sandbox: Sandbox) -> None:
    old = sandbox.connection("ruler")["password"]
    sandbox.change_settings("ruler", password="new")
    assert log_in(sandbox, password=old).status_code == 401
    assert log_in(sandbox).status_code == 200


def test_a_job_moves_with_the_clock_from_pending_to_its_end(sandbox: Sandbox) -> None:
    sandbox.put_job(
        "ruler",
        "s/j",
        total_rows=100,
        failed_rows=10,
        pending_seconds=100,
        processing_seconds=1000,
        end="partialcomplete",
    )
    bodies = [get(sandbox, "s/batch/j/status").json()]
    for seconds in (350, 500, 500):
        sandbox.advance_clock(seconds)
        bodies.append(get(sandbox, "s/batch/j/status").json())
    assert all(list(body) == STATUS_KEYS for body in bodies)
    assert [body["status"] for body in bodies] == ["pending", "processing", "processing", "partialcomplete"]
    assert [body["processedRows"] for body in bodies] == [0, 25, 75, 100]
    assert [body["percentageProgress"] for body in bodies] == [0, 25, 75, 100]
    assert [body["failureCount"] for body in bodies] == [0, 2, 7, 10]
    assert [body["successCount"] for body in bodies] == [0, 23, 68, 90]
    assert [body["completedDateTime"] is None for body in bodies] == [True, True, True, False]
    assert {body["failureReason"] for body in bodies} == {None}


def test_times_are_utc_without_an_offset(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "s/j", pending_seconds=10, processing_seconds=20)
    now = sandbox.advance_clock(60)
    body = get(sandbox, "s/batch/j/status").json()
    form = "%Y-%m-%dT%H:%M:%S"
    created = datetime.strptime(body["createdDateTime"], form).replace(tzinfo=UTC).timestamp()
    completed = datetime.strptime(body["completedDateTime"], form).replace(tzinfo=UTC).timestamp()
    assert abs(now - 60 - created) < 30
    assert completed - created == 30


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ("complete", 100, 100, 0, None)),
        ({"failed_rows": 5}, ("partialcomplete", 100, 95, 5, None)),
        ({"end": "partialcomplete"}, ("partialcomplete", 100, 99, 1, None)),
        ({"failed_rows": 100}, ("failed", 100, 0, 100, None)),
        ({"end": "failed"}, ("failed", 100, 0, 100, None)),
        ({"failure_reason": "no such file"}, ("failed", 0, 0, 0, "no such file")),
        ({"total_rows": 0, "failure_reason": "empty"}, ("failed", 0, 0, 0, "empty")),
    ],
)
def test_every_end_is_at_100_percent_with_counts_that_fit(
    shared: Sandbox, spec: dict[str, object], expected: tuple[object, ...]
) -> None:
    shared.put_job("ruler", "s/j", pending_seconds=0, processing_seconds=0, **spec)
    body = get(shared, "s/batch/j/status").json()
    keys = ("status", "processedRows", "successCount", "failureCount", "failureReason")
    assert tuple(body[key] for key in keys) == expected
    assert body["percentageProgress"] == 100


def test_an_unknown_job_is_a_404_in_json(sandbox: Sandbox) -> None:
    for site, job in (("demo-site", "nope"), ("other-site", "revenue-demo")):
        response = get(sandbox, f"{site}/batch/{job}/status")
        assert response.status_code == 404
        assert response.json() == {"status": 404, "message": f"Site {site} has no job {job}."}


def test_a_failure_reason_is_told_by_a_failed_job_only(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "s/j", script=["processing", "failed"], failure_reason="unreadable")
    reasons = [get(sandbox, "s/batch/j/status").json()["failureReason"] for _ in range(2)]
    assert reasons == [None, "unreadable"]


def test_a_job_id_may_hold_letters_that_need_quoting(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "my site/a b/ü%", script=["complete"])
    assert get(sandbox, "my%20site/batch/a%20b%2F%C3%BC%25/status").json()["status"] == "complete"


def test_the_list_holds_the_jobs_of_one_site(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "s/one", script=["processing"])
    sandbox.put_job("ruler", "s/two", script=["failed"], failure_reason="unreadable")
    assert get(sandbox, "s/batch/jobs").json() == [
        {
            "jobId": "one",
            "jobType": "revenue",
            "status": "processing",
            "percentageProgress": 50,
            "failureReason": None,
        },
        {
            "jobId": "two",
            "jobType": "revenue",
            "status": "failed",
            "percentageProgress": 100,
            "failureReason": "unreadable",
        },
    ]
    assert get(sandbox, "empty-site/batch/jobs").json() == []
    assert {job["polls"] for job in sandbox.jobs()} == {0}, "a listing is not a status request"


def test_the_demo_jobs_start_at_their_first_status_request(sandbox: Sandbox) -> None:
    sandbox.advance_clock(3600)
    names = ("revenue-demo", "revenue-good", "revenue-bad", "revenue-rejected")
    first = [get(sandbox, f"demo-site/batch/{name}/status").json() for name in names]
    assert {(body["status"], body["totalRows"]) for body in first} == {("pending", 40)}
    sandbox.advance_clock(20)
    demo, good, bad, rejected = [get(sandbox, f"demo-site/batch/{name}/status").json() for name in names]
    assert (demo["status"], demo["successCount"], demo["failureCount"]) == ("partialcomplete", 35, 5)
    assert (good["status"], good["failureCount"]) == ("complete", 0)
    assert (bad["status"], bad["failureReason"]) == ("failed", "The file could not be read.")
    assert (rejected["status"], rejected["failureCount"]) == ("failed", 40)
