"""Secrets are hidden wherever they can be recognised, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from progresshub.edge.redact import HIDDEN, redact, redact_text


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "PASSWORD",
            "db_password",
            "passwd",
            "password2",
            "passphrase",
            "secret",
            "client_secret",
            "token",
        ),
        *(
            "access_token",
            "apiKey",
            "api_key",
            "cookie",
            "cookies",
            "Authorization",
            "credentials",
            "private_key",
            "sig",
        ),
    ],
)
def test_a_field_that_is_named_like_a_secret_is_hidden(name: str) -> None:
    assert redact({name: "abc", "other": 1}) == {name: HIDDEN, "other": 1}


@pytest.mark.parametrize("name", ["url", "title", "passage", "design", "message", "key"])
def test_a_field_with_an_ordinary_name_is_shown(name: str) -> None:
    assert redact({name: "abc"}) == {name: "abc"}


def test_a_secret_that_is_empty_hides_nothing() -> None:
    assert redact({"password": "", "token": None}) == {"password": "", "token": None}


def test_secrets_are_found_at_any_depth() -> None:
    given: Any = {"a": [{"password": "x"}, ["https://u:p@h/"]], "secret": {"all": ["of", "it"]}}

    assert redact(given) == {"a": [{"password": HIDDEN}, [f"https://{HIDDEN}@h/"]], "secret": HIDDEN}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/path", f"https://{HIDDEN}@host/path"),
        ("see ftp://u@h and http://h/?a=1&token=t#x", f"see ftp://{HIDDEN}@h and http://h/?a=1&token={HIDDEN}#x"),
        ("https://h/?X-Amz-Signature=abc&Expires=5", f"https://h/?X-Amz-Signature={HIDDEN}&Expires=5"),
        ("https://h/#access_token=abc", f"https://h/#access_token={HIDDEN}"),
        ("mail@example.org, token=5", "mail@example.org, token=5"),
        ("https://h/@user", "https://h/@user"),
    ],
)
def test_secrets_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_what_is_shown_can_be_as_deep_as_what_is_taken() -> None:
    value: Any = "x"
    for _ in range(254):
        value = [value]

    assert redact(value) == value
