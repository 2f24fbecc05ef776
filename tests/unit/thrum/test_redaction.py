"""Which texts are secrets (reliability I8)."""

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.redaction import REDACTED, KnownSecrets, is_secret, may_hold_names, without_named

RANDOM = "sk-live-0123456789abcdef"
NAMES = (
    "api_key", "apiKey", "X-Api-Key", "password", "client_secret", "Authorization", "accessToken",
    "session_token", "passphrase", "credentials", "privateKey", "auth_cookie",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [RANDOM, "hunter2", "two words"])
def test_any_text_under_a_name_that_says_it_is_a_secret(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize("name", ["key", "token", "primary_key", "seed", "next_page_token"])
def test_under_an_ambiguous_name_only_what_looks_random_is_a_secret(name: str) -> None:
    assert is_secret(name, RANDOM)
    assert not any(is_secret(name, text) for text in ("ArrowDown", "hello world 1", "users", ""))


@pytest.mark.parametrize("name", ["max_tokens", "password", "key"])
@pytest.mark.parametrize("value", [5, None, True, ["x"], {"x": "y"}])
def test_what_is_no_text_is_no_secret(name: str, value: object) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize("name", ["keys_max", "token_count", "pubkey", "monkey", "content"])
def test_a_name_that_only_resembles_one_hides_nothing(name: str) -> None:
    assert not is_secret(name, RANDOM)


@given(
    name=st.sampled_from(NAMES),
    path=st.lists(st.sampled_from(["a", "list", "token"]), max_size=4),
    filler=st.text(max_size=400),
)
def test_a_secret_is_found_at_any_depth_and_the_rest_stays(
    name: str, path: list[str], filler: str
) -> None:
    body: Any = {"content": filler, name: RANDOM, "n": 1}
    clean: Any = {"content": filler, name: REDACTED, "n": 1}
    for step in path:
        body, clean = ([body, filler], [clean, filler]) if step == "list" else (
            {step: body}, {step: clean}
        )  # fmt: skip

    assert may_hold_names(msgpack.packb(body))
    assert without_named(body) == clean


@pytest.mark.parametrize(
    "body",
    [
        {"delta": "token 17 of a key, secretly"},
        {"usage": {"input_tokens": 5, "output_tokens": 7}},
        {"content": "what is a password? a secret."},
    ],
)
def test_ordinary_bodies_are_not_looked_through(body: dict[str, Any]) -> None:
    assert not may_hold_names(msgpack.packb(body))


def test_many_words_that_look_like_names_do_not_cost_much() -> None:
    assert may_hold_names(b"token " * 1_000)


def test_a_known_value_is_overwritten_wherever_it_stands_and_the_bytes_still_parse() -> None:
    known = KnownSecrets(["canary-value", "short"])
    body = {"a": ["x canary-value y"], "canary-value": {"deep": "canary-valuecanary-value"}}

    masked = known.mask(msgpack.packb(body))

    stars = "*" * 12
    assert msgpack.unpackb(masked) == {"a": [f"x {stars} y"], stars: {"deep": stars * 2}}
    assert len(known) == 1, "a short value would hit ordinary words"


def test_of_two_values_the_longer_goes_first() -> None:
    known = KnownSecrets(["canary-value", "canary-value-and-more"])

    assert known.mask(b"<canary-value-and-more>") == b"<" + b"*" * 21 + b">"


def test_what_is_too_deep_to_look_through_is_cut_off() -> None:
    body: Any = {"password": "hunter2"}
    for _ in range(400):
        body = [body]

    assert "hunter2" not in str(without_named(body))
