"""The name of a file that a vendor serves, made harmless."""

from __future__ import annotations

import re
from urllib.parse import unquote

from airflow_provider_jobstatus.core.text import clean

_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._ ()+=@-]")


def file_name(content_disposition: str, default: str) -> str:
    """
    Return the name that a server gives a file, made harmless, or ``default``.

    :param content_disposition: header of the reply; a hint (RFC 6266, section 4.3).
    """
    found = re.search(r'filename="?([^";]*)"?', content_disposition, re.IGNORECASE)
    last = re.split(r"[/\\]", unquote(found[1]) if found else "")[-1]
    name = _UNSAFE_NAME.sub("_", clean(last, 150)).strip(" .")
    return name or default
