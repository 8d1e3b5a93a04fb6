"""What is alike at the four vendors, as tables of values: no server, no transport."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from tests.sandbox.schemas import aftercare as aftercare_schemas
from tests.sandbox.schemas import questionpro as questionpro_schemas
from tests.support.asking import asking, status_flow
from tests.support.flows import FIELDS, SAMPLES, finish, hook_of, reply, sample, status_of

KEY = FIELDS["password"]
UUID = "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377"


@dataclass(frozen=True)
class Vendor:
    """A vendor, a job of its, the base of its API, and the path of a status with the parts of a job id."""

    hook: type[BatchJobHook]
    job: str
    base: str
    path: str

    def smallest(self, word: object, **members: object) -> Any:
        """Return the smallest reply with a status word, and more members beside it."""
        job = {"status": word, **members}
        return {QuestionProHook: {"response": job}, TalkdeskHook: {"job": job}}.get(self.hook, job)


VENDORS = {
    "aftercare": Vendor(
        AftercareHook,
        UUID,
        "https://surveys.getaftercare.com/api/v1",
        "/api/v1/(?:coding|(data-quality)/batch)/([^/]+)",
    ),
    "questionpro": Vendor(
        QuestionProHook,
        "88123456",
        "https://api.questionpro.com/a/api/v2",
        "/a/api/v2/micropanel/batches/([0-9]+)",
    ),
    "ruler": Vendor(
        RulerHook, "site-1/rev-1", "https://rest.rulerapi.com/v1", "/v1/([^/]+)/batch/([^/]+)/status"
    ),
    "talkdesk": Vendor(
        TalkdeskHook, "calls/0f9c", "https://api.talkdeskapp.com", "/data/reports/([^/]+)/jobs/([^/]+)"
    ),
}
EACH = pytest.mark.parametrize("vendor", VENDORS)


def hook(vendor: str, **fields: Any) -> Any:
    return hook_of(VENDORS[vendor].hook, **fields)


def said(vendor: str, body: object, status: int = 200, **fields: Any) -> JobStatus:
    """Return the status that one reply means."""
    return status_of(
        hook(vendor, **fields), VENDORS[vendor].job, reply(body, status, content_type="text/html")
    )


# Job ids


@pytest.mark.parametrize(
    ("vendor", "job_id", "extra", "path"),
    [
        ("aftercare", UUID, {}, f"/coding/{UUID}"),
        ("aftercare", f"data-quality/{UUID}", {}, f"/data-quality/batch/{UUID}"),
        ("aftercare", f"  {UUID}\n", {}, f"/coding/{UUID}"),
        ("aftercare", 41, {}, "/coding/41"),
        ("aftercare", "j;2&x=y", {}, "/coding/j%3B2%26x%3Dy"),
        ("aftercare", "..j", {}, "/coding/..j"),
        ("aftercare", "data-quality", {}, "/coding/data-quality"),
        ("aftercare", "data-quality/j:1", {}, "/data-quality/batch/j%3A1"),
        ("aftercare", "data-quality/data-quality", {}, "/data-quality/batch/data-quality"),
        *(
            ("questionpro", job_id, {}, f"/micropanel/batches/{str(job_id).strip()}")
            for job_id in ("88123456", 88123456, "  88123456\n", "9" * 30, "007", "000000", "0")
        ),
        ("ruler", "site-1/rev-1", {}, "/site-1/batch/rev-1/status"),
        ("ruler", "site-1/rev-1", {"site_id": "other"}, "/site-1/batch/rev-1/status"),
        ("ruler", "rev-1", {"site_id": "site-9"}, "/site-9/batch/rev-1/status"),
        ("ruler", "rev-1", {"site_id": " site-9 "}, "/site-9/batch/rev-1/status"),
        ("ruler", "rev-1", {"site_id": 9}, "/9/batch/rev-1/status"),
        ("ruler", "  site-1/rev-1\n", {}, "/site-1/batch/rev-1/status"),
        ("ruler", 41, {"site_id": "site-9"}, "/site-9/batch/41/status"),
        ("ruler", "s:1/j;2&x=y", {}, "/s%3A1/batch/j%3B2%26x%3Dy/status"),
        ("ruler", "s/..j", {}, "/s/batch/..j/status"),
        ("talkdesk", "calls/0f9c", {}, "/data/reports/calls/jobs/0f9c"),
        ("talkdesk", "user_status/0f9c", {}, "/data/reports/user_status/jobs/0f9c"),
    ],
)
def test_a_status_is_one_get_below_the_parts_of_the_job_id(
    vendor: str, job_id: Any, extra: dict[str, Any], path: str
) -> None:
    request = next(status_flow(hook(vendor, extra=extra), job_id))
    assert (request.method, request.url) == ("GET", VENDORS[vendor].base + path)
    assert (request.body, request.anonymous) == (None, False)
    assert (request.outline is None) == (vendor in ("questionpro", "ruler"))


NO_IDS = ["", "  ", "None", "null", None, True, 1.5, b"7", ["7"], {"job_id": "7"}]


@pytest.mark.parametrize(
    ("vendor", "job_id"),
    [
        *((vendor, job_id) for vendor in VENDORS for job_id in NO_IDS),
        *(
            ("aftercare", job_id)
            for job_id in (
                *("..", ".", "../x", "a/b", "/j", "j/", "j?x", "j#x", "%2e%2e", "j%2Fk", "j\\k", "j k"),
                *("j\nk", "jö", "https://evil.example/j", "coding/j", "Data-Quality/j", "j" * 501),
                *("data-quality/batch/j", "data-quality/", "data-quality/ ", "data-quality//"),
                *("data-quality/..", "data-quality/a/b", "data-quality/data-quality/j", "data-quality/j?x"),
                *("data-quality/%2e", "data-quality/ j"),
            )
        ),
        *(
            ("questionpro", job_id)
            for job_id in (
                *("-7", "+7", "7.0", "7e3", "0x7", "1_000", "7 8", "7\n8", "\u0667", "\uff17", "\u00b2"),
                *("batch", "{7}", "{{7}", "7/8", "7?x", "7#x", "7%20", "..", -7, "9" * 501),
                *("../apikey/regenerate", "7/../../../apikey/regenerate"),
            )
        ),
        *(
            ("ruler", job_id)
            for job_id in (
                *("/", "/j", "s/", "s/ /j", "a/b/c", "s/../j", "../j", "s/..", "s/.", "./j", "s/%2e%2e"),
                *("s/%2F", "s/j?x=1", "s/j#x", "s/j\\k", "s/j k", "s/j\nk", "s/jö", "s/j\u2025", "s/\u202ej"),
                *("https://evil.example/j", "//evil.example/j", "s/" + "j" * 500, "rev-1", 41),
            )
        ),
        *(
            ("talkdesk", job_id)
            for job_id in (
                *("0f9c", "calls/", "/0f9c", "calls/a/b", "calls/..", "../0f9c", "calls/%2e%2e"),
                *("calls/a?b", "calls/a#b"),
            )
        ),
    ],
)
def test_a_malformed_job_id_is_refused_before_anything_is_sent(vendor: str, job_id: Any) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        next(status_flow(hook(vendor), job_id))


@pytest.mark.parametrize("site_id", ["a/b", "..", "s?x", "s%2f", "ä"])
def test_a_malformed_site_of_the_connection_is_refused_too(site_id: str) -> None:
    with pytest.raises(SettingsError):
        next(status_flow(hook("ruler", extra={"site_id": site_id}), "rev-1"))


@pytest.mark.parametrize(
    ("vendor", "job_id", "fix"),
    [
        ("ruler", "rev-1", "'<siteId>/<jobId>', or set extra 'site_id' of connection 'mine'"),
        ("talkdesk", "0f9c", "names no report type: give '<report_type>/<jobId>'"),
        ("questionpro", "seven", "'seven' is no batchID of QuestionPro, which is a number"),
    ],
)
def test_a_job_id_of_another_form_says_which_is_right(vendor: str, job_id: str, fix: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(fix)):
        next(status_flow(hook(vendor), job_id))


ODD = st.text("aZ09./%2eEfF\\?#;:@&=+~ \t\n-_é\u2025\u2215\u0667\u00b2", max_size=30)


@EACH
@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["", "data-quality/", "calls/"]),
    st.text(max_size=30) | ODD | st.text("0123456789", max_size=12),
    st.sampled_from([None, "site-9"]),
)
@example("", "%2e%2e", None)
@example("data-quality/", "../..", None)
@example("", "s/%2e%2e", None)
@example("", "s/j;..", "site-9")
@example("", "\u0663", None)
def test_no_job_id_leads_outside_its_place(vendor: str, kind: str, rest: str, site_id: str | None) -> None:
    extra = {"site_id": site_id} if site_id and vendor == "ruler" else {}
    try:
        request = next(status_flow(hook(vendor, extra=extra), kind + rest))
    except SettingsError:
        return
    # As our client puts it on the wire.
    parts = urlsplit(requests.Request("GET", request.url).prepare().url or "")
    assert f"{parts.scheme}://{parts.netloc}" == VENDORS[vendor].base[: len("https://" + parts.netloc)]
    assert (parts.query, parts.fragment) == ("", "")
    found = re.fullmatch(VENDORS[vendor].path, parts.path)
    assert found
    named = [unquote(part) for part in found.groups() if part]
    asked = (kind + rest).strip()
    assert "/".join(named) == (f"{site_id}/{asked}" if extra and "/" not in asked else asked)
    assert all(part.strip(".") for part in named)


# Words


@pytest.mark.parametrize(
    ("name", "job_id", "state"),
    [
        *(
            (f"aftercare/{kind}-{word}", job_id, state)
            for kind, job_id, words in (
                ("coding", UUID, {"partial_failure": JobState.PARTIAL, "total_failure": JobState.FAILED}),
                ("quality", f"data-quality/{UUID}", {"failed": JobState.FAILED}),
            )
            for word, state in {
                "queued": JobState.RUNNING,
                "processing": JobState.RUNNING,
                "completed": JobState.SUCCEEDED,
                **words,
            }.items()
        ),
        ("questionpro/batch", "88123456", JobState.SUCCEEDED),
        ("questionpro/batch-sending", "88123456", JobState.RUNNING),
        ("ruler/status-pending", "site-1/rev-1", JobState.RUNNING),
        ("ruler/status-processing", "site-1/rev-1", JobState.RUNNING),
        ("ruler/status-complete", "site-1/rev-1", JobState.SUCCEEDED),
        ("ruler/status-partialcomplete", "site-1/rev-1", JobState.PARTIAL),
        ("ruler/status-failed-all-rows", "site-1/rev-1", JobState.FAILED),
        ("ruler/status-failed-fatal", "site-1/rev-1", JobState.FAILED),
        ("talkdesk/status-created", "calls/0f9c", JobState.RUNNING),
        ("talkdesk/status-processing", "calls/0f9c", JobState.RUNNING),
        ("talkdesk/status-uploading", "calls/0f9c", JobState.RUNNING),
        ("talkdesk/status-done", "calls/0f9c", JobState.SUCCEEDED),
        ("talkdesk/status-failed", "calls/0f9c", JobState.FAILED),
        ("talkdesk/status-canceled", "calls/0f9c", JobState.CANCELLED),
        ("talkdesk/status-deleted", "calls/0f9c", JobState.CANCELLED),
    ],
)
def test_each_documented_status_has_its_state(name: str, job_id: str, state: JobState) -> None:
    vendor, _, file = name.partition("/")
    for read in (False, True):
        status = status_of(hook(vendor), job_id, reply(sample(f"{name}.json")), read=read)
        assert (status.state, status.job_id, status.vendor) == (state, job_id, vendor)
        if vendor != "questionpro":
            assert (status.vendor_status, status.known) == (file.split("-")[1], True)


NOTHING = dict.fromkeys(["detail", "progress", "counts", "created_at", "completed_at"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "aftercare/coding-total_failure",
            {
                "state": "failed",
                "vendor_status": "total_failure",
                "detail": "PROCESSING_ERROR: No answer could be coded.",
            },
        ),
        (
            "questionpro/batch",
            {
                "state": "succeeded",
                "vendor_status": "Delivery Successful",
                "created_at": "2026-03-20T09:15:42+00:00",
            },
        ),
        (
            "ruler/status-partialcomplete",
            {
                "state": "partial",
                "vendor_status": "partialcomplete",
                "progress": 100,
                "counts": {"total": 250, "processed": 250, "succeeded": 241, "failed": 9},
                "created_at": "2026-03-02T06:15:00+00:00",
                "completed_at": "2026-03-02T06:18:40+00:00",
            },
        ),
        ("talkdesk/status-done", {"state": "succeeded", "vendor_status": "done"}),
    ],
)
def test_the_whole_of_a_status_is_read(name: str, expected: dict[str, Any]) -> None:
    vendor = name.partition("/")[0]
    found = said(vendor, sample(f"{name}.json")).as_dict()
    assert found == {"job_id": VENDORS[vendor].job, "vendor": vendor, **NOTHING, **expected}


@EACH
def test_the_smallest_reply_is_enough_and_words_are_compared_without_case_and_space(vendor: str) -> None:
    kind, job = VENDORS[vendor].hook, VENDORS[vendor].job
    for word, state in kind.statuses.items():
        found = said(vendor, VENDORS[vendor].smallest(word))
        assert replace(found, detail=None) == JobStatus(job, vendor, state, word)
        for spelled in (word.upper(), word.lower(), word.capitalize(), f"  {word} \n"):
            assert said(vendor, VENDORS[vendor].smallest(spelled)).state is state


@pytest.mark.parametrize(
    ("vendor", "good"),
    [
        ("aftercare", ["completed"]),
        ("questionpro", ["Delivery Successful"]),
        ("ruler", ["complete"]),
        ("talkdesk", ["done"]),
    ],
)
def test_one_word_is_a_success_and_no_other(vendor: str, good: list[str]) -> None:
    words = VENDORS[vendor].hook.statuses
    assert [word for word, state in words.items() if state is JobState.SUCCEEDED] == good


@pytest.mark.parametrize(
    ("vendor", "word"),
    [
        *((vendor, word) for vendor in VENDORS for word in ("", " ", "\n\t")),
        *(
            (vendor, word)
            for vendor in ("aftercare", "ruler", "talkdesk")
            for word in (
                "success",
                "cancelled",
                "None",
                "partial",
                "archived",
                "sending",
                "not done",
                "done!",
            )
        ),
        *(("ruler", word) for word in ("partial_complete", "PartialCompleted", "completed")),
        ("aftercare", "complete"),
        ("talkdesk", "completed"),
    ],
)
def test_a_word_that_no_page_lists_is_never_taken_for_one_that_a_page_lists(vendor: str, word: str) -> None:
    with pytest.raises(
        UnexpectedResponse, match=f"unknown status '{word.strip()}'.*extra 'statuses' of connect"
    ):
        said(vendor, VENDORS[vendor].smallest(word))


@EACH
@pytest.mark.parametrize("word", [None, 2, 0, True, ["completed"], {"word": "done"}])
def test_a_status_that_is_no_text_is_unexpected(vendor: str, word: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="without a status word"):
        said(vendor, VENDORS[vendor].smallest(word))


@EACH
@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("as_text", [False, True])
def test_a_connection_may_add_a_word(vendor: str, state: JobState, as_text: bool) -> None:
    words: Any = {"Set Aside": state.value}
    extra = {"statuses": json.dumps(words) if as_text else words}
    status = said(vendor, VENDORS[vendor].smallest("set aside"), extra=extra)
    assert (status.state, status.known) == (state, True)


@EACH
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[7]",
        b"7",
        b'"completed"',
        b"{",
        b'{"status": NaN}',
        b"\xff",
        b"<html>We will be back",
    ],
)
def test_a_body_that_is_no_json_object_is_no_status_and_a_page_is_not_shown(vendor: str, body: bytes) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        status_of(hook(vendor), VENDORS[vendor].job, reply(body, content_type="text/html; charset=utf-8"))
    assert "be back" not in str(caught.value)
    assert not body.startswith(b"<") or "text/html" in str(caught.value)


# Errors


@EACH
@pytest.mark.parametrize(
    "body", [b"", b'{"message": "no"}', b"\xff\xfe\x00", b"null", b"[" * 5000, b"<html><p>502 Bad Gateway"]
)
def test_an_error_of_any_body_is_known_by_its_status(vendor: str, body: bytes) -> None:
    kinds: dict[type[VendorError], tuple[int, ...]] = {
        AccessDenied: (401, 403),
        NotFound: (404, 410),
        RateLimited: (429,),
        RequestRejected: (400, 422),
        ServerError: (408, 500, 502, 503, 504),
        UnexpectedResponse: (304,),
    }
    for kind, statuses in kinds.items():
        for status in statuses:
            with pytest.raises(kind) as caught:
                said(vendor, body, status)
            found = caught.value
            assert type(found) is kind
            path = urlsplit(next(status_flow(hook(vendor), VENDORS[vendor].job)).url).path
            asked = (found.vendor, found.method, found.path)
            assert (*asked, found.status) == (vendor, "GET", path, status)
            assert all(piece in str(found) for piece in (*asked, f"answered {status}"))
            assert str(found).isprintable()
            assert len(str(found)) < 700


@pytest.mark.parametrize(
    ("name", "status", "kind", "text"),
    [
        ("aftercare/error-400", 400, RequestRejected, "INVALID_REQUEST"),
        ("aftercare/error-403", 403, AccessDenied, "403 Forbidden.*INVALID_API_KEY"),
        ("aftercare/error-404", 404, NotFound, "answered 404"),
        ("aftercare/error-504", 504, ServerError, "answered 504"),
        ("talkdesk/error", 403, AccessDenied, "The scope is not granted"),
        ("talkdesk/error-short", 404, NotFound, "answered 404"),
        ("talkdesk/token-error-401", 401, AccessDenied, "Client authentication failed"),
    ],
)
def test_a_documented_error_says_what_the_vendor_says(
    name: str, status: int, kind: type[VendorError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        said(name.partition("/")[0], sample(f"{name}.json"), status)


@pytest.mark.parametrize("vendor", ["aftercare", "questionpro", "ruler"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_with_the_key(vendor: str, status: int) -> None:
    flow = asking(hook(vendor), VENDORS[vendor].job)
    assert KEY in str(dict(next(flow).headers))
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        flow.send(reply(b"", status, location="https://other.example/"))


@pytest.mark.parametrize(
    ("vendor", "key", "own", "others"),
    [
        ("aftercare", "batchJobId", [UUID], ["another", UUID.upper(), 7, "", ["x"], f"{UUID}\u202e"]),
        ("questionpro", "id", [88123456, "88123456"], [88123457, 0, "", "x", 88123456.0, [88123456], True]),
        (
            "ruler",
            "jobId",
            ["rev-1"],
            ["rev-2", "REV-1", "rev-1 ", "site-1/rev-1", "", 1, True, ["rev-1"], {}],
        ),
        ("talkdesk", "id", ["0f9c"], ["other", 7, "0F9C", "calls/0f9c", ["0f9c"]]),
    ],
)
def test_the_status_of_another_job_is_refused(
    vendor: str, key: str, own: list[Any], others: list[Any]
) -> None:
    word = next(iter(VENDORS[vendor].hook.statuses))
    for answered in (None, *own):
        assert said(vendor, VENDORS[vendor].smallest(word, **{key: answered})).vendor_status == word
    for answered in others:
        with pytest.raises(UnexpectedResponse, match="answered for the job"):
            said(vendor, VENDORS[vendor].smallest(word, **{key: answered}))


# Credentials and hosts


@pytest.mark.parametrize(
    ("vendor", "header", "value"),
    [
        ("aftercare", "X-Aftercare-Key", KEY),
        # With a hyphen.
        ("questionpro", "api-key", KEY),
        ("ruler", "Authorization", f"Bearer {KEY}"),
    ],
)
def test_a_key_goes_in_its_own_header_and_nowhere_else(vendor: str, header: str, value: str) -> None:
    request = next(asking(hook(vendor, password=f" {KEY}\t"), VENDORS[vendor].job))
    assert dict(request.headers) == {header: value}
    assert KEY not in request.url + repr(request)


@pytest.mark.parametrize("vendor", ["aftercare", "questionpro", "ruler"])
@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_connection_without_a_key_is_named_with_its_fix(vendor: str, password: str | None) -> None:
    with pytest.raises(SettingsError, match="connection 'mine': password is not set; set it to "):
        next(asking(hook(vendor, password=password), VENDORS[vendor].job))


@pytest.mark.parametrize(
    ("vendor", "host", "base"),
    [
        ("aftercare", "staging.aftercareai.com", "https://staging.aftercareai.com/api/v1"),
        ("aftercare", "https://staging.aftercareai.com/", "https://staging.aftercareai.com/api/v1"),
        ("aftercare", "https://surveys.getaftercare.com/api/v1/", VENDORS["aftercare"].base),
        ("questionpro", "", VENDORS["questionpro"].base),
        *(
            ("questionpro", host, "https://api.questionpro.eu/a/api/v2")
            for host in (
                "https://api.questionpro.eu",
                "https://api.questionpro.eu/",
                "https://api.questionpro.eu//",
                "https://api.questionpro.eu/a/api/v2",
                "https://api.questionpro.eu/a/api/v2/",
                " HTTPS://API.QuestionPro.EU/a/api/v2 ",
            )
        ),
        ("questionpro", "api.surveyanalytics.com", "https://api.surveyanalytics.com/a/api/v2"),
        ("questionpro", "api.questionpro.ca/a/api/v2/", "https://api.questionpro.ca/a/api/v2"),
        ("questionpro", "https://proxy.example:8443/qp", "https://proxy.example:8443/qp"),
    ],
)
def test_a_host_may_be_an_origin_or_the_whole_base(vendor: str, host: str, base: str) -> None:
    assert next(hook(vendor, host=host).ping_flow()).url.startswith(f"{base}/")


# Ping: tests/hooks/test_pings.py has what other servers answer


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        ("aftercare", "/coding/00000000-0000-0000-0000-000000000000"),
        ("questionpro", "/micropanel/batches/0"),
        ("ruler", "/no-such-site/batch/jobs"),
        ("talkdesk", "/data/reports/calls/jobs/00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_ping_is_one_get_of_what_cannot_exist(vendor: str, path: str) -> None:
    request = next(hook(vendor).ping_flow())
    assert (request.method, request.url, request.body) == ("GET", VENDORS[vendor].base + path, None)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("aftercare/error-404", [404]),
        ("aftercare/error-400", [400]),
        ("questionpro/error-404", [200, 404]),
        ("questionpro/error-404-number", [200, 404]),
        ("questionpro/error-400", [200, 400]),
        ("talkdesk/error", [400, 404]),
        ("talkdesk/error-short", [400, 404]),
    ],
)
def test_a_ping_that_finds_nothing_shows_that_the_key_is_accepted(name: str, statuses: list[int]) -> None:
    vendor = name.partition("/")[0]
    for status in statuses:
        found = finish(hook(vendor).ping_flow(), reply(sample(f"{name}.json"), status))
        assert found.startswith(f"{hook(vendor).hook_name.split()[0]} accepts the ")


@pytest.mark.parametrize(
    ("name", "statuses", "kind"),
    [
        ("aftercare/error-403", [401, 403], AccessDenied),
        ("aftercare/error-403", [500, 504], ServerError),
        ("aftercare/error-403", [429], RateLimited),
        ("questionpro/error-401", [200, 401], AccessDenied),
        ("questionpro/error-403", [200, 403], AccessDenied),
        ("questionpro/error-429-spent", [200, 429], RateLimited),
        ("questionpro/error-429-throttled", [200, 429], RateLimited),
        ("questionpro/error-500", [200, 500], ServerError),
        ("talkdesk/error", [401, 403], AccessDenied),
        ("talkdesk/error", [429], RateLimited),
        ("talkdesk/error", [500], ServerError),
    ],
)
def test_a_ping_that_is_refused_or_fails_is_an_error(
    name: str, statuses: list[int], kind: type[VendorError]
) -> None:
    for status in statuses:
        with pytest.raises(kind):
            finish(hook(name.partition("/")[0]).ping_flow(), reply(sample(f"{name}.json"), status))


# Samples


@pytest.mark.parametrize(
    "path",
    [path for vendor in ("aftercare", "questionpro") for path in sorted((SAMPLES / vendor).glob("*.json"))],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_every_sample_is_as_the_vendor_describes_it(path: Path) -> None:
    body = json.loads(path.read_bytes())
    if "-number" in path.name:
        body["response"]["error"]["id"] = str(body["response"]["error"]["id"])
    schema = {
        "aftercare/coding": aftercare_schemas.CODING,
        "aftercare/quality": aftercare_schemas.QUALITY,
        "aftercare/error": aftercare_schemas.ERROR,
        "questionpro/batch": questionpro_schemas.BATCH,
        "questionpro/error": questionpro_schemas.ERROR,
        "questionpro/responses": questionpro_schemas.RESPONSES,
    }
    jsonschema.validate(body, schema[f"{path.parent.name}/{re.split('[-.]', path.name)[0]}"])


@EACH
def test_every_sample_has_a_source(vendor: str) -> None:
    sources = (SAMPLES / vendor / "SOURCES.md").read_text()
    names = {path.name for path in (SAMPLES / vendor).iterdir()} - {"SOURCES.md"}
    assert {name for name in names if f"`{name}`" not in sources} == set()
