"""The lists of jobs of the two vendors that have them."""

from __future__ import annotations

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox.client import DONE, STATUSES, VENDORS, ask, ask_list, entries, put, shown, word


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_list_shows_the_word_that_was_shown_last(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", script="status:200:waiting,status:200:running,status:200:done")
    for expected in ("waiting", "processing", DONE[vendor]):
        # What the list shows is what the next request for the status gets, too.
        assert word(sandbox, vendor, "j") == expected
        assert shown(sandbox, vendor) == [("j", expected)]


def test_a_scripted_job_plays_its_script_when_only_its_list_is_read(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", script="status:200:waiting*2,status:200:running,status:200:done")
    put(sandbox, vendor, "k", script="status:200:running")
    words = [dict(shown(sandbox, vendor)) for _ in range(6)]
    assert [each["j"] for each in words] == ["waiting", "waiting", "processing", *[DONE[vendor]] * 3]
    assert {each["k"] for each in words} == {"processing"}
    assert {job["polls"] for job in sandbox.jobs()} == {0}
    assert word(sandbox, vendor, "j") == DONE[vendor]


def test_a_word_that_a_list_has_shown_is_what_the_next_request_gets(sandbox: Sandbox, vendor: str) -> None:
    put(
        sandbox, vendor, "j", script="status:200:waiting,status:200:running,status:200:queued,status:200:done"
    )
    assert [shown(sandbox, vendor) for _ in range(2)] == [[("j", "waiting")], [("j", "processing")]]
    assert word(sandbox, vendor, "j") == "processing"
    assert [shown(sandbox, vendor) for _ in range(2)] == [[("j", "processing")], [("j", "queued")]]
    assert word(sandbox, vendor, "j") == "queued"
    assert word(sandbox, vendor, "j") == DONE[vendor]


def test_a_list_leaves_the_faults_of_a_script_to_requests(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", script="status:200:running,status:503*2,status:200:done")
    assert [shown(sandbox, vendor) for _ in range(2)] == [[("j", "processing")], [("j", DONE[vendor])]]
    replies = [ask(vendor, sandbox, STATUSES[vendor].format("j")) for _ in range(3)]
    assert [each.status_code for each in replies[:2]] == [503, 503]
    assert replies[2].status_code in (200, 300)


def test_a_job_that_a_list_has_seen_end_ended_then(sandbox: Sandbox) -> None:
    put(sandbox, "ruler", "j", script="status:200:running,status:200:done")
    assert [shown(sandbox, "ruler") for _ in range(2)][1] == [("j", "complete")]
    first = ask("ruler", sandbox, STATUSES["ruler"].format("j")).json()
    sandbox.advance_clock(600)
    assert ask("ruler", sandbox, STATUSES["ruler"].format("j")).json() == first


def test_a_list_is_no_poll_of_a_job_and_starts_none(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", start_on_first_poll=True)
    sandbox.advance_clock(600)
    assert shown(sandbox, vendor) in ([("j", "pending")], [("j", "created")])
    assert {(job["polls"], job["last_poll_at"]) for job in sandbox.jobs()} == {(0, None)}


def test_a_list_shows_a_job_that_moves_with_time_at_the_sandboxs_clock(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", processing_seconds=1000)
    sandbox.advance_clock(500)
    [entry] = entries(sandbox, vendor)
    assert entry["status"] == "processing"
    assert entry.get("percentageProgress", 49) == 49
    sandbox.advance_clock(1000)
    [entry] = entries(sandbox, vendor)
    assert entry["status"] == DONE[vendor]
    assert entry.get("percentageProgress", 100) == 100


def test_a_test_may_say_what_one_list_after_the_other_shows_of_a_job(sandbox: Sandbox, vendor: str) -> None:
    put(sandbox, vendor, "j", script="status:200:done", listed="running*2,absent,odd,done")
    put(sandbox, vendor, "k", script="status:200:running")
    other = ("k", "processing")
    assert [shown(sandbox, vendor) for _ in range(6)] == [
        [("j", "processing"), other],
        [("j", "processing"), other],
        [other],
        [("j", "odd"), other],
        [("j", DONE[vendor]), other],
        [("j", DONE[vendor]), other],
    ]
    assert {job["polls"] for job in sandbox.jobs()} == {0}
    assert word(sandbox, vendor, "j") == DONE[vendor]


def test_what_a_list_shows_may_be_written_key_by_key(sandbox: Sandbox) -> None:
    listed = ["processing", None, {"status": "failed", "failureReason": "unreadable"}]
    put(sandbox, "ruler", "j", listed=listed)
    first, second, third = [entries(sandbox, "ruler") for _ in range(3)]
    usual = {"jobId": "j", "jobType": "revenue"}
    assert first == [usual | {"status": "processing", "percentageProgress": 50, "failureReason": None}]
    assert second == []
    assert third == [usual | {"status": "failed", "percentageProgress": 100, "failureReason": "unreadable"}]


@pytest.mark.parametrize("listed", [7, {}, [7], [["processing"]], [{"jobId": "k"}]])
def test_a_mistake_in_what_a_list_is_to_show_is_told(sandbox: Sandbox, listed: object) -> None:
    with pytest.raises(ValueError, match="listed"):
        put(sandbox, "ruler", "j", listed=listed)


def test_a_vendor_without_a_list_shows_nothing_in_one(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown key listed"):
        sandbox.put_job("aftercare", "j", listed="running")


def test_the_list_of_talkdesk_has_pages_and_each_names_the_next(sandbox: Sandbox) -> None:
    for number in range(5):
        put(sandbox, "talkdesk", f"j{number}", words="upper")
    pages = [ask_list(sandbox, "talkdesk", f"?page={page}&per_page=2").json() for page in (1, 2, 3, 4)]
    jobs = [page["_embedded"]["jobs"] for page in pages]
    assert [[job["id"] for job in page] for page in jobs] == [["j0", "j1"], ["j2", "j3"], ["j4"], []]
    assert list(jobs[0][0]) == ["id", "name", "timezone", "status", "format", "timespan"]
    assert jobs[0][0]["status"] == "CREATED"
    list_at = "http://api-docs.talkdesk.invalid/data/reports/contacts/jobs"
    links = [page["_links"].get("next") for page in pages]
    assert links == [*({"href": f"{list_at}?page={page}&per_page=2"} for page in (2, 3)), None, None]
    assert pages[1]["_links"]["self"] == {"href": f"{list_at}?page=2&per_page=2"}
    assert [(page["page"], page["count"]) for page in pages] == [(1, 2), (2, 2), (3, 1), (4, 0)]
    assert {(page["total"], page["per_page"]) for page in pages} == {(5, 2)}
    assert {tuple(page) for page in pages} == {("total", "page", "per_page", "count", "_embedded", "_links")}
    for query in ("page=0", "per_page=0", "per_page=201", "per_page=x"):
        assert ask_list(sandbox, "talkdesk", f"?{query}").status_code == 400


def test_a_page_shows_what_is_listed_of_its_own_jobs_only(sandbox: Sandbox) -> None:
    for job in ("j", "k"):
        put(sandbox, "talkdesk", job, listed="running,done")
    assert entries(sandbox, "talkdesk", "?per_page=1")[0]["status"] == "processing"
    assert entries(sandbox, "talkdesk", "?per_page=1")[0]["status"] == "done"
    assert entries(sandbox, "talkdesk", "?per_page=1&page=2")[0]["status"] == "processing"


def test_a_list_may_call_its_jobs_executions(sandbox: Sandbox) -> None:
    put(sandbox, "talkdesk", "j")
    sandbox.change_settings("talkdesk", list_key="executions")
    embedded = ask_list(sandbox, "talkdesk").json()["_embedded"]
    assert [job["id"] for job in embedded["executions"]] == ["j"]
    assert "jobs" not in embedded
    with pytest.raises(ValueError, match="list_key must be one of jobs, executions"):
        sandbox.change_settings("talkdesk", list_key="entries")


def test_a_list_needs_the_scope_to_read(sandbox: Sandbox) -> None:
    sandbox.change_settings("talkdesk", scopes="data-reports:write")
    assert ask_list(sandbox, "talkdesk").status_code == 403
