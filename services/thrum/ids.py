"""Identifiers: HumId, hid, rid, sigil, `hum://` addresses.

Formulas and vectors are in docs/wire.md, section 3. Different identifiers are different types. Text
that arrives is parsed once, at the edge; a `rid` or `sid` is opaque and never parsed.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import NewType

from thrum.errors import MalformedId

HumId = NewType("HumId", str)
"""52 characters of Crockford base 32: 256 bits, sortable by mint time."""
Rid = NewType("Rid", str)
Sid = NewType("Sid", str)

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HUMID_CHARS = 52
HUMID_RANDOM_BYTES = 26
HID_PREFIXES = ("humd", "wbee", "fbee")
NS_CLAUDE_SESSION = uuid.UUID("68756d2d-7365-7373-696f-6e2d6e730001")

_PAIRS = [first + second for first in CROCKFORD for second in CROCKFORD]
"""Ten bits at a time: ids are minted for every request."""
_HUMID = re.compile(rf"[{CROCKFORD}]{{{HUMID_CHARS}}}")
_HEX = re.compile(r"[0-9a-fA-F]+")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def humid_from_bytes(digest: bytes) -> HumId:
    """Write 32 bytes as a HumId, most significant bits first, four zero bits of padding."""
    number = int.from_bytes(digest, "big") << 4
    return HumId("".join([_PAIRS[number >> shift & 1023] for shift in range(250, -1, -10)]))


def mint_humid(now_ms: int, tail: bytes) -> HumId:
    """Mint an id from the wall clock and 26 bytes of a secure random source."""
    if len(tail) != HUMID_RANDOM_BYTES:
        raise ValueError(f"a HumId takes {HUMID_RANDOM_BYTES} random bytes, got {len(tail)}")
    return humid_from_bytes(now_ms.to_bytes(6, "big") + tail)


# user: bees with ids of another system (docs/wire.md, 3.2)
def humid_from_foreign(text: str) -> HumId:
    """Project any string to a HumId: same input, same id, everywhere."""
    return humid_from_bytes(hashlib.sha256(text.encode()).digest())


def parse_humid(text: str) -> HumId:
    """Accept exactly 52 characters of the alphabet; raises `MalformedId`."""
    if not _HUMID.fullmatch(text):
        raise MalformedId(f"not a HumId: {text[:64]!r}", hint="52 characters of Crockford base 32")
    return HumId(text)


# user: whoever reads a log and asks when an id was minted
def humid_ms(humid: HumId) -> int:
    """Wall-clock ms of a minted id; meaningless for projected ones."""
    number = 0
    for char in humid[:10]:
        number = number << 5 | CROCKFORD.index(char)
    return number >> 2


def session_uuid(sid: str) -> uuid.UUID:
    """Claude's name for a conversation: UUID version 5 over the sid's text."""
    return uuid.uuid5(NS_CLAUDE_SESSION, sid)


@dataclass(frozen=True, slots=True)
class Hid:
    """Stable identity of a bee or humd: role prefix and SHA-256 of its Ed25519 public key."""

    prefix: str
    digest: bytes

    def __str__(self) -> str:
        return f"{self.prefix}_{self.digest.hex()}"

    @property
    def short(self) -> str:
        """For logs: the prefix and twelve hex digits."""
        return f"{self.prefix}_{self.digest[:6].hex()}"


def hid_of(prefix: str, public: bytes) -> Hid:
    """The hid of a raw 32-byte Ed25519 public key."""
    return Hid(prefix, hashlib.sha256(public).digest())


def parse_hid(text: str) -> Hid:
    """Read a full, short or bare (old humd) hid; raises `MalformedId`.

    The short form is padded with zeros, so it equals no full hid.
    """
    prefix, _, tail = text.partition("_") if "_" in text else ("humd", "", text)
    bare = "_" not in text
    if prefix not in HID_PREFIXES or not _HEX.fullmatch(tail):
        raise MalformedId(
            f"not a hid: {text[:80]!r}", hint="humd_, wbee_ or fbee_ and 64 hex digits"
        )
    if len(tail) == 64:
        return Hid(prefix, bytes.fromhex(tail))
    if len(tail) == 12 and not bare:
        return Hid(prefix, bytes.fromhex(tail) + bytes(26))
    raise MalformedId(f"not a hid: {text[:80]!r}", hint="64 hex digits, or 12 for the short form")


def is_humd(text: str) -> bool:
    """Whether a text is the hid of a humd, written in full."""
    try:
        hid = parse_hid(text)
    except MalformedId:
        return False
    return hid.prefix == "humd" and str(hid) == text


def base36(number: int) -> str:
    """Lower-case base 36 without padding; zero is `0`."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def rid(now_ms: int, counter: int) -> Rid:
    """The correlation id that client libraries mint: time and a counter, in base 36."""
    return Rid(f"{base36(now_ms)}-{base36(counter)}")


def sigil(sid: str, nest: str) -> str:
    """Twelve hex digits that stand for a conversation within a nest."""
    return hashlib.sha256(f"{nest}:{sid}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class HumAddress:
    """`hum://<host>/<path>`: where a file lives in the mesh. `path` has no leading slash."""

    host: Hid | str
    path: str


def parse_hum_address(text: str) -> HumAddress | None:
    """Read a `hum://` address; None when it is not one, `MalformedId` when it is a broken one."""
    if not text.startswith("hum://"):
        return None
    host, _, path = text[len("hum://") :].partition("/")
    if not host:
        raise MalformedId(f"no host in {text[:80]!r}", hint="hum://<alias or hid>/<path>")
    prefix, _, tail = host.partition("_")
    if prefix in HID_PREFIXES and _HEX.fullmatch(tail):
        return HumAddress(parse_hid(host), path)
    return HumAddress(host, path)
