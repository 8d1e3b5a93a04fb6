"""The operator that asks Talkdesk for reports; its place is ``operators.talkdesk``."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook, submit
from airflow_provider_jobstatus.hooks.talkdesk.windows import (
    Window,
    check_split,
    check_zone,
    moment,
    window_caveats,
    windows,
)
from airflow_provider_jobstatus.operators.submitting import SubmitOperator, digest_of
from airflow_provider_jobstatus.tasks import arguments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.tasks.order import Order


class TalkdeskRequestReportOperator(SubmitOperator):
    """
    Ask for a report, or for several that follow one another, each once. Needs the scope
    ``data-reports:write``.

    :param report_type: (templated) such as ``"calls"``.
    :param start: (templated) where the interval begins, inclusive: an aware datetime, or its text in
        ISO 8601 with an offset. It is sent in UTC.
    :param end: (templated) where it ends, exclusive, likewise.
    :param timezone: (templated) IANA name of the time zone in which the report shows times. Default
        ``"UTC"``. It does not change the interval.
    :param file_format: (templated) ``"csv"`` (default), ``"json"`` or ``"json_bulk"``.
    :param name: (templated) of the report, at most 150 characters. By default type and start. A tag of the
        task and a random word are added, by which a job that gets lost is found again.
    :param split_by: a timedelta: instead of one report, one for each window of this length, 1,000 at most,
        without gap or overlap. A day is 24 hours, also when clocks change. Default None.
    :param conn_id: (templated) connection of type ``talkdesk``, by default ``talkdesk_default``. One of
        ``default_args`` counts only if it is of that type.
    :param talkdesk_conn_id: (templated) the same, by the vendor's name.
    :param wait: wait for the reports, by the arguments of ``BatchJobSensor`` under the same names.
    :param fetch: (templated) with ``wait``, where to write the file, as ``destination`` of
        ``TalkdeskDownloadReportOperator``; of several reports, a folder with a trailing slash. A file that is
        there is replaced.
    :param max_active_submissions: how many submissions of this task are under way at once, in all runs.
    :param resubmit_on_failure: if a report has failed, a retry asks for it again; by default it fails again.
    :param resubmit_when_cleared: a task that is cleared asks again also where what became of the job of an
        earlier try cannot be told.

    :return: the job id, ``"<report_type>/<jobId>"``; with ``split_by`` the list of them, in order of time.
        With ``wait``, what the sensor returns for it; with ``fetch``, with a ``"manifest"`` in it.

    :raises SubmissionUnknown: whether there is a job is unknown, and the list of jobs does not show exactly
        one of its name; Airflow does not retry.
    :raises NotSubmitted: there is none: Talkdesk or Airflow could not be reached. A retry asks.
    :raises VendorRefused: there is none: credentials, permission, or Talkdesk rejects the request. A retry
        asks.
    :raises BadSettings: connection or arguments, also an interval of zero length, as most runs of Airflow 3
        have it; nothing was sent. Airflow does not retry.

    With ``wait``, what the sensor raises, and with ``fetch`` what the download raises. A retry waits on for
    the same jobs. A task that is stopped leaves them running: Talkdesk has no way to cancel one.
    """

    template_fields: Sequence[str] = (
        *("report_type", "start", "end", "timezone", "file_format", "name", "fetch"),
        *("conn_id", "talkdesk_conn_id"),
    )
    hook_class = TalkdeskHook
    check = "the jobs of this report type at Talkdesk, for that name"
    ui_color = "#efe8f5"

    def __init__(
        self,
        *,
        report_type: str,
        start: datetime | str,
        end: datetime | str,
        timezone: str = "UTC",
        file_format: submit.ReportFormat = "csv",
        name: str | None = None,
        split_by: timedelta | None = None,
        talkdesk_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            check_split(split_by)
            _check_interval(start, end, split_by)
            if arguments.is_known(report_type):
                submit.type_segment(report_type)
            if arguments.is_known(timezone):
                check_zone(timezone, look_up=False)
            if name is not None and arguments.is_known(name):
                submit.check_name(name)
        except SettingsError as error:
            raise BadSettings(str(error)) from None
        if arguments.is_known(file_format):
            arguments.choice("file_format", file_format, get_args(submit.ReportFormat))
        super().__init__(own_conn_id=talkdesk_conn_id, **kwargs)
        self.report_type = plain(report_type)
        self.start = plain(start)
        self.end = plain(end)
        self.timezone = plain(timezone)
        self.file_format = plain(file_format)
        self.name = plain(name)
        self.split_by = split_by

    def orders(self, hook: TalkdeskHook, context: Context) -> list[Order] | Order:
        """Return the report of each window."""
        zone = check_zone(self.timezone)
        arguments.choice("file_format", self.file_format, get_args(submit.ReportFormat))
        submit.type_segment(self.report_type)
        own_name = None if self.name is None else submit.check_name(self.name)
        asked = windows(self.start, self.end, self.split_by)
        for caveat in window_caveats(self.report_type, asked, datetime.now(UTC)):
            self.log.warning(caveat)
        orders = [
            self._order(hook, window, zone, own_name, tag)
            for window, tag in zip(asked, _tags(context), strict=False)
        ]
        return orders if self.split_by is not None else orders[0]

    def _order(self, hook: TalkdeskHook, window: Window, zone: str, own_name: str | None, tag: str) -> Order:
        from airflow_provider_jobstatus.tasks.order import Order

        report_type, file_format = self.report_type.strip(), self.file_format
        usual = f"{report_type} {window.timespan()['from']}"
        # The tag is the task's in each of its tries, the word that of one request, and tells which is later.
        word = f"{int(datetime.now(UTC).timestamp() * 1000):012x}{uuid.uuid4().hex[:6]}"
        name = f"{own_name or usual} {tag} {word}"

        def search(kept: Mapping[str, str]) -> list[str]:
            return hook.call(submit.search(hook, kept["report_type"], kept["name"]))

        return Order(
            operation=submit.submission(
                hook, report_type, submit.order_body(name, zone, file_format, window)
            ),
            digest=digest_of(report_type, zone, file_format, window.timespan(), own_name),
            about=f"the report {name!r}",
            before=lambda: {"report_type": report_type, "name": name},
            search=search,
            # A task that was cleared may have asked several times: the last counts.
            earlier=lambda: hook.call(submit.search(hook, report_type, tag=tag))[-1:],
        )

    def fetch_results(
        self, hook: TalkdeskHook, result: Mapping[str, Any], destination: str
    ) -> dict[str, Any]:
        """Write the file of a report, and return the manifest."""
        from airflow_provider_jobstatus.files.retry_budget import RetryBudget
        from airflow_provider_jobstatus.operators.talkdesk_files import fetch_report

        job_id = result["job_id"]
        patience = RetryBudget(f"{job_id} (connection {hook.conn_id!r})")
        return {
            "job_id": job_id,
            **fetch_report(hook, job_id, result["vendor_status"], destination, patience),
        }


def _check_interval(start: Any, end: Any, split_by: timedelta | None) -> None:
    """
    Check what is known of an interval before the task runs.

    :raises SettingsError: it cannot be one.
    """
    known = {
        name: value
        for name, value in (("start", start), ("end", end))
        if isinstance(value, datetime) or arguments.is_known(value)
    }
    for name, value in known.items():
        moment(name, value)
    if len(known) == 2:
        windows(start, end, split_by)


def _tags(context: Context) -> Iterator[str]:
    """Yield a word for each report of a task, the same in each of its tries, and no other task's."""
    task = [getattr(context.get("ti"), name, None) for name in ("dag_id", "run_id", "task_id", "map_index")]
    for number in count():
        yield f"jobstatus-{hashlib.sha256(repr([*task, number]).encode()).hexdigest()[:12]}"
