"""Walk a chain of stored lines and name the first event that is wrong, and what is wrong with it.

Because each hash covers its predecessor, one valid signature proves everything before it. So a
walk re-hashes every line and checks the last signature of each segment; a full walk checks all of
them, which also finds a damaged signature that is followed by a good one.

What a full walk checks of each line: that it parses, has the nine keys and is in canonical form
(the layout of floats is left to whoever wrote them), names the author, follows its predecessor by
seq, hash and time. Otherwise a line that names author, predecessor and seq at the places where they
belong is hashed as it stands, four times as fast: that its body is in canonical form is vouched for
by the signature over it. Which of two neighbours is to blame for a broken link is settled by
whatever else covers them: a signature, or the next event's `prev_hash`.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from thehum.core.events import (
    EVENT_KEYS,
    GENESIS,
    SIG_BYTES,
    SIG_NULL,
    Head,
    closing,
    has_types,
    opening,
)
from thrum import canonical
from thrum.ids import hid_of
from thrum.keys import verify

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')
_SIG = re.compile(rb',"sig":"([0-9a-f]{128})"')
_FLOAT_MARK = re.compile(rb"[.eE]")


class Flaw(StrEnum):
    """Which property of an event failed."""

    FORM = "not a line of the log in canonical form"
    KEY = "the author is not the hid of the key"
    AUTHOR = "written by another author"
    SEQ = "the seq does not follow its predecessor's"
    CONTENT = "the content is not what was hashed and signed"
    PREV_HASH = "prev_hash is not the hash of its predecessor"
    SIGNATURE = "the signature does not verify"
    TIME = "older than its predecessor"
    MISSING = "missing, though there was such an event"


@dataclass(frozen=True, slots=True)
class Damage:
    """The first event that is wrong."""

    seq: int
    flaw: Flaw
    group_first_seq: int
    """The first event after the last one known to be covered by a good signature."""

    def __str__(self) -> str:
        return f"event {self.seq}: {self.flaw}"


class Signed(NamedTuple):
    """A signature met on the way, not yet checked."""

    seq: int
    canonical: bytes
    sig: str


class Walk:
    """A position in one author's chain. `step` takes the lines in order.

    Start at `GENESIS` for a whole chain, at `start_of(seq)` when what is before is not there. With
    `every` it checks every signature, otherwise those that are asked for.
    """

    def __init__(
        self, author: str, public: bytes, head: Head = GENESIS, *, every: bool = False
    ) -> None:
        self.author = author
        self.public = public
        self.every = every
        self.signed: Signed | None = None
        """The last signature met."""
        self.proven_seq = 0
        """Every event up to here is covered by a signature that was checked."""
        self.signatures = 0
        """Checked so far."""
        self._opening = opening(author)
        self.head = head

    @property
    def head(self) -> Head:
        """The last event that was taken."""
        return Head(self.seq, self._hash, self._ts_ms)

    @head.setter
    def head(self, head: Head) -> None:
        self.seq, self._hash, self._ts_ms = head.seq, head.hash, head.ts_ms
        self._closing = closing(head.ts_ms)

    def step(self, line: bytes) -> Flaw | None:
        """Take the next line (without newline); None when it follows, and the head moves to it.

        After a flaw the walk stays where it was.
        """
        if not self.every and self._glance(line):
            return None
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            return Flaw.FORM
        if not self._follows(fields, line):
            flaw = self._flaw_of(fields, line)
            if flaw is not None:
                return flaw
        ts_ms, sig, seq = fields["ts_ms"], fields["sig"], fields["seq"]
        canonical_bytes = _canonical_of(line, fields)
        if sig is not None:
            signed = Signed(seq, canonical_bytes, sig)
            if self.every and not self.is_genuine(signed):
                return Flaw.SIGNATURE
            self.signed = signed
        self.head = Head(seq, hashlib.sha256(canonical_bytes).hexdigest(), ts_ms)
        return None

    def _glance(self, line: bytes) -> bool:
        """Take a line that has everything in its place and the time of its predecessor.

        Strings escape their quotes, so behind the event's own `seq` nothing can look like one.
        """
        if not (line.endswith(self._closing) and line.startswith(self._opening)):
            return False
        at = line.rfind(b'","seq":')
        if not line.startswith(b'","seq":%d,"sid":' % (self.seq + 1), at):
            return False
        if line.rfind(b',"prev_hash":"%b","rid":"' % self._hash.encode(), 0, at) < 0:
            return False
        end = len(line) - len(self._closing)
        if line.endswith(SIG_NULL, 0, end):
            canonical_bytes = line[: end - len(SIG_NULL)] + self._closing
        else:
            sig = _SIG.fullmatch(line, end - SIG_BYTES, end)
            if sig is None:
                return False
            canonical_bytes = line[: end - SIG_BYTES] + self._closing
            self.signed = Signed(self.seq + 1, canonical_bytes, sig[1].decode())
        self.seq += 1
        self._hash = hashlib.sha256(canonical_bytes).hexdigest()
        return True

    def _follows(self, fields: dict[str, Any], line: bytes) -> bool:
        """Whether everything is right at first sight, which it nearly always is."""
        try:
            return (
                fields["prev_hash"] == self._hash
                and fields["seq"] == self.seq + 1
                and fields["author"] == self.author
                and has_types(fields)
                and fields["ts_ms"] >= self._ts_ms
                and orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) == line
            )
        except (KeyError, TypeError):
            return False

    def _flaw_of(self, fields: dict[str, Any], line: bytes) -> Flaw | None:
        """Which property failed; None for what only looked wrong, as other layouts of floats do."""
        if type(fields) is not dict or fields.keys() != EVENT_KEYS or not has_types(fields):
            return Flaw.FORM
        if not _is_canonical(fields, line):
            return Flaw.FORM
        if fields["author"] != self.author:
            return Flaw.AUTHOR
        if fields["seq"] != self.seq + 1:
            return Flaw.SEQ
        if self._hash and fields["prev_hash"] != self._hash:
            return Flaw.PREV_HASH
        return Flaw.TIME if fields["ts_ms"] < self._ts_ms else None

    def check_signature(self) -> Flaw | None:
        """Check the last signature met, unless it was checked already."""
        signed = self.signed
        return None if signed is None or self.is_genuine(signed) else Flaw.SIGNATURE

    def is_genuine(self, signed: Signed) -> bool:
        """Check a signature of this chain; a good one proves everything up to its event."""
        if signed.seq <= self.proven_seq:
            return True
        self.signatures += 1
        if not is_signed_by(self.public, signed):
            return False
        self.proven_seq = signed.seq
        return True


def start_of(first_seq: int) -> Head:
    """Where a walk stands before the segment that starts with `first_seq`.

    Unless that is the first event of all, its `prev_hash` is taken as given: there is nothing to
    compare it with.
    """
    return GENESIS if first_seq == 1 else Head(first_seq - 1, "", 0)


def is_signed_by(public: bytes, signed: Signed) -> bool:
    """Whether the signature is by the holder of `public`."""
    try:
        sig = bytes.fromhex(signed.sig)
    except ValueError:
        return False
    return verify(public, signed.canonical, sig)


def is_author(author: str, public: bytes) -> bool:
    """Whether `author` is the humd hid of `public`."""
    return author == str(hid_of("humd", public))


def walk_lines(walk: Walk, lines: list[bytes]) -> Damage | None:
    """Step through `lines` (a segment's, without newlines), then check the last signature.

    Returns the first event that is wrong; the walk then stands at or before its predecessor.
    """
    if not is_author(walk.author, walk.public):
        return Damage(walk.seq + 1, Flaw.KEY, walk.seq + 1)
    for number, line in enumerate(lines):
        flaw = walk.step(line)
        if flaw is not None:
            following = lines[number + 1] if number + 1 < len(lines) else None
            before = lines[number - 1] if number else None
            return blame(walk, flaw, line, before, following)
    flaw = walk.check_signature()
    if flaw is not None and walk.signed is not None:
        return Damage(walk.signed.seq, flaw, walk.proven_seq + 1)
    return None


def blame(
    walk: Walk, flaw: Flaw, line: bytes, before: bytes | None, following: bytes | None
) -> Damage:
    """The damage behind a flaw: a broken link may be this line's fault or that of the one before.

    `walk` stands before `line`; `before` and `following` are its neighbours where there are any.
    """
    seq, group = walk.seq + 1, walk.proven_seq + 1
    if flaw is Flaw.SIGNATURE:
        # The event's bytes are good when its successor names their hash; then only `sig` was hit.
        changed = _prev_hash(following) not in (None, _hash(line))
        return Damage(seq, Flaw.CONTENT if changed else flaw, group)
    if flaw is not Flaw.PREV_HASH or before is None:
        return Damage(seq, flaw, group)
    signed = walk.signed if walk.signed and walk.signed.seq == seq - 1 else None
    if signed is not None:
        before_is_good = is_signed_by(walk.public, signed)
    else:
        before_is_good = not _is_intact(walk, line, following)
    if before_is_good:
        return Damage(seq, flaw, group)
    return Damage(seq - 1, Flaw.CONTENT, min(group, seq - 1))


def _is_intact(walk: Walk, line: bytes, following: bytes | None) -> bool:
    """Whether something that covers `line` says that it is as it was written."""
    fields = orjson.loads(line)
    if fields["sig"] is not None:
        signed = Signed(fields["seq"], _canonical_of(line, fields), fields["sig"])
        return is_signed_by(walk.public, signed)
    return _prev_hash(following) == _hash(line)


def _prev_hash(line: bytes | None) -> str | None:
    try:
        fields = orjson.loads(line or b"")
        return str(fields["prev_hash"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _hash(line: bytes) -> str:
    return hashlib.sha256(_canonical_of(line, orjson.loads(line))).hexdigest()


def _canonical_of(line: bytes, fields: dict[str, Any]) -> bytes:
    end = len(line) - len(b',"ts_ms":}') - len(str(fields["ts_ms"]))
    cut = len(SIG_NULL) if fields["sig"] is None else SIG_BYTES
    return line[: end - cut] + line[end:]


def _is_canonical(fields: dict[str, Any], line: bytes) -> bool:
    """Whether writing the fields again gives the line, floats read as their values."""
    try:
        if orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) == line:
            return True
    except TypeError:
        pass  # a body as deep as orjson goes, one level further in
    try:
        body = orjson.Fragment(canonical.dumps(fields["body"]))
    except canonical.NotCanonical:
        return False
    written = canonical.dumps({**fields, "body": body})
    return written == line or _plain_floats(written) == _plain_floats(line)


def _plain_floats(text: bytes) -> bytes:
    return _TOKEN.sub(_plain, text)


def _plain(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"') or not _FLOAT_MARK.search(text):
        return text
    return repr(float(text)).encode()
