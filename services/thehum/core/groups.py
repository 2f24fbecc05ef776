"""Commit groups: what is written with one write, made durable with one sync and signed once."""

import hashlib
from binascii import hexlify
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from thehum.core.bodies import Draft
from thehum.core.events import SIG_NULL, Head, closing, opening
from thrum.keys import SigningKey


class Signing(StrEnum):
    """Which events carry a signature."""

    GROUP = "group"
    """The last of each commit group; it covers the others."""
    EVERY = "every"
    """All, for those who show single events to others."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that become durable together. `head` is where the chain stands once they are."""

    data: bytes
    first_seq: int
    head: Head


class GroupBuilder:
    """Chains drafts behind `head`. `add` as often as there are batches, `seal` once."""

    def __init__(
        self, author: str, key: SigningKey, head: Head, *, signing: Signing = Signing.GROUP
    ) -> None:
        self._opening = opening(author)
        self._key = key
        self._sign_all = signing is Signing.EVERY
        self._first_seq = head.seq + 1
        self._seq, self._hash, self._ts_ms = head.seq, head.hash.encode(), head.ts_ms
        self._lines: list[bytes] = []
        self._last = b""
        self.size = 0
        """Bytes so far."""

    @property
    def next_seq(self) -> int:
        """The seq that the next draft gets."""
        return self._seq + 1

    def add(self, drafts: Iterable[Draft], at_ms: int) -> None:
        """Give the drafts the next seqs and the time `at_ms`, or the last event's if later."""
        self._ts_ms = max(at_ms, self._ts_ms)
        start, end = self._opening, closing(self._ts_ms)
        inner_end = SIG_NULL + end + b"\n"
        previous, seq, last = self._hash, self._seq, self._last
        lines: list[bytes] = []
        for before_hash, before_seq, after_seq in drafts:
            seq += 1
            last = b"%b%b%b%b%d%b" % (start, before_hash, previous, before_seq, seq, after_seq)
            previous = hexlify(hashlib.sha256(last + end).digest())
            lines.append(self._signed(last, end) if self._sign_all else last + inner_end)
        self._hash, self._seq, self._last = previous, seq, last
        self._lines += lines
        self.size += sum(map(len, lines))

    def seal(self) -> Group:
        """Sign the last event and return the group, which has at least one."""
        self._lines[-1] = self._signed(self._last, closing(self._ts_ms))
        head = Head(self._seq, self._hash.decode(), self._ts_ms)
        return Group(b"".join(self._lines), self._first_seq, head)

    def _signed(self, before: bytes, end: bytes) -> bytes:
        sig = hexlify(self._key.sign(before + end))
        return b'%b,"sig":"%b"%b\n' % (before, sig, end)
