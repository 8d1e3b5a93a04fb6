"""What Airflow's configuration says about this provider: section ``[jobstatus]``."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

SECTION = "jobstatus"


def max_trigger_bytes() -> int | None:
    """Return how many bytes of a trigger's arguments Airflow's database holds, 0 for any; None: not said."""
    # Not before it is needed: Airflow imports hooks while it reads its configuration.
    from airflow.providers.common.compat.sdk import conf

    text = (conf.get(SECTION, "max_trigger_bytes", fallback="") or "").strip()
    if text and not (text.isascii() and text.isdigit()):
        log.warning("[%s] max_trigger_bytes is no whole number; it has no effect", SECTION)
        return None
    return int(text) if text else None
