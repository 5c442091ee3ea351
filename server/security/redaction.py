"""Keeps secrets out of what people read: logs, events, error messages, mails, the x_meta_ tables.

Secrets that the process knows are found by their value, others by their form: keys of this product, private keys,
tokens, passwords in addresses, and whatever stands behind a name that says that it is a secret.
"""

import json
import re
from collections import OrderedDict
from html import escape
from urllib.parse import quote

REDACTED = "[redacted]"
# A shorter one would be found in the middle of harmless words.
_SHORTEST_KNOWN = 6
# What a secret's name ends with. A search for what may stand before it would begin anew at each of its parts.
_NAMES = (
    r"(?:password|passwd|pwd|secret|secret[_-]?key|secret[_-]?access[_-]?key|client[_-]?secret|private[_-]?key"
    r"|access[_-]?token|refresh[_-]?token|api[_-]?key)"
)
_SECRET_NAME = re.compile(rf"(?i)[\w.-]*{_NAMES}")
_HINTS_OF_NAMES = ("passw", "pwd", "secret", "private", "token", "apikey", "api_key", "api-key")
# Each with words of which a text has one, in whatever letters, wherever it has the form: most lines of a log have none
# of them, and these are found much sooner.
_FORMS = (
    # The key's id stays, so that it can be found and revoked.
    (("cvg_",), r"cvg_([0-9a-z]{1,32})_[A-Za-z0-9_-]{8,}", rf"cvg_\1_{REDACTED}"),
    # One that was cut off ends with the quotes that it stands in.
    (
        ("-----begin",),
        r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----(?:(?!-----END)[^\"'])*(?:-----END \1PRIVATE KEY-----)?",
        REDACTED,
    ),
    # RFC 3986, section 3.2.1: user:password@host.
    (("://",), r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']*):[^\s/\"']+@", rf"\1:{REDACTED}@"),
    # RFC 6750, section 2.1, and RFC 7617.
    (
        ("bearer", "authorization"),
        r"(?i)\b(bearer|authorization\\?\"?\s*[:=]\s*\\?\"?basic)\s+[A-Za-z0-9._~+/=-]{8,}",
        rf"\1 {REDACTED}",
    ),
    # Google's access tokens; the ids of AWS's keys, beside which the secret stands.
    (("ya29.",), r"\bya29\.[A-Za-z0-9_.-]{16,}", REDACTED),
    (("akia", "asia"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", REDACTED),
    # `"secret_access_key": "..."`, also where the quotes are escaped.
    (
        _HINTS_OF_NAMES,
        rf"(?i)({_NAMES}\\?[\"']?\s*[:=]\s*)(\\?[\"'])(?:(?!\2).){{3,}}?\2",
        rf"\1\2{REDACTED}\2",
    ),
    # `password=hunter2`; a word alone, or a column of a table, is more likely about a secret than one.
    (
        _HINTS_OF_NAMES,
        rf"(?i)({_NAMES}\s*[:=]\s*)(?!\w+\.[a-z_])(?=[^\s\"'\\,;)}}\]]*[0-9/+=!@#$%^&*])[^\s\"'\\,;)}}\]]{{3,}}",
        rf"\1{REDACTED}",
    ),
)
_COMPILED = tuple((hints, re.compile(form), instead) for hints, form, instead in _FORMS)
# Of tenants' secrets those that were opened last: a search for every one that ever was would cost more and more.
_MOST_RECENT = 256
_lasting = set[str]()
_recent = OrderedDict[str, None]()
_searched: tuple[str, ...] = ()


def know_secret(value: str) -> None:
    """From now on this text is left out of everything, also as JSON, HTML and a part of an address have it."""
    _lasting.add(value)
    _search()


def know_opened_secret(value: str) -> None:
    """As `know_secret`, until 256 others were opened after it."""
    is_new = value not in _recent
    _recent[value] = None
    _recent.move_to_end(value)
    if len(_recent) > _MOST_RECENT:
        _recent.popitem(last=False)
    if is_new:
        _search()


def _search() -> None:
    global _searched  # noqa: PLW0603 - what the process knows is the process's
    known = [value for value in (*_lasting, *_recent) if len(value) >= _SHORTEST_KNOWN]
    forms = {form for value in known for form in _forms_of(value)}
    _searched = tuple(sorted(forms, key=len, reverse=True))


def _forms_of(value: str) -> tuple[str, ...]:
    """The value as it is, and as JSON, addresses, HTML and Slack's markup have it."""
    in_html = (escape(value), escape(value, quote=False))
    return (value, json.dumps(value)[1:-1], quote(value, safe=""), *in_html)


def is_secret_name(name: str) -> bool:
    """Whether what stands under that name is a secret: `password`, `aws_secret_access_key`."""
    return _SECRET_NAME.fullmatch(name) is not None


def redact(text: str) -> str:
    """The text without secrets."""
    for value in _searched:
        text = text.replace(value, REDACTED)
    lowered = text.lower()
    for hints, form, instead in _COMPILED:
        # Of other letters some count as one of these to a search without case.
        if not text.isascii() or any(hint in lowered for hint in hints):
            text = form.sub(instead, text)
    return text
