"""What a key may use: by its connection, else by the vendor's page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook


def hook(kind: type[BatchJobHook], key: str = "key-of-mine", **extra: Any) -> BatchJobHook:
    connection = Connection(conn_id="mine", conn_type=kind.conn_type, password=key, extra=json.dumps(extra))
    return kind.from_connection(connection)


def test_questionpro_is_asked_less_than_300_times_a_minute_by_all_means() -> None:
    rate = hook(QuestionProHook).rate
    assert rate.per_second is not None
    # Something is left for the workers' first looks, and for others with the same key.
    assert 250 <= rate.burst + 60 * rate.per_second <= 280


def test_where_no_page_names_a_limit_there_is_none() -> None:
    assert hook(RulerHook).rate == Rate()


def test_the_connection_counts_more_than_the_page() -> None:
    assert hook(QuestionProHook, requests_per_second=2).rate == Rate(2.0, QuestionProHook.rate_limit.burst)
    assert hook(QuestionProHook, burst="7").rate == Rate(QuestionProHook.rate_limit.per_second, 7)
    assert hook(RulerHook, requests_per_second="0.5").rate == Rate(0.5, 10)


@pytest.mark.parametrize("value", [0, -1, True, "fast", "nan", 1e400, [], {}])
def test_a_rate_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="extra 'requests_per_second' is "):
        hook(RulerHook, requests_per_second=value if value != 1e400 else "1e400")


@pytest.mark.parametrize("value", [0, 1.5, "many"])
def test_a_burst_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="extra 'burst' is "):
        hook(RulerHook, burst=value)


def test_a_key_is_known_by_what_it_is_and_not_by_its_connection() -> None:
    digest = hook(RulerHook).key_digest
    assert digest == hook(RulerHook, site_id="another").key_digest
    assert digest != hook(RulerHook, "another-key").key_digest
    assert digest != hook(QuestionProHook).key_digest
    assert "key-of-mine" not in digest
