"""What the flows of a vendor are given: requests to its API, and the reading of its status words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from airflow_provider_jobstatus.core.contradictions import JOB, contradiction, named
from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, StatusTable
from airflow_provider_jobstatus.core.responses import expect, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.calls import CallingHook


class FlowKit(CallingHook):
    """
    A hook with what its flows need.

    :param conn_id: Airflow connection, read when it is first needed.
    """

    hook_name: ClassVar[str]
    #: The vendor's status words.
    statuses: ClassVar[Mapping[str, JobState]]

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, **parts: Any
    ) -> Request:
        """
        Return a request to the vendor's API.

        :param path: after the base URL, begins with a slash, already quoted.
        :param query: names and values, unquoted.
        :param parts: further fields of :class:`~airflow_provider_jobstatus.core.http.Request`.
        """
        url = self.settings.base_url + path + (f"?{urlencode(query)}" if query else "")
        return Request(self.conn_type, method, url, **parts)

    @cached_property
    def _words(self) -> StatusTable:
        return StatusTable(self.statuses).merged(self.settings.statuses)

    def known_state(self, word: str) -> JobState | None:
        """Return the state that a word means, to this vendor or to the connection, or None."""
        return self._words.state(word)

    def read_word(self, request: Request, word: object) -> str:
        """
        Return a reply's status word.

        :raises UnexpectedResponse: there is none, an empty one, or one that cannot be shown as it is:
            cleaned, it might become a word that the vendor did not say.
        """
        if not isinstance(word, str):
            raise unexpected(request, "answered without a status word")
        if clean(word) != word.strip():
            raise unexpected(request, f"answered a status that is no word: {clean(word, 80)!r}")
        if not word.strip():
            empty = f"''; extra 'statuses' of connection {self.conn_id!r} cannot explain an empty one"
            raise unexpected(request, f"answered the unknown status {empty}")
        return word.strip()

    def read_state(self, request: Request, word: object) -> tuple[str, JobState]:
        """
        Return a reply's status word and the state it means.

        :raises UnexpectedResponse: no word, or one that neither this vendor nor the connection knows.
        """
        if not isinstance(word, str) or word not in self.statuses:
            word = self.read_word(request, word)
        state = self.known_state(word)
        if state is None:
            raise unexpected(
                request,
                f"answered the unknown status {clean(word, 80)!r}; if you know what it means, say so in "
                f"extra 'statuses' of connection {self.conn_id!r}",
            )
        return word, state

    def check_id(self, request: Request, asked: str, answered: object) -> None:
        """
        Refuse the status of another job. A response without an id passes.

        :raises UnexpectedResponse: it names another job than the one that was polled.
        """
        if answered is None:
            return
        # A container might take long to show.
        if not isinstance(answered, (str, int)) or str(answered) != asked:
            raise unexpected(request, f"answered for the job {clean(answered, 80)!r}")

    def check_job(self, request: Request, asked: str, reply: Mapping[str, Any]) -> None:
        """
        Refuse the status of another job, under whatever name the reply has its id.

        :raises UnexpectedResponse: as :meth:`check_id`.
        """
        for answered in named(reply, JOB):
            self.check_id(request, asked, answered)

    def check_success(self, request: Request, word: str, reply: Mapping[str, Any]) -> None:
        """
        Refuse a success that the reply itself contradicts. Any other state passes.

        :param word: the reply's status word.
        :raises UnexpectedResponse: beside a success stands an error, or another state.
        """
        if self.known_state(word) is JobState.SUCCEEDED and (wrong := contradiction(reply, self.known_state)):
            raise unexpected(request, f"answered {word!r}, and beside it {wrong!r}")

    def foreign(self, request: Request, response: Response, wanted: str) -> VendorError:
        """
        Return the error for a reply to a ping that may well be another server's.

        :param wanted: what the vendor's own reply would be.
        """
        try:
            expect(request, response, 400, 404)
        except VendorError as error:  # says more: a refusal, an outage, a redirect
            return error
        text = (
            f"answered {response.status} ({clean(response.content_type, 40) or 'no content type'}), as any "
            f"server might; expected is {wanted}. Is the base URL that of {self.hook_name}?"
        )
        return unexpected(request, text, response.status)
