"""What becomes of a body: into its line, beside the log, or nowhere.

| body | in the line | beside the log |
|---|---|---|
| small, of an ordinary chi | all of it | nothing |
| larger than `INLINE_BODY_BYTES_MAX`, or of a sensitive chi | routing fields, `@body` | the bytes |
| of a chi that is redacted | routing fields, `@redacted` | nothing |

`@body` is `{"bytes": n, "digest": "<64 hex>"}`: the length of the body as it travelled, in msgpack,
and SHA-256 of a salt and those bytes. The salt, 32 random bytes, is beside the log too: once both
are erased, nobody can find out by trying whether the body was this or that. Chain, tree and proofs
are about the line, so they do not change when a body goes.

Secrets are taken out first: what `thrum.redaction` calls one is neither in the line nor beside it,
and the digest is of what is left. Routing fields are those that humd decides by when it replays,
so that it comes to the same state whether the body is still there or not.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from thrum.canonical import NotCanonical, dumps
from thrum.chi import Chi
from thrum.redaction import KnownSecrets, may_hold_names

BODY = "@body"
REDACTED = "@redacted"
ALL = "*"
"""In a list of chis: every one."""
_PLAIN = frozenset({Chi.KEY_COMMIT, Chi.KEY_ROTATE})
"""What verifying needs is always in the line."""
LINE_BYTES_MAX = 32 * 1024
"""An event's line, unless its names alone are longer (docs/log.md, 5)."""
INLINE_BODY_BYTES_MAX = LINE_BYTES_MAX - 4 * 1024
"""A body's JSON in its line; the rest is for names, hashes and the signature."""
SALT_BYTES = 32
ROUTING = (
    "askId", "callId", "callee", "chis", "chunkType", "client", "code", "cwd", "decision",
    "finishReason", "flag", "hearOnly", "hid", "hive", "instance", "kind", "mark", "modelId",
    "name", "permitId", "qualifier", "reason", "scope", "sentAt", "span", "thrum", "tool",
    "toolName",
)  # fmt: skip
"""Keys that stay in the line of a body that is elsewhere."""
ROUTING_BYTES_MAX = 256
"""Of one such value's JSON; a longer one is no routing field."""
COUNTED = ("pennyDelta", "usage")
"""Keys whose whole numbers stay too: lifetime counters are counted from them."""
COUNTS_MAX = 24
"""Of such numbers in one body; of more the first ones by name."""
COUNT_NAME_CHARS_MAX = 64
ACCOUNT = "account"
ACCOUNT_BYTES_MAX = 16 * 1024
"""Of what a prompt says of who pays, which stays too: budgets are counted from it."""
TOOLS_BYTES_MAX = 8 * 1024
"""Of the names of a prompt's tools, which stay too."""

_PREFIX = b'{"@body":{"bytes":'
_DIGEST = b',"digest":"'
_DIGEST_CHARS = 64
_SIZE_CHARS_MAX = 12


class Aside(NamedTuple):
    """A body that goes beside the log."""

    seq: int
    sid: str | None
    salt: bytes
    raw: bytes
    """As it travelled: a map in msgpack."""


@dataclass(slots=True)
class Keep:
    """The rules, and the bodies that came up and go beside the log."""

    mint_salt: Callable[[], bytes]
    sensitive: frozenset[str] = frozenset()
    redacted: frozenset[str] = frozenset()
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    special: frozenset[str] = field(init=False)
    """Chis whose bodies cannot be written as they are."""
    is_everything_special: bool = field(init=False)

    def __post_init__(self) -> None:
        self.special = self.sensitive | self.redacted
        self.is_everything_special = ALL in self.special

    def is_sensitive(self, chi: str) -> bool:
        """Whether bodies of this chi are always stored beside the log."""
        return (chi in self.sensitive or ALL in self.sensitive) and chi not in _PLAIN

    def is_redacted(self, chi: str) -> bool:
        """Whether bodies of this chi are not stored at all."""
        return (chi in self.redacted or ALL in self.redacted) and chi not in _PLAIN


def may_hold_secrets(parcels: bytes) -> bool:
    """Whether bodies must be looked through for texts under a secret's name."""
    return may_hold_names(parcels)


def digest_of(salt: bytes, raw: bytes) -> str:
    """What the line says of a body beside the log."""
    return hashlib.sha256(salt + raw).hexdigest()


def stub(body: dict[str, Any], aside: Aside) -> dict[str, Any]:
    """What stands in the line for a body that is beside the log."""
    place = {"bytes": len(aside.raw), "digest": digest_of(aside.salt, aside.raw)}
    return {**routing_fields(body), BODY: place}


def redacted_stub(body: dict[str, Any], size: int) -> dict[str, Any]:
    """What stands in the line for a body of `size` bytes that is not kept.

    No digest: short texts can be guessed from one.
    """
    return {**routing_fields(body), REDACTED: {"bytes": size}}


def routing_fields(body: dict[str, Any]) -> dict[str, Any]:
    """What humd decides and counts by, as far as it is short; of tools their names."""
    kept = {
        key: body[key] for key in ROUTING if key in body and _fits(body[key], ROUTING_BYTES_MAX)
    }
    kept |= {key: counts for key in COUNTED if (counts := _counts(body.get(key)))}
    if ACCOUNT in body and _fits(body[ACCOUNT], ACCOUNT_BYTES_MAX):
        kept[ACCOUNT] = body[ACCOUNT]
    tools = body.get("tools")
    if isinstance(tools, list):
        names = [
            {"name": tool["name"]}
            for tool in tools
            if isinstance(tool, dict) and isinstance(tool.get("name"), str)
        ]
        if names and _fits(names, TOOLS_BYTES_MAX):
            kept["tools"] = names
    return kept


def _counts(value: object) -> dict[str, int]:
    """The whole numbers of a map, by name."""
    found = sorted(
        (name, number)
        for name, number in (value.items() if isinstance(value, dict) else ())
        if isinstance(name, str) and len(name) <= COUNT_NAME_CHARS_MAX and type(number) is int
    )
    return dict(found[:COUNTS_MAX])


def _fits(value: object, bytes_max: int) -> bool:
    try:
        return len(dumps(value)) <= bytes_max
    except NotCanonical:
        return False


class Place(NamedTuple):
    """What a line says of a body beside the log."""

    size: int
    digest: str


def place_in(line: bytes, opening_bytes: int) -> Place | None:
    """Where the body of a stored line is, if it is beside the log.

    `opening_bytes` is the length of the line before its body. `@body` is always the body's first
    key, because only routing fields stand beside it.
    """
    if not line.startswith(_PREFIX, opening_bytes):
        return None
    at = opening_bytes + len(_PREFIX)
    comma = line.find(_DIGEST, at, at + _SIZE_CHARS_MAX + len(_DIGEST))
    begin = comma + len(_DIGEST)
    digits, digest = line[at:comma], line[begin : begin + _DIGEST_CHARS]
    if comma < 0 or not digits.isdigit() or len(digest) != _DIGEST_CHARS:
        return None
    return Place(int(digits), digest.decode("ascii", "replace"))


def place_of(line: bytes) -> Place | None:
    """As `place_in`, for a line of whatever author."""
    begin = line.find(b',"body":')
    return place_in(line, begin + len(b',"body":')) if begin >= 0 else None
