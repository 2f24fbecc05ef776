"""Walk a chain of stored lines and name the first event that is wrong, and what is wrong with it.

Because each hash covers its predecessor, one valid signature proves everything before it. So a
walk re-hashes every line and checks the last signature of each segment; a full walk checks all of
them, which also finds a damaged signature that is followed by a good one.

What a full walk checks of each line: that it parses, has the nine keys and is in canonical form
(the layout of floats is left to whoever wrote them), names the author, follows its predecessor by
seq, hash and time. Otherwise a line that names author, predecessor, seq and time at the places
where they belong is hashed as it stands, many times as fast: that its body is in canonical form is
vouched for by the signature over it. Which of two neighbours is to blame for a broken link is
settled by whatever else covers them: a signature, or the next event's `prev_hash`.

Those places are found without parsing, from the end of the line. In JSON `,"` outside a string
begins a key or an item, and inside a string it cannot stand, for there the quote is escaped; in
front of a key's name and `":` it is the comma before that key. Behind the body come only strings,
numbers and null, which hold no keys. So the last `,"prev_hash":"` of a line is the event's own,
whatever its body holds, and so is the `,"seq":` behind it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from thehum.core.events import (
    EVENT_KEYS,
    GENESIS,
    SIG_BYTES,
    SIG_NULL,
    ZERO_HASH,
    Head,
    closing,
    has_types,
    opening,
    split_line,
)
from thehum.core.keys import KEY_CHIS, BadKeyEvent, KeyChain, KeyEvents
from thrum import canonical
from thrum.keys import verify

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')
_TAIL = re.compile(
    rb'(?P<sig>,"sig":(?:null|"[0-9a-f]{128}"))(?P<closing>,"ts_ms":(?P<ts>0|[1-9][0-9]{0,14})\})\Z'
)
_TAIL_BYTES_MAX = SIG_BYTES + len(closing(10**14))
_PREV_HASH = b',"prev_hash":"'
_RID = b'","rid":"'
_KEY_ENDS = bytes(chi[-2] for chi in KEY_CHIS)
"""The last letters of their chis: a look at one spares a look at more."""
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
    KEYS = "a change of key that was not committed to, or not signed by both keys"
    STORAGE = "its compressed segment is not the file that was sealed"
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
    """A position in one author's chain. `take` and `step` move it on, line by line, in order.

    Start at `GENESIS` for a whole chain, at `start_of(seq)` when what is before is not there. With
    `every` it checks every signature, otherwise those that are asked for, and always those of the
    events that say which key signs. `public` is the log's first key, `later` are such events as are
    known; those behind the head are found again on the way.
    """

    def __init__(
        self,
        author: str,
        public: bytes,
        head: Head = GENESIS,
        *,
        every: bool = False,
        later: KeyEvents = (),
    ) -> None:
        self.author = author
        self.keys = KeyChain(public, later)
        """The keys of the log, as far as the walk has come."""
        self.every = every
        self.signed_seqs: list[int] = []
        """The events that were met with a signature, since somebody last emptied this."""
        self.proven_seq = 0
        """Every event up to here is covered by a signature that was checked."""
        self.signatures = 0
        """Checked so far."""
        self._opening = opening(author)
        self._begun_hash = hashlib.sha256(self._opening)
        self._last_signed: tuple[int, bytes] | None = None
        self.head = head

    @property
    def head(self) -> Head:
        """The last event that was taken."""
        return Head(self.seq, self._hash.decode(), self._ts_ms)

    @head.setter
    def head(self, head: Head) -> None:
        self.seq, self._hash, self._ts_ms = head.seq, head.hash.encode(), head.ts_ms
        self.keys = self.keys.upto(head.seq)

    @property
    def signed(self) -> Signed | None:
        """The last signature met."""
        return None if self._last_signed is None else signed_of(*self._last_signed)

    def pass_over(self, head: Head, *, signatures: int) -> None:
        """Go on behind `head`, which was verified elsewhere, and is signed."""
        self.head = head
        self.proven_seq = head.seq
        self.signatures += signatures
        self._last_signed = None

    def leap(self, head: Head, later: KeyEvents) -> None:
        """Go on behind `head`, before which events are lost; `later` is known of the keys."""
        self.keys = KeyChain(self.keys.first, later)
        self.head = head
        self._last_signed = None

    def take(self, lines: Iterable[bytes]) -> Flaw | None:
        """Take lines (without newlines) up to the first that does not follow, and say why not.

        The walk then stands at that line's predecessor.
        """
        waiting = iter(lines)
        while (line := self._take_plain(waiting)) is not None:
            flaw = self._parse(line)
            if flaw is not None:
                return flaw
        return None

    def step(self, line: bytes) -> Flaw | None:
        """Take the next line (without newline); None when it follows, and the head moves to it.

        After a flaw the walk stays where it was.
        """
        return None if self._take_plain(iter((line,))) is None else self._parse(line)

    def _parse(self, line: bytes) -> Flaw | None:
        """As `step`, for a line that is not like most, or whose signature is to be checked."""
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
        signed = Signed(seq, canonical_bytes, sig or "")
        if sig is not None and self.every and not self.is_genuine(signed):
            return Flaw.SIGNATURE
        if line.endswith(KEY_CHIS, 0, line.rfind(_PREV_HASH)):
            flaw = self._take_keys(line, signed)
            if flaw is not None:
                return flaw
        if sig is not None:
            self._last_signed = seq, line
            self.signed_seqs.append(seq)
        self.head = Head(seq, hashlib.sha256(canonical_bytes).hexdigest(), ts_ms)
        return None

    def _take_keys(self, line: bytes, signed: Signed) -> Flaw | None:
        """Take over what an event says about keys, unless it may not."""
        if signed.sig and not self.is_genuine(signed):
            return Flaw.SIGNATURE
        try:
            self.keys = self.keys.grown(line)
        except BadKeyEvent:
            return Flaw.KEYS
        return None

    def _take_plain(self, lines: Iterator[bytes]) -> bytes | None:
        """Take lines for as long as everything is in its place; the first other one is returned.

        This is the inner loop of every verification, which is why it is one function and keeps what
        it needs in locals.
        """
        if self.every or not self._hash:  # without a predecessor there is nothing to look for
            return next(lines, None)
        begin, seq, link = self._opening, self.seq, _PREV_HASH + self._hash + _RID
        link_length = len(_PREV_HASH) + len(ZERO_HASH)
        begin_length, copy_hash = len(begin), self._begun_hash.copy
        ts_ms, end = self._ts_ms, closing(self._ts_ms)
        unsigned_end = SIG_NULL + end
        unsigned_length = len(unsigned_end)
        last_signed, signed_seqs = self._last_signed, self.signed_seqs
        taken_ts_ms, refused = ts_ms, None
        for line in lines:
            if line.endswith(unsigned_end):
                is_signed, middle = False, line[begin_length:-unsigned_length]
            else:
                tail = _TAIL.search(line, max(len(line) - _TAIL_BYTES_MAX, 0))
                if tail is None or int(tail["ts"]) < ts_ms:
                    refused = line
                    break
                if tail["closing"] != end:
                    ts_ms, end = int(tail["ts"]), tail["closing"]
                    unsigned_end = SIG_NULL + end
                    unsigned_length = len(unsigned_end)
                is_signed, middle = tail["sig"] != SIG_NULL, line[begin_length : tail.start()]
            at = line.rfind(_PREV_HASH)
            if not (
                line.startswith(link, at)
                and (line[at - 2] not in _KEY_ENDS or not line.endswith(KEY_CHIS, 0, at))
                and line.find(b'","seq":%d,"sid":' % (seq + 1), at + link_length) > 0
                and line.startswith(begin)
            ):
                refused = line
                break
            seq += 1
            taken_ts_ms = ts_ms
            hashed = copy_hash()
            hashed.update(middle)
            hashed.update(end)
            link = f',"prev_hash":"{hashed.hexdigest()}","rid":"'.encode()
            if is_signed:
                last_signed = seq, line
                signed_seqs.append(seq)
        self.seq, self._hash, self._ts_ms = seq, link[len(_PREV_HASH) : -len(_RID)], taken_ts_ms
        self._last_signed = last_signed
        return refused

    def _follows(self, fields: dict[str, Any], line: bytes) -> bool:
        """Whether everything is right at first sight, which it nearly always is."""
        try:
            return (
                fields["prev_hash"].encode() == self._hash
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
        if self._hash and fields["prev_hash"].encode() != self._hash:
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
        if not is_signed_by(self.keys.signer_of(signed.seq), signed):
            return False
        self.proven_seq = signed.seq
        return True


def start_of(first_seq: int) -> Head:
    """Where a walk stands before the segment that starts with `first_seq`.

    Unless that is the first event of all, its `prev_hash` is taken as given: there is nothing to
    compare it with.
    """
    return GENESIS if first_seq == 1 else Head(first_seq - 1, "", 0)


def signed_of(seq: int, line: bytes) -> Signed:
    """What the line of `seq`, which is signed, has to verify; raises `MalformedEvent`."""
    canonical_bytes, sig = split_line(line)
    return Signed(seq, canonical_bytes, sig or "")


def head_of(seq: int, line: bytes) -> Head:
    """Where a chain stands behind the line of `seq`; raises `MalformedEvent`."""
    canonical_bytes, _ = split_line(line)
    ts_ms = int(line[line.rfind(b":") + 1 : -1])
    return Head(seq, hashlib.sha256(canonical_bytes).hexdigest(), ts_ms)


def is_signed_by(public: bytes, signed: Signed) -> bool:
    """Whether the signature is by the holder of `public`."""
    try:
        sig = bytes.fromhex(signed.sig)
    except ValueError:
        return False
    return verify(public, signed.canonical, sig)


def walk_lines(walk: Walk, lines: list[bytes]) -> Damage | None:
    """Step through `lines` (a segment's, without newlines), then check the last signature.

    Returns the first event that is wrong; the walk then stands at or before its predecessor.
    """
    if walk.author != walk.keys.author:
        return Damage(walk.seq + 1, Flaw.KEY, walk.seq + 1)
    begin = walk.seq
    flaw = walk.take(lines)
    if flaw is not None:
        return blame_among(walk, flaw, lines, walk.seq - begin)
    flaw = walk.check_signature()
    if flaw is not None and walk.signed is not None:
        return Damage(walk.signed.seq, flaw, walk.proven_seq + 1)
    return None


def blame_among(walk: Walk, flaw: Flaw, lines: Sequence[bytes], at: int) -> Damage:
    """The damage behind the flaw of `lines[at]`, before which `walk` stands."""
    before = lines[at - 1] if at else None
    following = lines[at + 1] if at + 1 < len(lines) else None
    return blame(walk, flaw, lines[at], before, following)


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
        before_is_good = is_signed_by(walk.keys.signer_of(signed.seq), signed)
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
        return is_signed_by(walk.keys.signer_of(signed.seq), signed)
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
