"""Panel mailings at the QuestionPro stand-in: their answers, and checks of what is submitted.

Sources: https://www.questionpro.com/api/communities/batch-details.html ,
https://www.questionpro.com/api/communities/send-survey.html

The pages show one status, the one of a mailing that has gone out. The words before it are made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.orders import as_object
from airflow_provider_jobstatus.sandbox.script import read_script
from airflow_provider_jobstatus.sandbox.timeline import Timeline

BATCH_KEYS = ("surveyID", "senderUserID", "status", "creationTimestamp", "id")
DELIVERED = "Delivery Successful"
RUNNING_WORDS = ("Scheduled", "Sending")
SENDER = 7001


@dataclass(kw_only=True)
class Batch:
    """One mailing.

    :param batch_id: Its id.
    :param survey_id: The survey that it invites to.
    :param sender_user_id: The user that sends it.
    :param timeline: Its status.
    """

    batch_id: int
    survey_id: int
    sender_user_id: int
    timeline: Timeline

    def detail(self, now: float) -> dict[str, object]:
        """Return the inner part of a detail answer."""
        created = datetime.fromtimestamp(self.timeline.created_at, UTC)
        body: dict[str, object] = {
            "surveyID": self.survey_id,
            "senderUserID": self.sender_user_id,
            "status": self.timeline.word(now),
            "creationTimestamp": created.isoformat(timespec="milliseconds"),
            "id": self.batch_id,
        }
        return body | dict(self.timeline.overrides)


def read_batch(batch_id: int, spec: Mapping[str, object], now: float) -> Batch:
    """Make a mailing from the body of an admin request.

    :raises ValueError: The body has mistakes.
    """
    given = Fields(spec, "job")
    words = given.take("running_words", RUNNING_WORDS)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError("job: running_words must be a list of strings.")
    seconds = given.number("running_seconds", 8.0)
    end = given.text("end", DELIVERED) or ""
    batch = Batch(
        batch_id=batch_id,
        survey_id=given.whole("survey_id", 5001) or 0,
        sender_user_id=given.whole("sender_user_id", SENDER) or 0,
        timeline=Timeline(
            stages=[(word, seconds / len(words)) for word in words],
            end=end,
            terminal={end.lower()},
            created_at=now,
            waits_for_poll=given.flag("start_on_first_poll"),
            script=read_script(given.take("script", []), keys=BATCH_KEYS),
        ),
    )
    given.finish()
    return batch


class Refused(Exception):
    """A call that is answered with an error.

    :param status: The HTTP status.
    :param message: What is wrong.
    :param error_id: The id of the error, from the page of codes, if not the usual one of the status.
    """

    def __init__(self, status: int, message: str, error_id: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_id = error_id


def read_order(body: bytes) -> int:
    """Read what is to be sent and return the id of its survey.

    :raises Refused: It is no good.
    """
    try:
        order = as_object(json.loads(body))
    except ValueError:
        raise Refused(400, "The body is not proper JSON", 1001) from None
    survey_id = as_object(order.get("compose")).get("surveyID")
    if not isinstance(survey_id, int) or isinstance(survey_id, bool):
        raise Refused(400, "compose.surveyID must be an integer", 1002)
    recipients = as_object(order.get("recipients"))
    kind = recipients.get("filterType")
    if kind not in (1, 2, 3):
        raise Refused(400, "recipients.filterType must be 1, 2 or 3", 1002)
    if kind == 2 and not recipients.get("emailAddress"):
        raise Refused(400, "recipients.emailAddress is missing", 1002)
    if kind == 3 and not isinstance(recipients.get("existingFilterID"), int):
        raise Refused(400, "recipients.existingFilterID is missing", 1002)
    if not isinstance(order.get("send"), Mapping):
        raise Refused(400, "send must be an object", 1002)
    return survey_id
