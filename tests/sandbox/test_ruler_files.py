"""Uploads, the template and the failures of the Ruler stand-in."""

from __future__ import annotations

import csv
import io
from functools import partial

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox import client

get = partial(client.ask, "ruler")
HEADER = "RevenueClosedDate,CurrencyCode,Value,EmailAddress,Label,Label,Reference"
GOOD = "2024-01-15,GBP,10.50,a@example.com,one,two,R-1"


def upload(
    sandbox: Sandbox, content: str | bytes, part: str = "file", path: str = "demo-site/revenue/batch"
) -> requests.Response:
    files = {part: ("revenue.csv", content, "text/csv")}
    url = f"{sandbox.api_url}/v1/{path}"
    return requests.post(url, files=files, headers=client.credentials("ruler", sandbox), timeout=10)


def rows_of(response: requests.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(response.content.decode(), newline="")))


def test_the_template_is_a_csv_file_with_the_documented_header_and_one_row(sandbox: Sandbox) -> None:
    response = get(sandbox, "demo-site/revenue/template")
    assert response.headers["Content-Disposition"] == 'attachment; filename="revenue_template.csv"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    header, sample = rows_of(response)
    assert ",".join(header) == (
        "RevenueClosedDate,CurrencyCode,Value,RaId,EmailAddress,PhoneNumber,PayloadValue,LeadDate,Label,"
        "Reference,AdditionalDataProperties"
    )
    assert len(sample) == len(header)


def test_the_template_can_be_uploaded(sandbox: Sandbox) -> None:
    assert upload(sandbox, get(sandbox, "demo-site/revenue/template").content).status_code == 202


def test_opportunities_have_a_template_uploads_and_failures_of_their_own(sandbox: Sandbox) -> None:
    template = get(sandbox, "demo-site/opportunity/template")
    header, sample = rows_of(template)
    assert ",".join(header) == (
        "OpportunityDateTime,CurrencyCode,OpportunityValue,PipelineStage,RaId,EmailAddress,PhoneNumber,"
        "PayloadValue,Label,Reference,AdditionalDataProperties"
    )
    content = template.content + template.content.splitlines()[1].replace(b"GBP", b"gbp")
    path = "demo-site/opportunity/batch"
    job_id = upload(sandbox, content, path=path).json()["jobId"]
    (listed,) = [job for job in get(sandbox, "demo-site/batch/jobs").json() if job["jobId"] == job_id]
    assert listed["jobType"] == "opportunity"
    sandbox.advance_clock(60)
    failures = get(sandbox, f"{path}/{job_id}/failures")
    name = f'attachment; filename="opportunity-failures-{job_id}.csv"'
    assert failures.headers["Content-Disposition"] == name
    assert rows_of(failures)[1][1:-1] == [sample[0], "gbp", *sample[2:]]
    for other in (f"demo-site/batch/{job_id}/failures", "demo-site/opportunity/batch/revenue-demo/failures"):
        assert get(sandbox, other).status_code == 404
    assert get(sandbox, "demo-site/leads/template").status_code == 404


def test_where_uploads_go_and_in_which_part_can_be_set(sandbox: Sandbox) -> None:
    sandbox.change_settings("ruler", upload_path="/imports/{job_type}/{site_id}", upload_part="data")
    content = f"{HEADER}\n{GOOD}\n"
    assert upload(sandbox, content).status_code == 404
    assert upload(sandbox, content, path="imports/revenue/s").status_code == 400
    assert upload(sandbox, content, "data", "imports/revenue/s").status_code == 202
    assert len(get(sandbox, "s/batch/jobs").json()) == 1


def test_bad_rows_may_refuse_the_whole_file_and_are_repeated_then(sandbox: Sandbox) -> None:
    sandbox.change_settings("ruler", upload_strict=True)
    before = len(sandbox.jobs())
    reply = upload(sandbox, f"{HEADER}\n{GOOD}\n{GOOD.replace('GBP', 'gbp')}\n")
    assert reply.status_code == 400
    (error,) = reply.json()["errors"]
    assert (error["row"], "a@example.com" in error["message"]) == (2, True)
    assert len(sandbox.jobs()) == before


def test_an_upload_makes_a_job_that_moves_with_time(sandbox: Sandbox) -> None:
    sandbox.change_settings("ruler", upload_pending_seconds=100, upload_processing_seconds=100)
    reply = upload(sandbox, f"{HEADER}\n{GOOD}\n{GOOD}\n")
    assert reply.status_code == 202
    path = f"demo-site/batch/{reply.json()['jobId']}/status"
    words = [get(sandbox, path).json()["status"]]
    for _ in range(2):
        sandbox.advance_clock(100)
        words.append(get(sandbox, path).json()["status"])
    assert words == ["pending", "processing", "complete"]
    assert get(sandbox, path).json()["totalRows"] == 2


def test_rows_with_a_bad_value_currency_or_address_are_rejected_and_come_back(sandbox: Sandbox) -> None:
    lines = [
        HEADER,
        GOOD,
        '2024-01-15,GBP,,b@example.com,"a ""quoted""\nlabel",two,R-2',
        "2024-01-15,gbp,1,c@example.com,one,two,R-3",
        "2024-01-15,EURO",
        "2024-01-15,GBP,1,d at example.com,one,two,R-5",
    ]
    job_id = upload(sandbox, ("\ufeff" + "\r\n".join(lines)).encode()).json()["jobId"]
    sandbox.advance_clock(60)
    body = get(sandbox, f"demo-site/batch/{job_id}/status").json()
    assert (body["status"], body["successCount"], body["failureCount"]) == ("partialcomplete", 1, 4)
    assert rows_of(get(sandbox, f"demo-site/batch/{job_id}/failures")) == [
        ["RowNumber", *HEADER.split(","), "ErrorMessage"],
        [
            "2",
            *["2024-01-15", "GBP", "", "b@example.com", 'a "quoted"\nlabel', "two", "R-2"],
            "Value is required.",
        ],
        [
            "3",
            *["2024-01-15", "gbp", "1", "c@example.com", "one", "two", "R-3"],
            "CurrencyCode is not an ISO 4217 code.",
        ],
        ["4", "2024-01-15", "EURO", "Value is required. CurrencyCode is not an ISO 4217 code."],
        [
            "5",
            *["2024-01-15", "GBP", "1", "d at example.com", "one", "two", "R-5"],
            "EmailAddress is not an e-mail address.",
        ],
    ]


def test_an_upload_of_nothing_but_bad_rows_fails_without_a_reason(sandbox: Sandbox) -> None:
    job_id = upload(sandbox, f"{HEADER}\n2024-01-15,GBP,,b@example.com,one,two,R-2\n").json()["jobId"]
    sandbox.advance_clock(60)
    body = get(sandbox, f"demo-site/batch/{job_id}/status").json()
    assert (body["status"], body["failureReason"]) == ("failed", None)
    assert len(rows_of(get(sandbox, f"demo-site/batch/{job_id}/failures"))) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        (HEADER, "no rows"),
        ("RevenueClosedDate,Value,EmailAddress,Label,Reference\n1,2,3,4,5", "CurrencyCode is missing"),
        ("RevenueClosedDate,CurrencyCode,Value,Label,Reference\n1,2,3,4,5", "One of the columns RaId"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_that_is_no_good_is_a_400_and_makes_no_job(
    sandbox: Sandbox, content: str | bytes, message: str
) -> None:
    before = len(sandbox.jobs())
    reply = upload(sandbox, content)
    assert reply.status_code == 400
    assert message in reply.json()["errors"][0]["message"]
    assert len(sandbox.jobs()) == before


def test_an_upload_without_the_part_named_file_is_a_400(sandbox: Sandbox) -> None:
    assert "part named file" in upload(sandbox, GOOD, part="csv").json()["errors"][0]["message"]
    url = f"{sandbox.api_url}/v1/demo-site/revenue/batch"
    for headers in ({"Content-Type": "text/csv"}, {"Content-Type": "multipart/form-data"}):
        reply = requests.post(
            url, data=HEADER, headers=client.credentials("ruler", sandbox) | headers, timeout=10
        )
        assert reply.status_code == 400


def test_an_upload_keeps_its_bytes(sandbox: Sandbox) -> None:
    content = f'{HEADER}\r\n2024-01-15,,1,ü@example.com,"a\r\nb\rc\n",\t x ,--R\r\n'.encode()
    job_id = upload(sandbox, content).json()["jobId"]
    sandbox.advance_clock(60)
    cells = rows_of(get(sandbox, f"demo-site/batch/{job_id}/failures"))[1]
    assert cells[4:8] == ["ü@example.com", "a\r\nb\rc\n", "\t x ", "--R"]


def test_the_demo_failures_are_an_awkward_csv_file(sandbox: Sandbox) -> None:
    get(sandbox, "demo-site/batch/revenue-demo/status")
    sandbox.advance_clock(60)
    response = get(sandbox, "demo-site/batch/revenue-demo/failures")
    assert response.headers["Content-Disposition"] == 'attachment; filename="failures.csv"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    header, *rows = rows_of(response)
    assert (header[0], header[-1], header.count("Label")) == ("RowNumber", "ErrorMessage", 2)
    assert len(rows) == 5
    assert [len(header) - len(row) for row in rows] == [0, 1, 0, 0, 0], "the second row is uneven"
    assert "\n" in rows[0][header.index("Label")], "the first row has a line break in a cell"
    numbers = [int(row[0]) for row in rows]
    assert numbers == sorted(set(numbers))
    assert response.content == get(sandbox, "demo-site/batch/revenue-demo/failures?format=csv").content


def test_the_failures_come_as_json_too(sandbox: Sandbox) -> None:
    get(sandbox, "demo-site/batch/revenue-demo/status")
    sandbox.advance_clock(60)
    response = get(sandbox, "demo-site/batch/revenue-demo/failures?format=json")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    rows = response.json()
    assert len(rows) == 5
    assert {row["errorMessage"] for row in rows} == {"Value is required."}
    assert rows[0]["Label"] == ["Spring\ncampaign", "Müller & Co"]
    assert rows[1]["AdditionalDataProperties"] is None
    assert rows[0]["Reference"] == "INV-1001"


def test_another_format_is_a_400(sandbox: Sandbox) -> None:
    assert get(sandbox, "demo-site/batch/revenue-demo/failures?format=xml").status_code == 400


def test_given_failures_are_offered_as_they_are_and_as_json(sandbox: Sandbox) -> None:
    text = "RowNumber,Value,ErrorMessage\n7,x,bad\n"
    sandbox.put_job("ruler", "s/j", script=["partialcomplete"], failures_csv=text)
    assert get(sandbox, "s/batch/j/failures").text == text
    assert get(sandbox, "s/batch/j/failures?format=json").json() == [{"Value": "x", "errorMessage": "bad"}]


@pytest.mark.parametrize(
    "spec",
    [
        {"pending_seconds": 100},
        {"script": ["processing", "partialcomplete"]},
        {"script": ["complete"]},
        {"script": ["failed"], "failure_reason": "unreadable"},
        {"pending_seconds": 0, "processing_seconds": 0},
    ],
)
def test_a_job_that_runs_or_has_no_rejected_rows_has_no_failures(
    shared: Sandbox, spec: dict[str, object]
) -> None:
    shared.put_job("ruler", "s/j", **spec)
    assert get(shared, "s/batch/j/failures").status_code == 404


def test_the_failures_follow_the_word_that_the_script_has_shown(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "s/j", script=["processing", "partialcomplete"], failed_rows=3)
    get(sandbox, "s/batch/j/status")
    assert get(sandbox, "s/batch/j/failures").status_code == 404
    get(sandbox, "s/batch/j/status")
    assert len(rows_of(get(sandbox, "s/batch/j/failures"))) == 4
