"""What can be set about the Ruler stand-in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RulerSettings:
    """What can be set besides the static token.

    :param username: What logs in.
    :param password: What logs in.
    :param token_lifetime_seconds: How long a token is good.
    :param upload_pending_seconds: How long the job of an upload is ``pending``.
    :param upload_processing_seconds: How long it is ``processing`` after that.
    :param upload_path: Where uploads go, after ``/v1`` (unknown at the vendor).
    :param upload_part: The part of an upload that holds the file (unknown at the vendor).
    :param upload_strict: Whether a bad row refuses the whole file with a 400.
    """

    username: str
    password: str
    token_lifetime_seconds: float = 3600.0
    upload_pending_seconds: float = 2.0
    upload_processing_seconds: float = 6.0
    upload_path: str = "/{site_id}/{job_type}/batch"
    upload_part: str = "file"
    upload_strict: bool = False
