"""What can be set about the QuestionPro stand-in.

Sources: https://questionpro.com/api/limits.html , https://questionpro.com/api/error-codes.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_jobstatus.sandbox.admin_fields import Fields


@dataclass(frozen=True, kw_only=True)
class QuestionProSettings:
    """What can be set.

    :param api_key: The key.
    :param permitted: Whether the key may see mailings at all; without, every call is a 403.
    :param errors_inside_200: Whether errors come with the HTTP status 200.
    :param integer_error_ids: Whether the id of an error is a number, as on the page of codes; else a string.
    :param requests_per_window: How many calls are answered in a window of time; 0 for any number.
    :param window_seconds: How long the window is.
    :param retry_after_seconds: The ``Retry-After`` of a throttled call; 0 for none (unknown at the vendor).
    :param licence_calls_left: After how many calls the licence is spent; none for never.
    :param create_status: The HTTP status for a new mailing, 200 or 201 (unknown at the vendor).
    :param create_running_seconds: How long a new mailing takes.
    """

    api_key: str
    permitted: bool = True
    errors_inside_200: bool = False
    integer_error_ids: bool = False
    requests_per_window: int = 0
    window_seconds: float = 60.0
    retry_after_seconds: int = 0
    licence_calls_left: int | None = None
    create_status: int = 200
    create_running_seconds: float = 8.0


def read_settings(changes: Mapping[str, object], old: QuestionProSettings) -> QuestionProSettings:
    """Read changes of settings."""
    given = Fields(changes, "settings")
    # A null brings back the licence that is never spent, so a missing key is not the same.
    calls_left = old.licence_calls_left
    if "licence_calls_left" in given:
        calls_left = given.whole("licence_calls_left", None)
    settings = QuestionProSettings(
        api_key=given.text("api_key") or old.api_key,
        permitted=given.flag("permitted", old.permitted),
        errors_inside_200=given.flag("errors_inside_200", old.errors_inside_200),
        integer_error_ids=given.flag("integer_error_ids", old.integer_error_ids),
        requests_per_window=given.whole("requests_per_window", old.requests_per_window) or 0,
        window_seconds=given.number("window_seconds", old.window_seconds),
        retry_after_seconds=given.whole("retry_after_seconds", old.retry_after_seconds) or 0,
        licence_calls_left=calls_left,
        create_status=given.whole("create_status", old.create_status) or 0,
        create_running_seconds=given.number("create_running_seconds", old.create_running_seconds),
    )
    given.finish()
    if settings.create_status not in (200, 201):
        raise ValueError("settings: create_status must be 200 or 201.")
    return settings
