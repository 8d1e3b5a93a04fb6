"""Operators for QuestionPro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.text import clean, plain
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, task_error
from airflow_provider_jobstatus.files.destination import IfExists, check_destination, described
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.questionpro.submit import order_body, submission
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.operators.personal_fields import PersonalFields, content_of
from airflow_provider_jobstatus.operators.submitting import SubmitOperator, digest_of
from airflow_provider_jobstatus.operators.survey_responses import ResponsesFormat, export_responses
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.tasks.order import Order

#: Responses on a page, at most: no page of QuestionPro's says how many there may be.
MAX_PAGE_SIZE = 10_000


class QuestionProSendBatchOperator(PersonalFields, SubmitOperator):
    """
    Send a mailing to a panel, once.

    :param body: (templated) the order, a dict, which is sent as it is. Checked before are
        ``compose.surveyID``, ``recipients.filterType`` and what that needs: for 2, ``emailAddress``, for 3,
        ``existingFilterID``. QuestionPro takes whole numbers for ids: a template makes one only in a DAG with
        ``render_template_as_native_obj=True``. Airflow's page shows no more of it than its number of keys.
    :param conn_id: (templated) connection of type ``questionpro``, by default ``questionpro_default``. One of
        ``default_args`` counts only if it is of that type.
    :param questionpro_conn_id: (templated) the same, by the vendor's name.
    :param wait: wait until the mailing is delivered, by the arguments of ``BatchJobSensor`` under the same
        names. There is nothing to fetch at that time: people answer later, and
        ``QuestionProExportResponsesOperator`` fetches what they say.
    :param resubmit_on_failure: if the mailing has failed, by a word that extra ``statuses`` knows, a retry
        sends another one.
    :param resubmit_when_cleared: a task that is cleared sends again. By default it adopts a mailing that is
        under way, and refuses to send after one that has ended or may have been sent.
    :param max_active_submissions: how many mailings of this task are under way at once, in all runs of its
        DAG and of all that it is mapped to; with ``wait``, each until it is delivered. Default: any number.

    :return: the job id, ``"<batchID>"``; with ``wait``, what the sensor returns for it.

    :raises SubmissionUnknown: whether people were mailed is unknown, or an earlier try has mailed them;
        Airflow does not retry. Below Airflow 3.3, each try after the first.
    :raises NotSubmitted: nobody was mailed: the vendor or Airflow could not be reached. A retry sends.
    :raises VendorRefused: nobody was mailed: credentials, permission, a spent licence, or the vendor rejects
        the order. A retry sends.
    :raises BadSettings: connection or arguments, and nothing was sent; Airflow does not retry.

    With ``wait``, what the sensor raises. A retry waits on for the same mailing. A task that is stopped
    leaves it running.
    """

    template_fields: Sequence[str] = ("body", "conn_id", "questionpro_conn_id")
    hook_class = QuestionProHook
    check = "the mailings of the panel at QuestionPro"
    harmful = True
    ui_color = "#e6eefa"

    def __init__(self, *, body: Any, questionpro_conn_id: str | None = None, **kwargs: Any) -> None:
        if kwargs.get("fetch") is not None:
            raise BadSettings(
                "fetch: a mailing that is delivered has no answers yet; leave it out, and export them later "
                "with QuestionProExportResponsesOperator"
            )
        if _is_literal(body):
            try:
                order_body(body)
            except SettingsError as error:
                raise BadSettings(str(error)) from None
        super().__init__(own_conn_id=questionpro_conn_id, **kwargs)
        self.body = body

    def orders(self, hook: QuestionProHook, context: Context) -> Order:
        """Return the mailing."""
        from airflow_provider_jobstatus.tasks.order import Order

        body = content_of(self.body)
        sent = order_body(body)
        about = f"a mailing of survey {body['compose']['surveyID']}"
        return Order(operation=submission(hook, sent), digest=digest_of(body), about=about)


class QuestionProExportResponsesOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write all responses to a survey to a file, from as many pages as it takes.

    Each page is a call that counts against the licence. Page by page the numbers of responses are checked, so
    that none is lost: responses that arrive meanwhile may or may not be in the file, and one that was deleted
    meanwhile fails the task. The file holds personal data; only its manifest goes to XCom.

    :param survey_id: (templated) the survey's number.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` of one file. A trailing slash means "into this folder", as
        ``responses-<survey_id>.ndjson``. A local file gets the mode that the umask gives. The event of an
        outlet with the same URI gets path, rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``questionpro``, by default ``questionpro_default``. One of
        ``default_args`` counts only if it is of that type.
    :param questionpro_conn_id: (templated) the same, by its older name.
    :param file_format: (templated) ``"ndjson"``: each response as QuestionPro gives it, one a line; or
        ``"csv"``: one row for each answer, with the columns that ``docs/questionpro.md`` lists.
    :param page_size: (templated) responses on a page, at most 10,000. Default 100. More make fewer calls; a
        page has at most 8 MiB.
    :param max_calls: (templated) how many calls this task may make, repeated ones included. Default 1000. If
        they will not do, the task fails after the first page.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.

    :return: ``{"job_id", "survey_id", "path", "bytes", "rows", "sha256", "format", "verified_by", "calls"}``:
        ``job_id`` is the survey's number as a text, ``rows`` leaves out the header, ``calls`` counts those
        that were made. Of a file that was there and stays: ``"skipped": True`` beside it, and None for what
        follows ``"bytes"``.

    :raises UnknownJob: QuestionPro does not know the survey. A retry asks again.
    :raises VendorRefused: credentials, permission, or a spent licence. A retry asks again.
    :raises DownloadIncomplete: a page stays away after some two minutes of tries, or a response may be
        missing. A retry starts anew, with the first page.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection or arguments, ``max_calls`` among them; Airflow does not retry.
    """

    template_fields: Sequence[str] = (
        *("survey_id", "destination", "conn_id", "questionpro_conn_id", "file_format"),
        *("page_size", "max_calls"),
    )
    ui_color = "#e6eefa"

    def __init__(
        self,
        *,
        survey_id: int | str,
        destination: object,
        conn_id: str | None = None,
        questionpro_conn_id: str | None = None,
        file_format: ResponsesFormat = "ndjson",
        page_size: int | str = 100,
        max_calls: int | str = 1000,
        if_exists: IfExists = "replace",
        **kwargs: Any,
    ) -> None:
        destination = arguments.destination(destination)
        for name, value, most in (
            ("survey_id", survey_id, None),
            ("page_size", page_size, MAX_PAGE_SIZE),
            ("max_calls", max_calls, None),
        ):
            if arguments.is_known(value):
                _number(name, value, most)
        if arguments.is_known(file_format):
            arguments.choice("file_format", file_format, get_args(ResponsesFormat))
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        super().__init__(**kwargs)
        self.survey_id = survey_id
        self.destination = destination
        self.take_connection(QuestionProHook, conn_id, questionpro_conn_id, kwargs.get("default_args"))
        self.file_format = plain(file_format)
        self.page_size = page_size
        self.max_calls = max_calls
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Download page after page, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat

        arguments.destination(self.destination)
        arguments.choice("file_format", self.file_format, get_args(ResponsesFormat))
        survey_id = _number("survey_id", self.survey_id)
        page_size = _number("page_size", self.page_size, MAX_PAGE_SIZE)
        max_calls = _number("max_calls", self.max_calls)
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            hook = self.vendor_hook(QuestionProHook)
            with self.at_work():
                manifest = export_responses(
                    hook,
                    survey_id,
                    self.destination,
                    file_format=self.file_format,
                    page_size=page_size,
                    max_calls=max_calls,
                    if_exists=self.if_exists,
                )
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("Survey %d: %s", survey_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return manifest


def _is_literal(value: object) -> bool:
    """Return whether a value is what it will be when the task runs, down to the last item."""
    match value:
        case Mapping():
            return all(map(_is_literal, value.values()))
        case list() | tuple():
            return all(map(_is_literal, value))
        case _:
            return arguments.is_known(value)


def _number(name: str, value: object, most: int | None = None) -> int:
    """
    Return a whole number that is positive; a template makes a text of it.

    :raises BadSettings: it is none.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text.isascii() and text.isdigit() and len(text) < 19:
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= (most or 10**18):
        limit = f" of at most {most}" if most else ""
        raise BadSettings(f"{name} is {clean(repr(value), 80)}; give a whole number{limit}, at least 1")
    return value
