"""Keys of HTTP clients: what one opens, and until when. Only their hashes are kept.

A key is `hum-<id>-<secret>`. The id is no secret: it names the key in lists, in the log and in
budgets. The secret has 256 random bits, so a plain hash of the whole key is enough.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

import orjson

from foragers.core.errors import ApiError
from thrum.limits import read_limit
from thrum.tones import Body

KEYS_MAX = 4_096
"""Keys in one file, revoked ones included."""
KEYS_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of that file."""
PATTERNS_MAX = 32
"""Patterns of models, or of tools, that one key may have; and its limits."""
NAME_CHARS_MAX = 64
"""Characters of a name, and of a pattern."""
ID_CHARS = 8
"""Characters of the public part of a key."""

AGENT = b"x-hum-agent"
"""The header in which a client names the agent that it asks for."""
SCHEDULE = b"x-hum-schedule"
"""The header in which what asks by itself, at set times, names its schedule."""

_KEY = re.compile(rb"hum-([a-z2-7]{8})-([A-Za-z0-9_-]{43})")
_NOBODY = bytes(32)
"""Compared when there is no such key, so that this takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key, without its secret."""

    id: str
    name: str
    """What its owner calls it."""
    hash: str
    """SHA-256 of the whole key, in hex."""
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    agent: str | None = None
    """Whom its requests are counted for; absent: whom the client names."""
    models: tuple[str, ...] = ()
    """Patterns of the models that it opens; empty: all."""
    tools: tuple[str, ...] = ()
    """Patterns of hum's own tools that it opens; empty: all."""
    limits: tuple[str, ...] = ()
    """What may be used with it in a time (`thrum.limits`)."""

    def state(self, now_ms: int) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "live"

    def opens(self, model: str) -> bool:
        """Whether it opens a model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


class MalformedKeys(ValueError):
    """A file that is no list of keys."""


def key_text(key_id: str, secret: str) -> str:
    """A key as its owner gets it."""
    return f"hum-{key_id}-{secret}"


def hash_of(text: str) -> str:
    """What is kept of a key."""
    return sha256(text.encode()).hexdigest()


def write_keys(keys: Iterable[Key]) -> bytes:
    """The file that holds `keys`."""
    return orjson.dumps({"version": 1, "keys": [asdict(key) for key in keys]}) + b"\n"


def read_keys(raw: bytes) -> dict[str, Key]:
    """The keys in a file, by id. Raises `MalformedKeys`."""
    try:
        found = orjson.loads(raw)
        entries = found["keys"]
        if found["version"] != 1 or type(entries) is not list or len(entries) > KEYS_MAX:
            raise MalformedKeys("it is of another version, or has too many keys")
        keys = [_read(entry) for entry in entries]
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise MalformedKeys(f"it holds what is no key: {problem!r}") from problem
    return {key.id: key for key in keys}


def _read(entry: Mapping[str, Any]) -> Key:
    lists = {name: tuple(entry.get(name) or ()) for name in ("models", "tools", "limits")}
    key = Key(**{**entry, **lists})
    texts = (key.id, key.name, key.hash, *key.models, *key.tools, *key.limits)
    if not all(type(text) is str for text in texts) or len(bytes.fromhex(key.hash)) != 32:
        raise MalformedKeys(f"the key {key.id!r}")
    for moment in (key.created_ms, key.expires_ms, key.revoked_ms):
        if moment is not None and type(moment) is not int:
            raise MalformedKeys(f"the key {key.id!r}")
    if type(key.agent) not in (str, type(None)) or None in map(read_limit, key.limits):
        raise MalformedKeys(f"the key {key.id!r}")
    return key


def told_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key in a request's headers; None when there is none."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip()
    return headers.get(b"x-api-key") or None


def admit(
    told: bytes | None, keys: Mapping[str, Key], now_ms: int, *, is_needed: bool
) -> Key | None:
    """The key that lets a request in; None when it needs none and has none of ours.

    Clients send all kinds of keys where none is needed. One of ours is always judged. Raises
    `ApiError`.
    """
    found = _KEY.fullmatch(told) if told is not None else None
    if told is None or found is None:
        if is_needed:
            raise _refused("there is no key" if told is None else "this is no key of hum")
        return None
    key = keys.get(found[1].decode())
    kept = bytes.fromhex(key.hash) if key is not None else _NOBODY
    is_right = hmac.compare_digest(sha256(told).digest(), kept)
    if key is None or not is_right:
        raise _refused("nobody has this key")
    if (state := key.state(now_ms)) != "live":
        raise _refused(f"the key {key.id} is {state}")
    return key


def _refused(why: str) -> ApiError:
    message = f"{why}; make one with: hum key create, and send it as Authorization: Bearer"
    return ApiError(401, message, code="invalid_api_key")


def require_model(key: Key | None, model: str | None) -> None:
    """Raise `ApiError` when `key` does not open `model`."""
    if key is None or not key.models:
        return
    if model is None or not key.opens(model):
        named = ", ".join(key.models)
        what = "a request without a model" if model is None else f"the model {model!r}"
        raise ApiError(
            403, f"the key {key.id} does not open {what}; it opens: {named}",
            param="model", code="model_not_allowed",
        )  # fmt: skip


def account_of(key: Key | None, headers: Mapping[bytes, bytes]) -> Body:
    """Whom a prompt is counted for, and what holds it; empty when there is nothing to say.

    Raises `ApiError` for a name that is none: what it is counted for would not be held.
    """
    account: Body = {}
    agent = key.agent if key is not None and key.agent else _named(headers, AGENT)
    if key is not None:
        account["id"] = key.id
        if key.limits:
            account["limits"] = list(key.limits)
        if key.tools:
            account["tools"] = list(key.tools)
    for name, value in (("agent", agent), ("schedule", _named(headers, SCHEDULE))):
        if value:
            account[name] = value
    return account


def _named(headers: Mapping[bytes, bytes], header: bytes) -> str:
    name = headers.get(header, b"").decode("utf-8", "replace")
    if len(name) > NAME_CHARS_MAX or "\ufffd" in name or not name.isprintable():
        raise ApiError(
            400,
            f"{header.decode()} names nothing: it takes at most {NAME_CHARS_MAX} printable "
            "characters of UTF-8",
            code="invalid_value",
        )
    return name
