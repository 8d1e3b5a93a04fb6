"""A private key as people paste it."""

from __future__ import annotations

import base64
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.pem import proper_pem


def pem(body: bytes = b"k" * 100, label: str = "PRIVATE KEY") -> str:
    lines = textwrap.wrap(base64.b64encode(body).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


PEM = pem()
FORMS = {
    "as it is": PEM,
    "without the last line break": PEM.strip(),
    "with the line breaks of Windows": PEM.replace("\n", "\r\n"),
    "with line breaks written out": PEM.replace("\n", "\\n"),
    "with the line breaks of Windows written out": PEM.replace("\n", "\\r\\n"),
    "with spaces in place of line breaks": PEM.replace("\n", " "),
    "without line breaks": PEM.replace("\n", ""),
    "indented": textwrap.indent(PEM, "    "),
    "in base64": base64.b64encode(PEM.encode()).decode(),
    "in base64 of several lines": base64.encodebytes(PEM.encode()).decode(),
    "in base64 with line breaks written out inside": base64.b64encode(
        PEM.replace("\n", "\\n").encode()
    ).decode(),
    "after the parameters of its curve": pem(b"curve", "EC PARAMETERS") + PEM,
    "with text around it": f"my key:\n{PEM}thanks",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_becomes_the_same_key(form: str) -> None:
    assert proper_pem(FORMS[form]) == PEM


@pytest.mark.parametrize(
    "label", ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]
)
def test_the_kind_of_key_is_kept(label: str) -> None:
    assert proper_pem(pem(label=label).replace("\n", "\\n")) == pem(label=label)


@pytest.mark.parametrize(
    "text",
    [
        *("", "canary", "-----BEGIN PRIVATE KEY-----canary", "canary-----END PRIVATE KEY-----"),
        "-----BEGIN PRIVATE KEY-----canary-----END EC PRIVATE KEY-----",
        *(base64.b64encode(b"canary").decode(), base64.b64encode(b"\xff\xfe canary").decode()),
        *(pem(label="PUBLIC KEY"), pem(label="CERTIFICATE")),
    ],
)
def test_what_is_no_private_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="is no private key as PEM") as caught:
        proper_pem(text)
    assert str(caught.value) == "is no private key as PEM"
    assert caught.value.__cause__ is None


@given(body=st.binary(min_size=1, max_size=400))
def test_a_key_of_any_length_survives_the_loss_of_its_line_breaks(body: bytes) -> None:
    key = pem(body)
    for form in (key, key.replace("\n", ""), key.replace("\n", " "), key.replace("\n", "\\n")):
        assert proper_pem(form) == key
        assert proper_pem(proper_pem(form)) == key


@given(text=st.text(max_size=200))
def test_no_text_ends_in_another_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no private key as PEM"):
        proper_pem(text)
