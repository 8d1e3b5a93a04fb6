"""What else a response and a connection say: when to poll again, whose error it is, account, cost, rate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.core.tokens import Exchange
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.login import login_flow
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from tests.support.asking import asking
from tests.support.flows import FIELDS, hook_of

JOBS: dict[type[BatchJobHook], str] = {
    AftercareHook: "b-1",
    QuestionProHook: "17",
    RulerHook: "site/j-1",
    TalkdeskHook: "calls/j-1",
}
RUNNING: dict[type[BatchJobHook], Any] = {
    AftercareHook: {"batchJobId": "b-1", "status": "queued"},
    QuestionProHook: {"response": {"id": 17, "status": "Under way"}},
    RulerHook: {"status": "pending"},
    TalkdeskHook: {"job": {"id": "j-1", "status": "created"}},
}
OWN: dict[type[BatchJobHook], Any] = {
    AftercareHook: {"code": "INVALID_REQUEST", "message": "no"},
    QuestionProHook: {"response": {"error": {"id": "1003", "name": "X", "message": "no"}}},
    RulerHook: {"message": "no"},
    TalkdeskHook: {"code": "0001", "message": "no", "description": "no", "fields": []},
}


def answered(kind: type[BatchJobHook], *responses: Response) -> Any:
    """Return what a flow makes of these replies, or the error it ends with; a token is at hand."""
    flow = asking(hook_of(kind), JOBS[kind])
    left = list(responses)
    step = next(flow)
    try:
        while True:
            step = flow.send("a-token" if isinstance(step, Exchange) else left.pop(0))
    except StopIteration as stop:
        return stop.value
    except VendorError as error:
        return error


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize(
    "status", [200, 201, 202, 400, 401, 403, 404, 405, 408, 421, 425, 429, 500, 503, 307]
)
def test_a_retry_after_is_taken_from_every_reply(kind: type[BatchJobHook], status: int) -> None:
    body = json.dumps(RUNNING[kind] if status < 300 else OWN[kind]).encode()
    found = answered(kind, Response(status, {"retry-after": "77"}, body))
    assert found.retry_after == 77.0


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"a', b"null"])
def test_a_4xx_of_another_form_is_not_the_vendors(kind: type[BatchJobHook], body: bytes) -> None:
    for status in (400, 404, 405, 410, 418, 451):
        assert not answered(kind, Response(status, {}, body)).own


@pytest.mark.parametrize("kind", JOBS)
def test_a_4xx_of_its_form_is_the_vendors_own_but_for_a_misdirected_request(kind: type[BatchJobHook]) -> None:
    body = json.dumps(OWN[kind]).encode()
    own = [answered(kind, Response(status, {}, body)).own for status in (400, 409, 404, 410, 421)]
    # No page shows what Ruler says of a job that it does not know: any gateway's JSON would do.
    not_found = kind is not RulerHook
    assert own == [True, True, not_found, not_found, False]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 200, 202])
def test_a_login_that_is_not_answered_as_it_should_tells_when_to_come_again(status: int) -> None:
    talkdesk = hook_of(TalkdeskHook)
    assert isinstance(talkdesk, TalkdeskHook)
    flow = login_flow(talkdesk, "https://acme.talkdeskid.com/oauth/token", "client", "secret-of-mine")
    next(flow)
    with pytest.raises(VendorError) as caught:
        flow.send(Response(status, {"retry-after": "300"}, b'{"error": "x"}'))
    assert caught.value.retry_after == 300.0
    if isinstance(caught.value, AccessDenied):
        assert caught.value.login
    assert isinstance(caught.value, AccessDenied) == (status in (400, 401, 403))


def test_a_refused_token_is_not_renewed_before_the_time_that_the_refusal_names() -> None:
    refused = Response(401, {"retry-after": "60"}, b"{}")
    found = answered(TalkdeskHook, refused)  # a second request would find no reply
    assert isinstance(found, AccessDenied)
    assert not found.login


# The account


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (AftercareHook, {"host": "https://other.example"}),
        (AftercareHook, {"host": "https://surveys.getaftercare.com:8443"}),
        (QuestionProHook, {"host": "https://api.questionpro.eu"}),
        (RulerHook, {"extra": {"site_id": "another"}}),
        (TalkdeskHook, {"extra": {"account": "other"}}),
        (TalkdeskHook, {"extra": {"region": "eu"}}),
        (TalkdeskHook, {"extra": {"token_url": "https://other.talkdeskid.com/oauth/token"}}),
    ],
)
def test_another_origin_account_region_or_site_has_another_digest(
    kind: type[BatchJobHook], change: dict[str, Any]
) -> None:
    before, after = hook_of(kind).account_digest, hook_of(kind, **change)
    assert len(before) == 16
    assert after.account_digest != before
    with pytest.raises(SettingsError, match="has changed during the wait"):
        after.check_account(before)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, {"password": "another-key"}) for kind in JOBS),
        (RulerHook, {"login": "somebody"}),
        (TalkdeskHook, {"login": "another-client"}),
        (TalkdeskHook, {"extra": {"region": "us"}}),
        (TalkdeskHook, {"extra": {"token_url": "https://acme.talkdeskid.com/oauth/token"}}),
        (AftercareHook, {"host": "https://Surveys.GetAftercare.com/api/v1/"}),
        (AftercareHook, {"extra": {"timeout": 5}}),
    ],
)
def test_a_secret_a_login_and_the_like_may_change(kind: type[BatchJobHook], change: dict[str, Any]) -> None:
    hook_of(kind, **change).check_account(hook_of(kind).account_digest)
    hook_of(kind, **change).check_account("")


# What a wait costs


@pytest.mark.parametrize(
    ("seconds", "options", "looks"),
    [
        (60.0, {}, 2),
        (120.0, {}, 3),
        (100.0, {}, 3),
        (3600.0, {}, 61),
        (3600.0, {"exponential_backoff": True}, 7),
        (3600.0, {"exponential_backoff": True, "max_wait": 300.0}, 15),
    ],
)
def test_a_plan_knows_how_often_it_looks_at_most(seconds: float, options: Any, looks: int) -> None:
    plan = WaitSpec(60.0, 0.0, 60.0, seconds, **options)
    points, now = 1, 0.0
    while now < seconds:
        now = min(plan.next_point(now), seconds)
        points += 1
    assert plan.most_polls() == points == looks


def test_only_questionpro_says_what_a_wait_costs() -> None:
    assert {kind: hook_of(kind).cost_warning(4321) is not None for kind in JOBS} == {
        kind: kind is QuestionProHook for kind in JOBS
    }
    assert "4321" in str(hook_of(QuestionProHook).cost_warning(4321))


@pytest.mark.parametrize(("value", "grace"), [(None, 600.0), (0, 0.0), ("0", 0.0), ("", 600.0), (90.5, 90.5)])
def test_the_grace_is_the_connections(value: Any, grace: float) -> None:
    assert hook_of(RulerHook, extra={"refusal_grace": value}).settings.refusal_grace == grace


@pytest.mark.parametrize("value", [-1, "soon", True, [5], "inf"])
def test_a_grace_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="refusal_grace"):
        hook_of(RulerHook, extra={"refusal_grace": value})


# What a key may use: by its connection, else by the vendor's page


def test_questionpro_is_asked_less_than_300_times_a_minute_by_all_means() -> None:
    rate = hook_of(QuestionProHook).rate
    assert rate.per_second is not None
    # Something is left for the workers' first looks, and for others with the same key.
    assert 250 <= rate.burst + 60 * rate.per_second <= 280


def test_where_no_page_names_a_limit_there_is_none() -> None:
    assert hook_of(RulerHook).rate == Rate()


def test_the_connection_counts_more_than_the_page() -> None:
    assert hook_of(QuestionProHook, extra={"requests_per_second": 2}).rate == Rate(
        2.0, QuestionProHook.rate_limit.burst
    )
    assert hook_of(QuestionProHook, extra={"burst": "7"}).rate == Rate(
        QuestionProHook.rate_limit.per_second, 7
    )
    assert hook_of(RulerHook, extra={"requests_per_second": "0.5"}).rate == Rate(0.5, 10)


@pytest.mark.parametrize("value", [0, -1, True, "fast", "nan", 1e400, [], {}])
def test_a_rate_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="extra 'requests_per_second' is "):
        hook_of(RulerHook, extra={"requests_per_second": value if value != 1e400 else "1e400"})


@pytest.mark.parametrize("value", [0, 1.5, "many"])
def test_a_burst_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="extra 'burst' is "):
        hook_of(RulerHook, extra={"burst": value})


def test_a_key_is_known_by_what_it_is_and_not_by_its_connection() -> None:
    digest = hook_of(RulerHook).key_digest
    assert digest == hook_of(RulerHook, extra={"site_id": "another"}).key_digest
    assert digest != hook_of(RulerHook, password="another-key").key_digest
    assert digest != hook_of(QuestionProHook).key_digest
    assert FIELDS["password"] not in digest
