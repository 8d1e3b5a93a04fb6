"""Operators for Aftercare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import single_job_id
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, task_error
from airflow_provider_jobstatus.files.destination import IfExists, check_destination, described
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.aftercare.submit import CodingKind, body_of_rows, order_body, submission
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.operators.personal_fields import PersonalFields, content_of
from airflow_provider_jobstatus.operators.submitting import SubmitOperator, digest_of
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.tasks.order import Order

ResultsFormat = Literal["ndjson", "csv", "parquet"]


class AftercareDownloadCodingResultsOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the results of a finished job to a file of rows, from as many pages as there are.

    A coding job gives one row for each question, code and response, a data-quality batch one for each
    response, entry and check; ``docs/aftercare.md`` lists the columns. The file holds personal data; only its
    manifest goes to XCom.

    :param job_id: (templated) ``"<batchJobId>"``, ``"data-quality/<batchJobId>"``, or the dict that
        ``BatchJobSensor`` returned for the job.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` of one file. A trailing slash means "into this folder", as ``results-<job>.ndjson``. A
        local file gets the mode that the umask gives. The event of an outlet with the same URI gets path,
        rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``aftercare``, by default ``aftercare_default``. One of
        ``default_args`` counts only if it is of that type.
    :param aftercare_conn_id: (templated) the same, by the vendor's name.
    :param file_format: (templated) ``"ndjson"`` (the default), ``"csv"`` or ``"parquet"``, which needs the
        extra ``[parquet]``.
    :param cursor_parameter: (templated) name of the query parameter that takes the cursor of a page, which
        Aftercare does not document. Default None: extra ``cursor_parameter`` of the connection, or
        ``"cursor"``.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``rows`` leaves out a
        header. Of a file that was there and stays: ``"skipped": True`` beside it, and None for what follows
        ``"bytes"``.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises JobFailed: it failed, or failed in part: of neither Aftercare documents results. A retry polls
        again, with the same result.
    :raises UnknownJob: Aftercare does not know the job. A retry polls again.
    :raises VendorRefused: credentials, permission, or the request for a further page. A retry polls again.
    :raises DownloadIncomplete: a page is not whole, after some two minutes of tries; a page or a cursor comes
        again, so that ``cursor_parameter`` is wrong; or the results have another form than Aftercare
        documents. A retry starts anew, with the first page.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments, or ``pyarrow`` is missing; Airflow does not retry.
    """

    template_fields: Sequence[str] = (
        *("job_id", "destination", "conn_id", "aftercare_conn_id"),
        *("file_format", "cursor_parameter"),
    )
    ui_color = "#fbeee6"

    def __init__(
        self,
        *,
        job_id: Any,
        destination: object,
        conn_id: str | None = None,
        aftercare_conn_id: str | None = None,
        file_format: ResultsFormat = "ndjson",
        cursor_parameter: str | None = None,
        if_exists: IfExists = "replace",
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id)
        destination = arguments.destination(destination)
        if arguments.is_known(file_format):
            arguments.choice("file_format", file_format, get_args(ResultsFormat))
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(AftercareHook, conn_id, aftercare_conn_id, kwargs.get("default_args"))
        self.file_format = plain(file_format)
        self.cursor_parameter = plain(cursor_parameter)
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the job's status, download page after page, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat
        from airflow_provider_jobstatus.operators.aftercare_results import fetch_coding_results

        arguments.destination(self.destination)
        arguments.choice("file_format", self.file_format, get_args(ResultsFormat))
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            job_id = single_job_id(self.job_id)
            hook = self.vendor_hook(AftercareHook)
            with self.at_work():
                manifest = fetch_coding_results(
                    hook,
                    job_id,
                    self.destination,
                    file_format=self.file_format,
                    cursor_parameter=self.cursor_parameter,
                    if_exists=self.if_exists,
                )
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("%s: %s", job_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return manifest


#: What may be the path or URI of a file with an order. Any other text is its content, and is not shown.
_PATH = re.compile(r"(?=.*/|.*\.json\Z)[^\x00-\x1f\"'{}\[\]()<>|,;]{1,1000}")


class AftercareSubmitCodingOperator(PersonalFields, SubmitOperator):
    """
    Submit survey answers to Aftercare, once: to be coded, or to be checked for their quality.

    :param body: (templated) the order: a dict, its JSON, or the local path or URI of a file with its JSON. It
        is sent as it is, unknown members included. Checked before are the members that Aftercare requires;
        of ``brandContext``, which its pages require of coding and leave out in its example, only with
        ``kind="brand-coding"``. Airflow's page shows no more of it than its number of keys.
    :param rows: (templated) in place of ``body``, for coding: a list of dicts with the columns ``question``,
        ``responseIdentifier`` and ``answer``, and, if they have one, ``questionIdentifier``; without, the
        text of the question is sent for it. No response may stand twice in one question. Airflow's page shows
        their number.
    :param survey_identifier: (templated) of the survey, with ``rows``.
    :param kind: (templated) ``"coding"`` (the default), ``"brand-coding"`` or ``"data-quality"``.
    :param conn_id: (templated) connection of type ``aftercare``, by default ``aftercare_default``. One of
        ``default_args`` counts only if it is of that type.
    :param aftercare_conn_id: (templated) the same, by the vendor's name.
    :param wait: wait for the end of the job, by the arguments of ``BatchJobSensor`` under the same names.
    :param fetch: (templated) with ``wait``, where to write the results: as ``destination`` of
        :class:`AftercareDownloadCodingResultsOperator`. A name that ends in ``.csv`` or ``.parquet`` says the
        format, any other means NDJSON.
    :param resubmit_on_failure: if the job has failed, a retry submits again; by default it fails again.
    :param resubmit_when_cleared: a task that is cleared submits again also where what became of an earlier
        job cannot be told.

    :return: ``"<batchJobId>"`` or ``"data-quality/<batchJobId>"``; with ``wait`` what ``BatchJobSensor``
        returns, with ``fetch`` the manifest in it, as ``"manifest"``.

    :raises BadSettings: connection or arguments, or what is missing in the order, by its place; nothing was
        sent, and Airflow does not retry.
    :raises NotSubmitted: the file cannot be read, or Aftercare not be reached, and there is no job. A retry
        submits.
    :raises VendorRefused: Aftercare refuses the order or the credentials, and there is no job. A retry
        submits again.
    :raises SubmissionUnknown: whether there is a job is unknown. Aftercare has no list of jobs in which it
        could be looked for. Airflow does not retry.
    :raises JobStatusError: with ``wait``, as ``BatchJobSensor``; with ``fetch``, as
        :class:`AftercareDownloadCodingResultsOperator`. A retry waits for the same job. When a task is killed
        its job goes on: Aftercare cannot cancel one.
    """

    template_fields: Sequence[str] = (
        *("body", "rows", "survey_identifier", "kind", "conn_id", "aftercare_conn_id", "fetch"),
    )
    hook_class = AftercareHook
    check = "the jobs of the survey at Aftercare"
    ui_color = "#fbeee6"

    def __init__(
        self,
        *,
        body: Any = None,
        rows: Any = None,
        survey_identifier: str | None = None,
        kind: CodingKind = "coding",
        aftercare_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (body is None) == (rows is None):
            raise BadSettings("give either body, an order, or rows, a list of dicts")
        if (survey_identifier is None) != (rows is None):
            raise BadSettings("rows need a survey_identifier, and a body holds its own")
        if arguments.is_known(kind):
            arguments.choice("kind", kind, get_args(CodingKind))
            if rows is not None and kind != "coding":
                raise BadSettings(f"rows make an order of coding; give a body for kind {kind!r}")
        super().__init__(own_conn_id=aftercare_conn_id, **kwargs)
        self.body = body
        self.rows = rows
        self.survey_identifier = plain(survey_identifier)
        self.kind = plain(kind)

    def orders(self, hook: AftercareHook, context: Context) -> Order:
        """Check what is to be sent, and return the one order."""
        from airflow_provider_jobstatus.files.parquet_file import load_pyarrow
        from airflow_provider_jobstatus.files.places import destination_text
        from airflow_provider_jobstatus.operators.aftercare_results import read_order
        from airflow_provider_jobstatus.tasks.order import Order

        arguments.choice("kind", self.kind, get_args(CodingKind))
        if str(self.fetch or "").lower().endswith(".parquet"):
            load_pyarrow()  # before a job is paid for whose results could not be written
        body, rows = content_of(self.body), content_of(self.rows)
        if rows is not None:
            if self.kind != "coding":
                raise BadSettings(f"rows make an order of coding; give a body for kind {self.kind!r}")
            body = body_of_rows(rows, self.survey_identifier or "")
        elif (path := destination_text(body)) and not path.lstrip("\ufeff \r\n").startswith(("{", "[")):
            if not _PATH.fullmatch(path):
                raise BadSettings(
                    "body is a text that is neither JSON nor a path; a template makes JSON of a dict with "
                    "the filter tojson"
                )
            body = read_order(path)
        sent = order_body(self.kind, body)
        return Order(
            operation=submission(hook, self.kind, sent),
            digest=digest_of(self.kind, sent.decode("utf-8", "surrogatepass")),
            about=f"a job of {self.kind}",
        )

    def fetch_results(
        self, hook: AftercareHook, result: Mapping[str, Any], destination: str
    ) -> dict[str, Any]:
        """Write the results, and return the manifest."""
        from airflow_provider_jobstatus.operators.aftercare_results import fetch_coding_results

        ending = destination.lower().rpartition(".")[2]
        file_format: Any = ending if ending in get_args(ResultsFormat) else "ndjson"
        return fetch_coding_results(hook, result["job_id"], destination, file_format=file_format)
