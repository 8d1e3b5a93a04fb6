"""A private key as it is pasted into a form."""

from __future__ import annotations

import base64
import re

# Of the private key: openssl writes the parameters of a curve before it.
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def proper_pem(text: str) -> str:
    """
    Return a private key as a PEM with its line breaks.

    :param text: a PEM, also one whose line breaks a form has dropped, or that has them written out as
        ``\\n``; or all of it in base64.
    :raises ValueError: none of these.
    """
    if "-----BEGIN" not in text:
        try:
            text = base64.b64decode(re.sub(r"\s", "", text), validate=True).decode()
        except ValueError:
            text = ""
    found = _PEM.search(text.replace("\\r", "").replace("\\n", "\n"))
    if found is None:
        raise ValueError("is no private key as PEM")
    body = re.sub(r"\s", "", found[2])
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {found[1]}-----", *lines, f"-----END {found[1]}-----", ""])
