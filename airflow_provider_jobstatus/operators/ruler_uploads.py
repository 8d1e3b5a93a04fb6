"""Operators that upload to Ruler Analytics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.upload_columns import UPLOADS, JobType
from airflow_provider_jobstatus.operators.personal_fields import PersonalFields, content_of
from airflow_provider_jobstatus.operators.ruler_failures import FetchFailures
from airflow_provider_jobstatus.operators.submitting import SubmitOperator, digest_of
from airflow_provider_jobstatus.tasks import arguments

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.files.upload_source import UploadBytes, UploadFile
    from airflow_provider_jobstatus.tasks.order import Order


class RulerUploadRevenueOperator(PersonalFields, SubmitOperator):
    """
    Upload a CSV of revenue to Ruler Analytics, and return the id of its job.

    Every row is checked before anything is sent: a header with ``RevenueClosedDate``, ``CurrencyCode``,
    ``Value``, ``Reference``, ``Label`` (which may be repeated) and one of ``RaId``, ``EmailAddress``,
    ``PhoneNumber``, ``PayloadValue``; times in UTC without a time zone and not in the future, codes of ISO
    4217, decimal numbers, a ``Reference`` that no other row has, rows as long as the header, UTF-8. A mistake
    is named by row and column, the header being row 1, and never by what stands there.

    **The address of uploads and the name of the form's part are on no page of Ruler's that could be read.**
    The defaults are inferred; ``upload_path`` and ``part_name`` set others.

    :param source: (templated) the file: local path, any URI of ``ObjectStoragePath``, an object of either, or
        an ``Asset``. It is read twice, to be checked and to be sent; if it has changed in between, the upload
        is broken off and makes no job.
    :param rows: (templated; Airflow's page shows a count) in place of ``source``, a list of dicts of column
        to value. A datetime with a time zone becomes UTC; a list under ``Label`` becomes repeated columns.
    :param site_id: (templated) of the site, by default extra ``site_id`` of the connection.
    :param upload_path: (templated) path after the base URL, in which ``{site_id}`` and ``{job_type}`` stand
        for the site and for ``revenue`` or ``opportunity``; by default extra ``upload_path`` of the
        connection, else ``"/{site_id}/{job_type}/batch"``.
    :param part_name: (templated) of the form's part with the file; by default extra ``part_name`` of the
        connection, else ``"file"``.
    :param conn_id: (templated) connection of type ``ruler``, by default ``ruler_default``.
    :param ruler_conn_id: (templated) the same, by its older name.
    :param wait: wait for the end of the job, by the arguments of ``BatchJobSensor`` under the same names.
    :param fetch: (templated) with ``wait``, where to write the rejected rows: as ``destination`` of
        ``RulerDownloadFailuresOperator``. A job without any gives a file without rows.
    :param max_active_submissions: how many submissions of this task are under way at once, in all runs.
    :param resubmit_on_failure: if the job has failed, a retry uploads again; by default it fails again.
    :param resubmit_when_cleared: a task that is cleared uploads again also where what became of an earlier
        upload cannot be told.

    :return: ``"<siteId>/<jobId>"``; with ``wait`` what ``BatchJobSensor`` returns, with ``fetch`` the
        manifest in it, as ``"manifest"``.

    :raises BadSettings: connection or arguments, a mistake in the file, or a file that has changed. Airflow
        does not retry.
    :raises NotSubmitted: the file cannot be read, or Ruler not be reached, and there is no job. A retry
        uploads. Where an earlier try has made a job, the file is not needed any more.
    :raises VendorRefused: Ruler refuses the file, the credentials or the address, and there is no job. A
        retry uploads again.
    :raises SubmissionUnknown: whether there is a job is unknown: the reply was lost or is a page of another
        server, and there is not exactly one job that is new in the site's list, was made since and has as
        many rows. Airflow does not retry.
    :raises JobStatusError: with ``wait``, as ``BatchJobSensor``; with ``fetch``, as
        ``RulerDownloadFailuresOperator``. A retry waits for the same job. When a task is killed its job goes
        on: Ruler cannot cancel one.
    """

    hook_class = RulerHook
    check = "the batch jobs of the site at Ruler"
    job_type: ClassVar[JobType] = "revenue"
    fetched_states = frozenset({JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED})
    template_fields: Sequence[str] = (
        *("source", "rows", "site_id", "upload_path", "part_name", "conn_id", "ruler_conn_id", "fetch"),
    )
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        source: object = None,
        rows: Any = None,
        site_id: str | None = None,
        upload_path: str | None = None,
        part_name: str | None = None,
        ruler_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (source is None) == (rows is None):
            raise BadSettings("give either source, a file, or rows, a list of dicts")
        if source is not None:
            source = arguments.source(source)
        super().__init__(own_conn_id=ruler_conn_id, **kwargs)
        self.source = source
        self.rows = rows
        self.site_id = plain(site_id)
        self.upload_path = plain(upload_path)
        self.part_name = plain(part_name)

    def orders(self, hook: RulerHook, context: Context) -> Order:
        """
        Return the one upload. Its file is checked when it is about to be sent.

        :raises SettingsError: arguments that cannot work.
        """
        from airflow_provider_jobstatus.tasks.order import Order

        place = hook.upload_place(self.job_type, self.site_id, self.upload_path, self.part_name)
        content, name = self._content()
        check = cache(lambda: self._check(content, name))

        def prepare() -> str:
            check()
            return digest_of(place.site, self.job_type, content.sha256)

        def before() -> dict[str, Any]:
            jobs: dict[str, Any] = hook.call(hook.jobs_before_operation(place))
            return {**jobs, "rows": check()}

        def search(before: Mapping[str, Any]) -> list[str]:
            return hook.call(hook.search_operation(place, before["rows"], before))

        # Other uploads of a mapped task begin at the same moment, and as a rule have as many rows.
        alone = self.max_active_submissions == 1 or getattr(context.get("ti"), "map_index", -1) in (-1, None)
        return Order(
            operation=hook.upload_operation(place, content),
            about=f"an upload of {self.job_type} to site {place.site}",
            prepare=prepare,
            before=before if alone else None,
            search=search if alone else None,
        )

    def _content(self) -> tuple[UploadFile | UploadBytes, Callable[[int], str]]:
        """Return what is to be uploaded, and what names a row of it."""
        from airflow_provider_jobstatus.files.upload_source import UploadBytes, UploadFile
        from airflow_provider_jobstatus.hooks.ruler.upload_check import row_of_file, row_of_list
        from airflow_provider_jobstatus.hooks.ruler.upload_rows import rows_as_csv

        if (rows := content_of(self.rows)) is not None:
            return UploadBytes(rows_as_csv(UPLOADS[self.job_type], rows)), row_of_list
        return UploadFile(arguments.source(self.source)), row_of_file

    def _check(self, content: UploadFile | UploadBytes, name: Callable[[int], str]) -> int:
        """Check what is to be uploaded, and return how many rows it has."""
        from airflow_provider_jobstatus.hooks.ruler.upload_check import check_rows

        found = check_rows(UPLOADS[self.job_type], content.checked(), time.time(), name)
        for remark in found.remarks:
            self.log.warning(remark)
        self.log.info("%d rows of %s are checked", found.rows, self.job_type)
        return found.rows

    def fetch_results(self, hook: RulerHook, result: Mapping[str, Any], destination: str) -> dict[str, Any]:
        """Write the rejected rows, and return the manifest."""
        return FetchFailures(hook=hook, destination=destination, job_type=self.job_type)(result["job_id"])


class RulerUploadOpportunitiesOperator(RulerUploadRevenueOperator):
    """
    Upload a CSV of opportunities to Ruler Analytics, and return the id of its job.

    As :class:`RulerUploadRevenueOperator`, with the same arguments; but the columns that a file must have are
    ``OpportunityDateTime``, ``CurrencyCode``, ``OpportunityValue``, ``PipelineStage`` and one of the four
    identifiers. ``Label`` may be repeated or missing, and ``Reference`` may be missing or stand in several
    rows.
    """

    job_type: ClassVar[JobType] = "opportunity"
