"""Keys: whom they let in, what they open, how their file is read, and read again."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from foragers.core.errors import ApiError
from foragers.core.keys import (
    KEYS_MAX,
    NAME_CHARS_MAX,
    Key,
    MalformedKeys,
    account_of,
    admit,
    hash_of,
    key_text,
    read_keys,
    require_model,
    told_key,
    write_keys,
)
from foragers.front.keys import Keys
from nest.metrics import Registry
from nest.private import replace_private
from thrum.errors import SettingsRefused

SECRET = "s" * 43
TEXT = key_text("abcdefgh", SECRET)
KEY = Key(id="abcdefgh", name="n", hash=hash_of(TEXT), created_ms=1)
INJECTED = (
    "' OR '1'='1",
    "hum-' OR 1=1--",
    "\x00",
    "hum-" * 999,
    "-",
    "null",
    "[]",
    "%00",
    "../..",
)


def test_both_ways_to_send_a_key_are_taken() -> None:
    assert told_key({b"authorization": b"Bearer  x "}) == b"x"
    assert told_key({b"authorization": b"bearer x"}) == b"x"
    assert told_key({b"x-api-key": b"y"}) == b"y"
    assert told_key({b"authorization": b"Basic x"}) is None
    assert told_key({}) is None


def test_a_key_lets_in_until_it_ends() -> None:
    keys = {KEY.id: KEY}
    assert admit(TEXT.encode(), keys, 5, is_needed=True) is KEY

    ended = Key(id=KEY.id, name="", hash=KEY.hash, created_ms=1, expires_ms=5)
    assert admit(TEXT.encode(), {KEY.id: ended}, 4, is_needed=True) is ended
    for now, other in (
        (5, ended),
        (9, Key(id=KEY.id, name="", hash=KEY.hash, created_ms=1, revoked_ms=2)),
    ):
        for is_needed in (True, False):
            with pytest.raises(ApiError) as refused:
                admit(TEXT.encode(), {KEY.id: other}, now, is_needed=is_needed)
            assert refused.value.status == 401


@pytest.mark.parametrize(
    "told",
    [
        None, b"none", b"sk-123",
        key_text("abcdefgh", "t" * 43).encode(), key_text("zzzzzzzz", SECRET).encode(),
        *(text.encode() for text in INJECTED),
    ],
)  # fmt: skip
def test_whoever_has_no_right_key_stays_out_where_one_is_needed(told: bytes | None) -> None:
    """Reliability A7."""
    with pytest.raises(ApiError) as refused:
        admit(told, {KEY.id: KEY}, 5, is_needed=True)

    assert refused.value.status == 401
    assert "hum key create" in refused.value.message


def test_where_none_is_needed_keys_of_others_mean_nothing_and_a_wrong_one_of_ours_does() -> None:
    assert admit(b"sk-123", {KEY.id: KEY}, 5, is_needed=False) is None
    assert admit(None, {KEY.id: KEY}, 5, is_needed=False) is None
    with pytest.raises(ApiError):
        admit(key_text("abcdefgh", "t" * 43).encode(), {KEY.id: KEY}, 5, is_needed=False)


def test_a_key_opens_the_models_that_it_names() -> None:
    key = Key(id="k", name="", hash=KEY.hash, created_ms=1, models=("gpt-*", "scout"))

    require_model(key, "gpt-5")
    require_model(KEY, None)
    require_model(None, "x")
    for model in ("claude", None):
        with pytest.raises(ApiError) as refused:
            require_model(key, model)
        assert (refused.value.status, refused.value.param) == (403, "model")


def test_the_account_of_a_prompt_says_whose_it_is_and_what_holds_it() -> None:
    key = Key(
        id="k", name="", hash=KEY.hash, created_ms=1,
        agent="ada", tools=("humfs_*",), limits=("5 usd/day",),
    )  # fmt: skip
    headers = {b"x-hum-agent": b"bob"}

    assert account_of(None, {}) == {}
    assert account_of(None, headers) == {"agent": "bob"}
    assert account_of(KEY, headers) == {"id": KEY.id, "agent": "bob"}
    whole = {"id": "k", "agent": "ada", "tools": ["humfs_*"], "limits": ["5 usd/day"]}
    assert account_of(key, headers) == whole


@pytest.mark.parametrize("header", ["x-hum-agent", "x-hum-schedule"])
@pytest.mark.parametrize("name", [b"b" * (NAME_CHARS_MAX + 1), b"a\x01", b"\xff"])
def test_a_name_that_is_none_is_refused_and_not_left_out_of_its_budget(
    header: str, name: bytes
) -> None:
    with pytest.raises(ApiError, match=header) as refused:
        account_of(None, {header.encode(): name})
    assert refused.value.status == 400
    assert account_of(None, {header.encode(): "n\u00e4ght".encode()})


def test_the_agent_of_a_key_goes_before_any_that_is_named() -> None:
    key = replace(KEY, agent="ada")

    assert account_of(key, {b"x-hum-agent": b"\xff"})["agent"] == "ada"


def test_keys_survive_their_file() -> None:
    whole = Key(
        id="b", name="ö", hash="00" * 32, created_ms=1, expires_ms=2, revoked_ms=3,
        agent="a", models=("m",), tools=("t",), limits=("1 requests/day",),
    )  # fmt: skip

    assert read_keys(write_keys([KEY, whole])) == {KEY.id: KEY, "b": whole}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b'{"version":2,"keys":[]}', b'{"version":1,"keys":[3]}',
        b'{"version":1,"keys":[{"id":"a"}]}',
        orjson.dumps({"version": 1, "keys": [{"id": "a"}] * (KEYS_MAX + 1)}),
        *(
            orjson.dumps({"version": 1, "keys": [{
                "id": "a", "name": "", "hash": "00" * 32, "created_ms": 1, **wrong
            }]})
            for wrong in (
                {"hash": "00"}, {"hash": "zz" * 32}, {"created_ms": "1"}, {"models": [1]},
                {"limits": ["5"]}, {"agent": 5}, {"more": 1},
            )
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_of_keys_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedKeys):
        read_keys(raw)


def headers(text: str = TEXT) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {text}".encode()}


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "keys"
    keys = Keys(path, Registry(), is_needed=True, now_ms=lambda: 5)
    assert keys.count == 0
    with pytest.raises(ApiError):
        keys.admit(headers())

    replace_private(path, write_keys([KEY]))
    assert keys.admit(headers()) == KEY
    assert keys.count == 1

    replace_private(
        path, write_keys([Key(id=KEY.id, name="n", hash=KEY.hash, created_ms=1, revoked_ms=4)])
    )
    with pytest.raises(ApiError, match="revoked"):
        keys.admit(headers())
    path.unlink()
    with pytest.raises(ApiError, match="nobody has"):
        keys.admit(headers())


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_that_cannot_be_read_opens_nothing(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    path.write_bytes(write_keys([KEY]) if mode == 0o644 else b"{")
    path.chmod(mode)

    needed = Keys(path, Registry(), is_needed=True, now_ms=lambda: 5)
    with pytest.raises(ApiError) as refused:
        needed.admit(headers())
    assert refused.value.status == 503
    with pytest.raises(SettingsRefused):
        assert needed.count
    free = Keys(path, Registry(), is_needed=False, now_ms=lambda: 5)
    with pytest.raises(ApiError) as refused:
        free.admit(headers())
    assert refused.value.status == 401
    assert free.admit({}) is None
