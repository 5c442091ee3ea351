"""What looks like a secret, or is a known one, is shown nowhere."""

import json
import random
import re
import string
import time
from collections import OrderedDict
from html import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.plain import plain_mapping
from server.security import redaction
from server.security.redaction import know_opened_secret, know_secret, redact

# Each has HIDDEN where the secret is.
HIDDEN = "Zq3xVb9TkLm2NpRs7WyC"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{HIDDEN}\n{HIDDEN}\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "a key of ours": f"cvg_0123456789ab_{HIDDEN}",
    "a private key": PEM,
    "a private key in JSON": json.dumps({"private_key": PEM, "client_email": "a@b.c"}),
    "a private key in JSON in JSON": json.dumps({"text": json.dumps({"key": PEM})}),
    "a private key that was cut off": PEM[:60],
    "a password in an address": f"postgresql://user:{HIDDEN}@host/db",
    "a password with @ in an address": f"postgresql://user:p@{HIDDEN}@host/db",
    "a password without a user": f"redis://:{HIDDEN}@host",
    "a bearer token": f"Authorization: Bearer {HIDDEN}",
    "a basic authorization": f'"authorization": "Basic {HIDDEN}=="',
    "a token of Google's": f"got ya29.{HIDDEN}",
    "a key id of AWS's": "AKIAZQ3XVB9TKLM2NPRS",
    "a secret of AWS's in JSON": json.dumps({"secret_access_key": f"{HIDDEN}/+="}),
    "a secret of AWS's in a file": f"aws_secret_access_key = {HIDDEN}/+=",
    "a password of a setting": f"password={HIDDEN}",
    "a password of a mapping": f"{{'smtp_password': '{HIDDEN}'}}",
    "a token of a query string": f"https://host/?access_token={HIDDEN}&x=1",
    "a client secret": f"client-secret: {HIDDEN}",
    "a password of several words": f'password="correct horse {HIDDEN}"',
    "a password in single quotes": f"{{'client_secret': 'ab cd {HIDDEN} ef'}}",
    "a header": f"X-Api-Key: {HIDDEN}",
    "a name with hyphens": f'{{"aws-secret-access-key": "{HIDDEN}"}}',
    "a name in one word": f"dbPassword={HIDDEN}",
    "a variable of PostgreSQL's": f"PGPASSWORD={HIDDEN} psql",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("shown", [str, repr, json.dumps], ids=["plain", "repr", "JSON"])
def test_what_looks_like_a_secret_is_left_out(text: str, shown: object) -> None:
    assert callable(shown)
    told = redact(f"before {shown(text)} after")
    assert HIDDEN not in told
    assert "AKIAZQ3X" not in told
    assert told.startswith("before ")


@pytest.mark.parametrize("form", redaction._COMPILED, ids=lambda form: form[1].pattern[:40])
@given(data=st.data())
def test_what_has_a_form_has_one_of_its_words(form: tuple[tuple[str, ...], re.Pattern[str], str], data: Any) -> None:
    """Where there is none, nobody looks for the form."""
    words, pattern, _ = form
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(codec="ascii")))
    assert any(word in text.lower() for word in words), text


@pytest.mark.parametrize(
    "text",
    [
        "the password is wrong",
        "Send a valid API key in the metadata entry x-api-key, over HTTP in the header X-API-Key.",
        "SELECT token, secret FROM keys WHERE api_key_id = 'abc'",
        "http://127.0.0.1:50051/path@2x.png",
        "ops@example.com wrote: see https://example.com/a?b=c",
        "bearer of bad news",
        "SELECT * FROM a JOIN b ON a.api_key = b.api_key AND a.secret=b.secret2",
        "api_key: missing",
        '{"password": 3, "secret": true, "token": null}',
        "maximum_bytes_billed: 1000, password_policy: strict",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "cvg_0123456789ab",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_key_id_stays() -> None:
    assert redact(SECRETS["a key of ours"]) == "cvg_0123456789ab_[redacted]"


def test_what_stands_under_the_name_of_a_secret_is_left_out() -> None:
    told = plain_mapping(
        {
            "password": HIDDEN,
            "nested": [{"AWS_SECRET_ACCESS_KEY": {"value": HIDDEN}}],
            "secret_name": "prod",
            "rows": 3,
            "reset_password": 5,
            "is_secret": True,
            "no_secret": None,
            "dbPassword": HIDDEN,
            "aws-secret-access-key": HIDDEN,
            "X-Api-Key": HIDDEN,
        }
    )
    assert told == {
        "password": "[redacted]",
        "nested": [{"AWS_SECRET_ACCESS_KEY": "[redacted]"}],
        "secret_name": "prod",
        "rows": 3,
        "reset_password": 5,
        "is_secret": True,
        "no_secret": None,
        "dbPassword": "[redacted]",
        "aws-secret-access-key": "[redacted]",
        "X-Api-Key": "[redacted]",
    }


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is known to this test alone."""
    for name, empty in (("_lasting", set()), ("_recent", OrderedDict()), ("_searched", ())):
        monkeypatch.setattr(redaction, name, empty)


@pytest.mark.usefixtures("forgotten")
def test_a_known_secret_is_left_out_in_every_form() -> None:
    secret = 'quo"te\\ and / umlaut ü'
    know_secret(secret)
    for text in (secret, json.dumps(secret), json.dumps({"x": secret}), "quo%22te%5C%20and%20%2F%20umlaut%20%C3%BC"):
        told = redact(f"before {text} after")
        assert "umlaut" not in told
        assert told.startswith("before ")
        assert told.endswith(" after")


@pytest.mark.usefixtures("forgotten")
def test_a_known_secret_inside_another_leaves_nothing_of_it() -> None:
    for secret in ("abcdefgh", "abcdefghijkl"):
        know_secret(secret)
    assert redact("abcdefghijkl") == "[redacted]"


@pytest.mark.usefixtures("forgotten")
def test_a_word_of_a_few_letters_is_no_known_secret() -> None:
    know_secret("cost")
    assert redact("the costs") == "the costs"


def test_redaction_takes_time_in_proportion() -> None:
    """No form goes back over a long text again and again: this would take hours."""
    random_text = "".join(random.Random(1).choices(string.printable, k=200_000))
    for text in (random_text, "a" * 200_000, "password" * 25_000, "://" * 60_000, "a://b:" * 30_000, "_" * 200_000):
        redact(text)


def test_a_key_that_was_cut_off_takes_no_more_than_its_text_with_it() -> None:
    line = json.dumps({"message": PEM[:60], "pipeline_logging_id": "4a7e1f2c"})
    assert json.loads(redact(line))["pipeline_logging_id"] == "4a7e1f2c"


@pytest.mark.usefixtures("forgotten")
def test_of_opened_secrets_the_last_are_known_and_those_of_the_process_for_ever() -> None:
    know_secret("of-the-process")
    for number in range(256):
        know_opened_secret(f"of-a-tenant-{number:04}")
    know_opened_secret("of-a-tenant-0000")
    know_opened_secret("of-a-tenant-9999")
    told = redact("of-the-process of-a-tenant-0000 of-a-tenant-0001 of-a-tenant-9999")
    assert told == "[redacted] [redacted] of-a-tenant-0001 [redacted]"


def test_a_known_secret_is_found_in_html_too() -> None:
    know_secret('sehr<geheim>&"wichtig"')
    in_html = escape('sehr<geheim>&"wichtig"')
    assert redact(f"<p>{in_html}</p>") == "<p>[redacted]</p>"


@pytest.mark.parametrize("text", ["a.b-c_", "secret_", "password ", "password=", "ab://c:", 'api_key: "'])
def test_whoever_repeats_himself_holds_nobody_up(text: str) -> None:
    began = time.process_time()
    redact(text * (250_000 // len(text)))
    assert time.process_time() - began < 5
