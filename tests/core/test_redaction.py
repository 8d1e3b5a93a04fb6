"""Our own secrets, found in what others say."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.redaction import MAX_TEXT, redact

SECURITY = Path(__file__).parents[2] / "SECURITY.md"


def encoded(secret: str) -> str:
    return quote(secret, safe="")


def each(secret: str, form: str) -> str:
    return "".join(form.format(ord(letter)) for letter in secret)


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def as_go(secret: str) -> str:
    """Return JSON as Go, .NET and PHP write it by default or on demand: harmless in HTML."""
    return re.sub("[&<>'+]", lambda found: f"\\u{ord(found[0]):04X}", in_json(secret))


#: What SECURITY.md promises, by its words.
WAYS: dict[str, list[Callable[[str], str]]] = {
    "as it is, in any case": [str, str.upper, str.lower, str.swapcase, str.capitalize],
    "escaped for JSON, also as `\\u002B`, and JSON in JSON": [
        *(in_json, as_go, lambda secret: in_json(secret).replace("/", "\\/")),
        *(lambda secret: in_json(in_json(secret)), lambda secret: in_json(in_json(in_json(as_go(secret))))),
        *(lambda secret: each(secret, "\\u{:04x}"), lambda secret: in_json(each(secret, "\\u{:04X}"))),
        *(lambda secret: each(secret, "\\x{:02x}"), lambda secret: each(secret, "\\u{{{:x}}}")),
    ],
    "URL-encoded, once or more often": [
        *(encoded, quote, quote_plus, lambda secret: encoded(secret).lower()),
        *(lambda secret: encoded(encoded(secret)), lambda secret: encoded(encoded(encoded(secret)))),
        *(lambda secret: each(secret, "%{:02x}"), lambda secret: each(secret, "%u{:04X}")),
    ],
    "with HTML entities": [
        html.escape,
        lambda secret: html.escape(html.escape(secret)),
        lambda secret: each(secret, "&#{};"),
        lambda secret: each(secret, "&#x{:X};"),
        lambda secret: secret.replace("+", "&plus;").replace("/", "&sol;"),
    ],
    "one of these within another": [
        lambda secret: html.escape(in_json(secret)),
        lambda secret: in_json(html.escape(secret)),
        lambda secret: encoded(in_json(secret)),
        lambda secret: encoded(html.escape(secret)),
        lambda secret: html.escape(encoded(as_go(secret))),
        lambda secret: in_json(encoded(b64encode(secret.encode()).decode())),
    ],
    "with invisible characters, spaces, line breaks or punctuation in between": [
        lambda secret: f"{secret[:9]}\u200b{secret[9:]}",
        lambda secret: f"{secret[:9]}\0{secret[9:]}",
        lambda secret: "\u00ad".join(secret),
        lambda secret: " ".join(secret),
        lambda secret: f"{secret[:15]}\r\n  {secret[15:]}",
        lambda secret: f"{secret[:15]}-{secret[15:20]}.{secret[20:]}",
        lambda secret: in_json(f"{secret[:9]}\u200b{secret[9:20]}\n{secret[20:]}"),
    ],
    "in base64, of UTF-8 or UTF-16, also twice, wrapped, or of a longer text such as `user:secret`": [
        lambda secret: b64encode(secret.encode()).decode(),
        lambda secret: urlsafe_b64encode(secret.encode()).decode().rstrip("="),
        lambda secret: encodebytes(secret.encode() * 2).decode(),
        lambda secret: b64encode(secret.encode("utf-16-le")).decode(),
        lambda secret: b64encode(secret.encode("utf-16-be")).decode(),
        lambda secret: b64encode(secret.encode("utf-16")).decode().replace("+", "-").replace("/", "_"),
        lambda secret: b64encode(b64encode(secret.encode())).decode(),
        lambda secret: encoded(b64encode(secret.encode("utf-16-le")).decode()),
    ],
    "in hex, in any case, also with colons or spaces": [
        lambda secret: secret.encode().hex(),
        lambda secret: secret.encode().hex().upper(),
        lambda secret: secret.encode().hex(":"),
        lambda secret: secret.encode().hex(" ").upper(),
    ],
    "cut, down to its first twelve characters": [
        lambda secret: secret[:12],
        lambda secret: as_go(secret)[:28],
        lambda secret: each(secret[:12], "%{:02x}"),
        lambda secret: secret.encode().hex(":")[:44],
        lambda secret: b64encode(secret.encode("utf-16-le")).decode()[:40],
    ],
}
#: Of letters alone; with all that is escaped somewhere; a token; full of what base64 has two signs for.
SECRETS = [
    "kTz4MbQw9RsVx2LpYn7GdHc1",
    "w%4&<Kq\"p/+T'z\\9Lm=2Vt5~RwYp8",
    "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiI0In0.3-_k9ZxQ0aLw",
    "/+/+Ab12Cd34+/Ef56+/",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    ("way", "number"), [(way, number) for way, forms in WAYS.items() for number in range(len(forms))]
)
def test_a_secret_is_taken_out_in_each_way_that_is_promised(way: str, number: int, secret: str) -> None:
    form = WAYS[way][number](secret)
    shown = redact(f"no such key: {form} (refused)", [secret])
    assert shown.startswith("no such key: ")
    assert shown.endswith(" (refused)")
    # What is left are characters that hold bits of the neighbours, or stand around the escaped.
    left = shown.removeprefix("no such key: ").removesuffix(" (refused)")
    assert "***" in left
    assert len(re.sub(r"\*\*\*|[\W_]", "", left)) <= 4


def test_security_md_promises_what_is_shown_here_and_nothing_else() -> None:
    text = SECURITY.read_text()
    listed = text.partition("found in these ways:\n\n")[2].partition("\n\n")[0]
    assert [line.removeprefix("- ").rstrip(";.") for line in listed.splitlines()] == list(WAYS)


@pytest.mark.parametrize("secret", ["kTz4MbQw9RsVx2LpYn7GdHc1", "sk_test_51Hq0eZrT9vKbW3"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\t"])
@pytest.mark.parametrize("at", [6, 11, 17])
def test_a_secret_with_one_escaped_break_in_it_is_found_without_any_other_escape(
    secret: str, layers: int, line_break: str, at: int
) -> None:
    for _ in range(layers):
        line_break = in_json(line_break)
    assert redact(f"key {secret[:at]}{line_break}{secret[at:]} x", [secret]) == "key *** x"
    wrapped = b64encode(f"user:{secret * 3}".encode()).decode()
    shown = redact(f"{wrapped[:40]}{line_break}{wrapped[40:]}", [secret * 3])
    assert len(shown.replace("***", "")) <= 12


@pytest.mark.parametrize("secret", ["pass-12", "Abc/+12"])
def test_a_short_secret_is_found_behind_escapes_in_its_own_case_only(secret: str) -> None:
    for form in (each(secret, "\\u{:04x}"), encoded(encoded(secret)), html.escape(each(secret, "&#{};"))):
        assert redact(f"<{form}>", [secret]) == "<***>"
    assert redact(f"<{secret.swapcase()}>", [secret]) == f"<{secret.swapcase()}>"


@pytest.mark.parametrize("secret", ["p@ss-w0rd!", "aB3$xY7!", "--Q1w2e3r--"])
@pytest.mark.parametrize("between", ["\u200b", "\n", " ", "\u00ad", "-"])
def test_a_secret_of_few_letters_and_digits_is_found_with_something_in_between(
    between: str, secret: str
) -> None:
    for form in (f"{secret[:4]}{between}{secret[4:]}", between.join(secret), between.join(secret.upper())):
        shown = redact(f"no such key: {form} (refused)", [secret])
        assert re.sub(r"[\W_]", "", shown) == "nosuchkeyrefused"


@pytest.mark.parametrize(
    "text",
    [
        "The cable is 12 m long, at 40% & rising; C:\\new\\table and \\u00e9t\\u00e9",
        "&amp; &nosuch; %zz %2 \\u12 \\",
        '{"error":{"message":"no job \\"abc\\"","code":"NOT_FOUND"}}',
        "Grüße, 世界 🎉 \ufdfa",
    ],
)
def test_a_text_without_a_secret_stays_as_it_came(text: str) -> None:
    assert redact(text, SECRETS) == text


@pytest.mark.parametrize(
    "secret", ["pässwörd-für-müde-Füchse", "пароль-очень-длинный", "🔑🔑-key-of-emoji-🔑"]
)
@pytest.mark.parametrize(
    "form",
    [
        *(json.dumps, str.upper, quote, lambda text: encoded(encoded(text))),
        lambda text: html.escape(json.dumps(text)),
    ],
)
def test_letters_outside_ascii_are_found_as_others_are(form: Callable[[str], str], secret: str) -> None:
    shown = redact(f"no: {form(secret)}", [secret])
    assert re.sub(r'&quot;|"', "", shown) == "no: ***"


def test_an_address_behind_escapes_shows_no_query() -> None:
    assert (
        redact(r"at http:\u002f\u002fh\u002ff\u003fsig=abc end", [])
        == r"at http:\u002f\u002fh\u002ff\u003f*** end"
    )


def test_of_a_long_text_no_more_is_searched_than_is_shown() -> None:
    secret = SECRETS[0]
    assert redact("x" * (MAX_TEXT - 13) + secret, [secret]).endswith("x***")
    assert len(redact("x" * 10 * MAX_TEXT, [secret])) == MAX_TEXT


# No star, which stands where a secret was.
secrets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=6, max_size=40)
around = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), max_size=20)


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        b64encode(raw).decode(),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        raw.hex(),
        raw.hex().upper(),
        *([secret.upper(), secret.lower(), quote(secret).upper()] if len(secret) >= 8 else []),
    ]


@given(secrets, around, around)
def test_no_form_of_a_secret_is_left(secret: str, before: str, after: str) -> None:
    for form in forms(secret):
        shown = redact(before + form + after + form, [secret])
        assert all(each not in shown for each in forms(secret))
        assert "***" in shown


@given(st.lists(secrets, min_size=1, max_size=4), around)
def test_no_secret_saves_a_part_of_another(many: list[str], between: str) -> None:
    shown = redact(between.join(many), many)
    assert all(form not in shown for secret in many for form in forms(secret))


def test_the_rest_of_a_secret_that_begins_with_another_is_not_shown() -> None:
    assert redact("it is secret-and-more", ["secret", "secret-and-more"]) == "it is ***"
    assert redact("it is secret-and-more", ["secret-and-more", "secret"]) == "it is ***"


@given(secrets, st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_inside_a_longer_base64_is_found(secret: str, before: bytes, after: bytes) -> None:
    text = b64encode(before + secret.encode() + after).decode()
    shown = redact(text, [secret])
    assert "***" in shown
    # At most the characters are left that hold bits of the neighbours.
    assert len(shown) - 3 <= len(text) - (len(secret.encode()) * 8 - 10) // 6


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=13),
    st.data(),
)
def test_of_a_secret_that_a_cut_has_left_the_beginning_of_nothing_is_shown(
    secret: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(forms(secret)))
    cut = form[: data.draw(st.integers(12, len(form)))]
    assert redact(f"<{cut}", [secret]) == "<***"
    assert redact(f"<{cut}>", [secret]).startswith("<***")


def test_the_beginning_of_one_secret_does_not_save_the_rest_of_another() -> None:
    one, other = "the-same-beginning-1", "the-same-beginning-2-and-more"
    assert redact(f"{one} {other} {other[:-3]}", [one, other]) == "*** *** ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://h.example/f?X-Sig=abc&b=1 failed", "GET https://h.example/f?*** failed"),
        ("http://h/a?b c https://h/d?e", "http://h/a?*** c https://h/d?***"),
        ('{"url":"https:\\/\\/h\\/f?sig=a"}', '{"url":"https:\\/\\/h\\/f?***"}'),
        ("at https%3A%2F%2Fh%2Ff%3Fsig%3Da%26b end", "at https%3A%2F%2Fh%2Ff%3F*** end"),
        ("<a href='https://h/?sig=a'>", "<a href='https://h/?***'>"),
        ("is it https://h/f? or not?", "is it https://h/f? or not?"),
        ("why? see https://h/f", "why? see https://h/f"),
    ],
)
def test_the_query_of_an_address_which_may_be_a_signature_is_not_shown(text: str, expected: str) -> None:
    assert redact(text, []) == expected


def test_basic_authentication_with_a_secret_is_redacted() -> None:
    header = b64encode(b"user:pa55-word").decode()
    assert "***" in redact(f"Basic {header}", ["pa55-word"])
    assert header not in redact(f"Basic {header}", ["pa55-word"])


def test_a_secret_that_may_be_a_word_is_left_alone() -> None:
    assert redact("test it", ["test", ""]) == "test it"
    assert redact("untouched", []) == "untouched"


def test_a_short_secret_does_not_shred_a_text() -> None:
    text = "Uploaded 7 rows for user admin, see SECRET rows and http status 503"
    assert redact(text, ["a", "row", "admin", "http", "Secret", "503"]) == text
    assert redact("Secret and secret", ["Secret"]) == "*** and secret"


def test_a_hostile_text_takes_time_in_proportion_to_its_size() -> None:
    secret = "ab" * 20
    for text in ("ab" * 200_000, ("ab" * 19 + "x") * 10_000, "http://" * 50_000, "http://a?" * 40_000):
        assert len(redact(text, [secret])) <= len(text)
