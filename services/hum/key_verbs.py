"""`hum key`: who may ask the front. Works with and without a daemon; a change holds at once."""

import fcntl
import os
import re
import secrets
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from hum.output import data, data_json, printable, table, talk
from thrum.errors import LocalError, SettingsRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foragers.core.keys import Key
    from nest.paths import Paths

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_SPAN = re.compile(r"(\d{1,5})([hdw])")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


class NoKey(LocalError):
    """There is no such key."""


@click.group()
def key() -> None:
    """Make, list and revoke the keys of HTTP clients."""


def _expiry(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """When a key ends, in milliseconds; for a span from now on, or a date of UTC."""
    if value is None:
        return None
    if (span := _SPAN.fullmatch(value)) is not None:
        return (int(time.time()) + int(span[1]) * _SECONDS[span[2]]) * 1_000
    try:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("12h, 30d, 4w, or a date such as 2030-12-31") from None
    return int(day.timestamp()) * 1_000


def _limits(ctx: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from thrum.limits import WANTED, read_limit

    found = [read_limit(text) for text in value]
    for text, limit in zip(value, found, strict=True):
        if limit is None:
            raise click.BadParameter(f"{text!r} is no limit; it takes {WANTED}")
    return tuple(str(limit) for limit in found)


_CREATE_HELP = """Make a key and print it, once: only its hash is kept.

\b
Example:
  hum key create --name laptop --model 'gpt-*' --limit '5 usd/day' --expires 90d
"""


@key.command(help=_CREATE_HELP)
@click.option("--name", default="", help="What you call it.")
@click.option("--model", "models", multiple=True, help="A pattern of models. [all]")
@click.option("--tool", "tools", multiple=True, help="A pattern of hum's own tools. [all]")
@click.option("--agent", help="Whom its requests are counted for.")
@click.option("--limit", "limits", multiple=True, callback=_limits, help="As '5 usd/day'.")
@click.option("--expires", callback=_expiry, help="12h, 30d, 4w, or a date. [never]")
@JSON
def create(
    *,
    name: str,
    models: tuple[str, ...],
    tools: tuple[str, ...],
    agent: str | None,
    limits: tuple[str, ...],
    expires: int | None,
    as_json: bool,
) -> None:
    """Make a key and print it, once."""
    from foragers.core.keys import (
        ID_CHARS,
        KEYS_MAX,
        NAME_CHARS_MAX,
        PATTERNS_MAX,
        Key,
        hash_of,
        key_text,
    )

    for text in (name, agent or "", *models, *tools):
        if len(text) > NAME_CHARS_MAX or not text.isprintable():
            raise click.UsageError(f"a name has at most {NAME_CHARS_MAX} printable characters")
    if max(map(len, (models, tools, limits))) > PATTERNS_MAX:
        raise click.UsageError(f"a key has at most {PATTERNS_MAX} of each kind")
    with _changing() as keys:
        if len(keys) >= KEYS_MAX:
            raise LocalError(f"there are {KEYS_MAX} keys", hint="hum key list; hum key revoke ID")
        key_id = "".join(secrets.choice(_LETTERS) for _ in range(ID_CHARS))
        text = key_text(key_id, secrets.token_urlsafe(32))
        made = Key(
            id=key_id, name=name, hash=hash_of(text), created_ms=time.time_ns() // 1_000_000,
            expires_ms=expires, agent=agent, models=models, tools=tools, limits=limits,
        )  # fmt: skip
        keys[key_id] = made
    if as_json:
        data_json({"key": text, **_view(made)})
        return
    talk("this is the only time that the key is shown; it holds at once", dim=True)
    data(text)


@key.command("list")
@JSON
def list_(*, as_json: bool) -> None:
    """List every key, without its secret."""
    keys = all_keys()
    if as_json:
        data_json({"keys": [_view(key) for key in keys]})
    elif not keys:
        talk("there are no keys; make one with: hum key create")
    else:
        data(table([("id", "state", "name", "opens", "limits", "ends"), *map(_row, keys)]))


@key.command()
@click.argument("key_id", metavar="ID")
@JSON
def revoke(*, key_id: str, as_json: bool) -> None:
    """Have a key open nothing any more, at once. ID is shown by `hum key list`."""
    from dataclasses import replace

    with _changing() as keys:
        found = keys.get(key_id)
        if found is None:
            raise NoKey(f"there is no key {key_id!r}", hint="hum key list")
        if found.revoked_ms is None:
            found = keys[key_id] = replace(found, revoked_ms=time.time_ns() // 1_000_000)
    if as_json:
        data_json(_view(found))
    else:
        talk(f"the key {key_id} is revoked")


def all_keys() -> "list[Key]":
    """Every key, revoked ones included. Raises `SettingsRefused` when they cannot be read."""
    return list(_read(_paths()).values())


def _paths() -> "Paths":
    from nest.paths import Paths

    return Paths.from_environment(os.environ)


def _read(paths: "Paths") -> "dict[str, Key]":
    from foragers.core.keys import KEYS_BYTES_MAX, MalformedKeys, read_keys
    from nest.private import read_private

    try:
        return read_keys(read_private(paths.front_keys, bytes_max=KEYS_BYTES_MAX))
    except FileNotFoundError:
        return {}
    except MalformedKeys as problem:
        raise SettingsRefused(
            f"{paths.front_keys} cannot be used: {problem}",
            hint="put back a copy; without the file nobody has a key",
        ) from problem


@contextmanager
def _changing() -> "Iterator[dict[str, Key]]":
    """The keys, to be changed; written when the block ends. One at a time."""
    from foragers.core.keys import write_keys
    from nest.paths import ensure_private
    from nest.private import PRIVATE_FILE_MODE, replace_private

    paths = _paths()
    ensure_private(paths.front_keys.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(paths.front_keys_lock, flags, PRIVATE_FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        keys = _read(paths)
        yield keys
        replace_private(paths.front_keys, write_keys(keys.values()))
    finally:
        os.close(handle)


def _view(key: "Key") -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(time.time_ns() // 1_000_000),
        "created": _moment(key.created_ms),
        "expires": _moment(key.expires_ms),
        "revoked": _moment(key.revoked_ms),
        "agent": key.agent,
        "models": list(key.models),
        "tools": list(key.tools),
        "limits": list(key.limits),
    }


def _row(key: "Key") -> tuple[str, ...]:
    view = _view(key)
    opens = ", ".join((*key.models, *key.tools)) or "all"
    ends = str(view["revoked"] or view["expires"] or "never")
    limits = ", ".join(key.limits) or "none"
    return key.id, str(view["state"]), printable(key.name), printable(opens), limits, ends


def _moment(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
