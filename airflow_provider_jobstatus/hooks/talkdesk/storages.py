"""The addresses of storages, which Talkdesk's redirects lead to, and those that only look like them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_jobstatus.core.auth import origin
from airflow_provider_jobstatus.hooks.talkdesk.job import TalkdeskJobId
from airflow_provider_jobstatus.hooks.validators import is_loopback

#: Query parameters by which a storage's address is signed, in small letters and without ``-`` and ``_``; ...
_SIGNATURES = frozenset({"xamzsignature", "xgoogsignature", "signature", "sig"})
_SIGNATURES_OF_A_STORAGE = frozenset({"xamzsignature", "xgoogsignature"})
#: ... those that S3, Google and Azure have beside it, one set of them; CloudFront has ``Key-Pair-Id``, in
#: front of whatever pages; ...
_OF_A_STORAGE: tuple[set[str], ...] = (
    *({"xamzcredential"}, {"awsaccesskeyid"}, {"xgoogcredential"}, {"googleaccessid"}, {"se", "sv"}),
)
#: ... and those of a login, which may be signed as well: SAML has a ``Signature``, Discourse a ``sig``.
_OF_A_LOGIN = re.compile(
    r"(?:saml|relaystate|sso|sigalg|login|redirect|return|continu|forward|target|dest|success)\w*"
    r"|wa|wreply|wctx|wtrealm|next|nexturl|goto|service|serviceurl|url|uri|fromuri|back\w*|callback\w*"
    r"|ref|referer|referrer|origin\w*|clientid|responsetype|scope|state|nonce|error\w*|code"
)
#: Parts of a host's name and of a path that name a login, or a page for everything.
_LOGIN_PLACE = re.compile(
    r"(?:log|sign)[-_]?(?:in|on|out)|sso|saml2?|cas|adfs|oauth2?|oidc|openid|auth[nz]?|authori[sz]e"
    r"|authenticat(?:e|ion)|id|idp|identity|accounts|session|password|consent|maintenance|unavailable"
    r"|error|captive|portal",
    re.IGNORECASE,
)
#: ... or a page that is shown in place of a file.
_PAGE_PLACE = re.compile(
    r"sorry|busy|wait(?:ing)?(?:[-_]?(?:room|page))?|queue(?:[-_]?it)?|block(?:ed|page)?|challenges?|captcha"
    r"|cdn-cgi|terms|consent|verify|verification|maintenance|unavailable|offline|denied|error|index|landing",
    re.IGNORECASE,
)
_PAGE_FILE = re.compile(r"\.(?:x?html?|php|aspx?|jsp|cgi|do)\Z", re.IGNORECASE)
_DATA_FILE = re.compile(r"\.(?:csv|tsv|txt|json\w*|ndjson|gz|zip|parquet)\Z", re.IGNORECASE)


def is_storage(url: str, job: TalkdeskJobId, *own_urls: str) -> bool:
    """
    Return whether an address is one of a storage: https, of another host than ours, signed, and of a file
    rather than of a login or another page.

    On one's own machine, where a sandbox has no TLS, another port is enough. A signature alone proves little:
    the file's name must then be one of a file, or of the job or its report type.

    :param own_urls: of the API and of its login.
    """
    values = [
        (re.sub("[-_]", "", name.lower()), value)
        for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
    ]
    names = {name for name, value in values if value}
    if not names & _SIGNATURES or any(_OF_A_LOGIN.fullmatch(name) for name, _ in values):
        return False
    if not all(_is_elsewhere(url, own_url) for own_url in own_urls):
        return False
    path = unquote(urlsplit(url).path)
    segments = [segment.partition(".")[0] for segment in path.split("/")]
    file, of_job = path.rpartition("/")[2], job.job in path
    is_data = _DATA_FILE.search(file) is not None
    if not file or _PAGE_FILE.search(file) or (_PAGE_PLACE.fullmatch(segments[-1]) and not is_data):
        return False
    if any(of_a_storage <= names for of_a_storage in _OF_A_STORAGE) or (is_data and of_job):
        return True
    if "keypairid" in names:
        return not any(map(_PAGE_PLACE.fullmatch, segments))
    places = [*origin(url)[1].split("."), *segments]
    if any(_LOGIN_PLACE.fullmatch(place) or _PAGE_PLACE.fullmatch(place) for place in places):
        return False
    named = is_data or of_job or unquote(job.type_segment) in path or re.search(r"\d", file)
    return bool(named or names & _SIGNATURES_OF_A_STORAGE)


def _is_elsewhere(url: str, own_url: str) -> bool:
    (scheme, host, port), (_, own_host, own_port) = origin(url), origin(own_url)
    host, own_host = host.rstrip("."), own_host.rstrip(".")
    if is_loopback(host) and is_loopback(own_host):
        return port != own_port
    return scheme == "https" and bool(host) and host != own_host
