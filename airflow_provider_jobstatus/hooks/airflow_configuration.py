"""What Airflow's configuration says about this provider: section ``[jobstatus]``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

from airflow_provider_jobstatus.core.rate_limiter import Rate
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.hooks.validators import positive, positive_whole

log = logging.getLogger(__name__)

SECTION = "jobstatus"


def configured_rate(conn_type: str, usual: Rate) -> Rate:
    """
    Return what the keys of a vendor may use.

    :param usual: for what is not configured, or not usable.
    """
    settings = _options().get(conn_type)
    if not isinstance(settings, Mapping):
        return usual
    try:
        per_second = positive(settings.get("requests_per_second"))
        at_once = positive_whole(settings.get("burst"))
    except ValueError as problem:
        log.warning("[%s] budgets: a number for %r %s; it has no effect", SECTION, conn_type, problem)
        return usual
    return Rate(usual.per_second if per_second is None else per_second, at_once or usual.burst)


def max_trigger_bytes() -> int | None:
    """Return how many bytes of a trigger's arguments Airflow's database holds, 0 for any; None: not said."""
    from airflow.providers.common.compat.sdk import conf

    text = (conf.get(SECTION, "max_trigger_bytes", fallback="") or "").strip()
    if text and not (text.isascii() and text.isdigit()):
        log.warning("[%s] max_trigger_bytes is no whole number; it has no effect", SECTION)
        return None
    return int(text) if text else None


@cache
def _options() -> Mapping[str, object]:
    # Not before it is needed: Airflow imports hooks while it reads its configuration.
    from airflow.providers.common.compat.sdk import conf

    text = (conf.get(SECTION, "budgets", fallback="") or "").strip()
    try:
        options = load_json(text) if text else {}
    except ValueError:
        options = None
    if not isinstance(options, Mapping):
        log.warning("[%s] budgets is no JSON object; it has no effect", SECTION)
        return {}
    return options
