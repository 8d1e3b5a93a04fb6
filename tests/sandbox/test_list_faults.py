"""What is wrong with a list of jobs that is told so."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.of_lists import LIST_FAULTS
from tests.sandbox.client import (
    BASES,
    DONE,
    EMPTY,
    IDS,
    LISTS,
    VENDORS,
    ask,
    ask_list,
    entries,
    of,
    put,
    shown,
)


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def three(sandbox: Sandbox, vendor: str) -> None:
    for job in ("a", "b", "c"):
        put(sandbox, vendor, job, script=["processing"])


def told(sandbox: Sandbox, vendor: str, script: str) -> Any:
    """Return the reply to a list request that is answered as the script says."""
    sandbox.put_answers(LISTS[vendor], script)
    return ask_list(sandbox, vendor)


@pytest.mark.usefixtures("three")
def test_a_word_in_the_answers_for_a_list_is_the_word_of_every_job(sandbox: Sandbox, vendor: str) -> None:
    sandbox.put_answers(LISTS[vendor], "status:200:done,ok,status:503,status:200:odd")
    assert shown(sandbox, vendor) == [(job, DONE[vendor]) for job in "abc"]
    assert shown(sandbox, vendor) == [(job, "processing") for job in "abc"]
    assert ask_list(sandbox, vendor).status_code == 503
    assert {status for _, status in shown(sandbox, vendor)} == {"odd"}
    assert {status for _, status in shown(sandbox, vendor)} == {"processing"}
    assert {job["polls"] for job in sandbox.jobs()} == {0}


def test_a_word_of_a_list_brings_figures_that_fit(sandbox: Sandbox) -> None:
    put(sandbox, "ruler", "j", script=["processing"])
    sandbox.put_answers(LISTS["ruler"], "status:200:done")
    assert {entry["percentageProgress"] for entry in entries(sandbox, "ruler")} == {100}


@pytest.mark.usefixtures("three")
def test_what_is_wrong_with_a_reply_is_wrong_with_a_list_that_says_done(
    sandbox: Sandbox, vendor: str
) -> None:
    done = told(sandbox, vendor, "status:200:done").json()
    assert told(sandbox, vendor, "array").json() == [done]
    assert told(sandbox, vendor, "string").json() == str(told(sandbox, vendor, "status:200:done").text)
    assert told(sandbox, vendor, "null").json() is None
    assert f'"{DONE[vendor]}"' not in told(sandbox, vendor, "truncate").text
    assert told(sandbox, vendor, "gzip").json() == done
    assert {entry[IDS[vendor]] for entry in of(vendor, told(sandbox, vendor, "wrong-id"))} == {"424242"}
    assert all("status" not in entry for entry in of(vendor, told(sandbox, vendor, "no-status")))
    assert [entry["status"] for entry in of(vendor, told(sandbox, vendor, "list-status"))] == [
        [DONE[vendor]]
    ] * 3
    with pytest.raises(requests.ConnectionError):
        told(sandbox, vendor, "reset")


def test_a_list_without_jobs_can_be_cut_too(sandbox: Sandbox, vendor: str) -> None:
    sandbox.put_answers(f"{BASES[vendor]}{EMPTY[vendor]}", "truncate,close-body")
    with pytest.raises(requests.JSONDecodeError):
        ask(vendor, sandbox, EMPTY[vendor]).json()
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(vendor, sandbox, EMPTY[vendor])


@pytest.mark.usefixtures("three")
def test_a_list_may_lack_a_job_or_name_it_twice(sandbox: Sandbox, vendor: str) -> None:
    seen = {
        name: [(entry[IDS[vendor]], entry["status"]) for entry in of(vendor, told(sandbox, vendor, name))]
        for name in ("jobs-empty", "jobs-gap", "jobs-twice", "jobs-two-words")
    }
    usual = [(job, "processing") for job in "abc"]
    assert seen == {
        "jobs-empty": [],
        "jobs-gap": usual[1:],
        "jobs-twice": [*usual, usual[0]],
        "jobs-two-words": [*usual, ("a", DONE[vendor])],
    }


@pytest.mark.usefixtures("three")
def test_the_entries_of_a_list_may_be_no_list_of_jobs(sandbox: Sandbox, vendor: str) -> None:
    usual = entries(sandbox, vendor)
    key = IDS[vendor]
    assert of(vendor, told(sandbox, vendor, "jobs-no-objects")) == ["a", "b", "c", 7, None, []]
    assert of(vendor, told(sandbox, vendor, "jobs-object")) == {entry[key]: entry for entry in usual}
    assert of(vendor, told(sandbox, vendor, "jobs-null")) is None
    nameless = of(vendor, told(sandbox, vendor, "jobs-nameless"))
    assert [{key: job, **entry} for job, entry in zip("abc", nameless, strict=True)] == usual
    assert key not in nameless[0]


@pytest.mark.usefixtures("three")
def test_a_list_may_be_full_of_jobs_that_are_nobodys(sandbox: Sandbox, vendor: str) -> None:
    usual = entries(sandbox, vendor)
    strangers = of(vendor, told(sandbox, vendor, "jobs-strangers"))
    assert len({entry[IDS[vendor]] for entry in strangers}) == len(strangers) == 100_000
    assert {tuple(entry) for entry in strangers} == {tuple(usual[0])}
    crowd = of(vendor, told(sandbox, vendor, "jobs-crowd"))
    assert (len(crowd), crowd[10_000:]) == (10_003, usual)
    assert not {entry[IDS[vendor]] for entry in crowd[:10_000]} & {"a", "b", "c"}


def test_a_list_may_have_no_end(sandbox: Sandbox) -> None:
    put(sandbox, "talkdesk", "a")
    sandbox.put_answers(LISTS["talkdesk"], "jobs-endless*3")
    seen = set()
    for number in (1, 2, 70_000):
        body = ask_list(sandbox, "talkdesk", f"?page={number}&per_page=200").json()
        seen |= {job["id"] for job in body["_embedded"]["jobs"]}
        assert (body["page"], body["count"], body["total"]) == (number, 200, 10**9)
        assert body["_links"]["next"]["href"].endswith(f"?page={number + 1}&per_page=200")
    assert len(seen) == 600
    assert "a" not in seen


def test_a_list_may_show_the_same_page_for_ever(sandbox: Sandbox) -> None:
    for job in ("a", "b", "c"):
        put(sandbox, "talkdesk", job)
    sandbox.put_answers(LISTS["talkdesk"], "jobs-same-page*3")
    pages = [ask_list(sandbox, "talkdesk", f"?page={page}&per_page=2").json() for page in (1, 2, 3)]
    assert pages[0] == pages[1] == pages[2]
    assert [job["id"] for job in pages[0]["_embedded"]["jobs"]] == ["a", "b"]
    assert pages[0]["_links"]["next"]["href"].endswith("?page=2&per_page=2")


@pytest.mark.parametrize("name", LIST_FAULTS)
def test_a_list_with_a_fault_is_refused_as_any_other(shared: Sandbox, name: str) -> None:
    shared.put_answers(LISTS["talkdesk"], f"{name}*2")
    assert requests.get(f"{shared.api_url}{LISTS['talkdesk']}", timeout=10).status_code == 401
    assert ask_list(shared, "talkdesk", "?per_page=201").status_code == 400


@pytest.mark.parametrize("name", LIST_FAULTS)
def test_a_fault_of_lists_is_for_the_path_of_a_list(shared: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="for the path of a vendor's list"):
        put(shared, "ruler", "j", script=name)
    for path in ("/v1/s/batch/j/status", "/a/api/v2/micropanel/batches/7", "/elsewhere"):
        with pytest.raises(ValueError, match="for the path of a vendor's list"):
            shared.put_answers(path, name)
    with pytest.raises(ValueError, match="for the path of a vendor's list"):
        shared.put_answers(LISTS["talkdesk"], name, method="POST")


def test_a_vendor_without_pages_has_none_without_end(sandbox: Sandbox) -> None:
    for name in ("jobs-endless", "jobs-same-page"):
        with pytest.raises(ValueError, match="this vendor's list has no pages"):
            sandbox.put_answers(LISTS["ruler"], name)
