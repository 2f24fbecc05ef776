"""Which key signs a log, and which one comes after it.

A log is named by its first key, for ever. Two events of the log itself say how that goes on:

- `key-commit`: `pubkey` is the key that signs now, `next` the SHA-256 of the next one;
- `key-rotate`: `pubkey` is the next key, `next` the SHA-256 of the one after, and `sig` the next
  key's signature over `statement`. The event itself is signed by the key before.

`key-commit` is the first event of a log (one that was begun without gets it later), and there is
one. So who steals the key that signs cannot change it: for that he needs the next one too, whose
hash stands in the log since before the theft. Each is signed by itself and ends its commit group;
what comes behind a `key-rotate` is signed by the key that it names, and nothing of the key before
counts there any more.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from thehum.core.bodies import Draft
from thehum.core.events import MalformedEvent, read_event, split_line
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.errors import PeerError
from thrum.ids import hid_of
from thrum.keys import PUBLIC_BYTES, SigningKey, verify

CONTEXT = "hum-key-rotate-v1"
"""First line of what the next key signs, so that the signature serves no other purpose."""
KEY_CHIS = (f',"chi":"{Chi.KEY_COMMIT}"'.encode(), f',"chi":"{Chi.KEY_ROTATE}"'.encode())
"""How a line of such an event ends before its `prev_hash`."""
_DRAFT_ENDS = tuple(chi + b',"prev_hash":"' for chi in KEY_CHIS)
ROTATIONS_MAX = 10_000
"""Changes of key that one log may have."""


class BadKeyEvent(PeerError):
    """An event that says which key signs, and may not say so."""


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A `key-commit` or `key-rotate` of a log."""

    seq: int
    public: bytes
    """The key that signs what is behind this event."""
    next_hash: str
    """SHA-256 of the key that comes after it, in hex."""
    line: bytes
    """As it is stored, without the newline."""


KeyEvents = tuple[KeyEvent, ...]


@dataclass(frozen=True, slots=True)
class KeyChain:
    """The keys of a log: the first one, and the events that say how it went on, ascending."""

    first: bytes
    events: KeyEvents = ()

    @property
    def author(self) -> str:
        """The name of the log."""
        return str(hid_of("humd", self.first))

    @property
    def public(self) -> bytes:
        """The key that signs now."""
        return self.events[-1].public if self.events else self.first

    @property
    def next_hash(self) -> str | None:
        """SHA-256 of the key that comes next; None while nobody said."""
        return self.events[-1].next_hash if self.events else None

    @property
    def lines(self) -> list[str]:
        """What `read_chain` reads."""
        return [event.line.decode() for event in self.events]

    @property
    def is_rotated(self) -> bool:
        """Whether the first key does not sign any more."""
        return self.public != self.first

    def upto(self, seq: int) -> "KeyChain":
        """The keys as far as the events up to `seq` say."""
        if not self.events or self.events[-1].seq <= seq:
            return self
        return replace(self, events=tuple(event for event in self.events if event.seq <= seq))

    def signer_of(self, seq: int) -> bytes:
        """The key that signs event `seq`."""
        return self.upto(seq - 1).public

    def may_sign(self, size: int) -> list[bytes]:
        """The keys whose checkpoints of `size` events count: the one then, and every later one."""
        publics = [self.first, *(event.public for event in self.events)]
        ends = [*(event.seq for event in self.events), size + 1]
        return [public for public, end in zip(publics, ends, strict=True) if size < end]

    def continues(self, other: "KeyChain") -> bool:
        """Whether these are the keys of the same log, as far as `other` goes and maybe further."""
        return self.first == other.first and self.events[: len(other.events)] == other.events

    def grown(self, line: bytes) -> "KeyChain":
        """The keys behind one more event (without newline) of this log; raises `BadKeyEvent`."""
        try:
            event = read_event(line)
            canonical, sig = split_line(line)
            body = orjson.loads(event.body)
            public, next_hash = bytes.fromhex(body["pubkey"]), bytes.fromhex(body["next"]).hex()
        except (MalformedEvent, KeyError, TypeError, ValueError) as problem:
            raise BadKeyEvent(f"not an event about keys: {str(problem)[:120]}") from problem
        if event.author != self.author:
            raise BadKeyEvent("it is about the keys of another log")
        if sig is None or not verify(self.public, canonical, bytes.fromhex(sig)):
            raise BadKeyEvent("the key that signed until then did not sign it")
        if len(public) != PUBLIC_BYTES or len(next_hash) != 2 * PUBLIC_BYTES:
            raise BadKeyEvent("a key or the hash of one has another length")
        if event.chi == Chi.KEY_COMMIT:
            if self.events or public != self.public:
                raise BadKeyEvent("the log said before which key comes next")
        elif event.chi == Chi.KEY_ROTATE:
            self._may_follow(public, next_hash, body.get("sig"))
        else:
            raise BadKeyEvent("not an event about keys")
        made = KeyEvent(event.seq, public, next_hash, line)
        return replace(self, events=(*self.events, made))

    def _may_follow(self, public: bytes, next_hash: str, sig: object) -> None:
        if self.next_hash is None or hash_of_key(public) != self.next_hash:
            raise BadKeyEvent("the log did not say before that this key comes next")
        if len(self.events) > ROTATIONS_MAX:
            raise BadKeyEvent(f"more than {ROTATIONS_MAX} keys")
        said = statement(self.author, self.public, public, next_hash)
        if type(sig) is not str or not verify(public, said, _hex(sig)):
            raise BadKeyEvent("the next key did not sign it")


def read_chain(first: bytes, lines: Iterable[object]) -> KeyChain:
    """The keys of the log whose first key is `first`, by its events; raises `BadKeyEvent`."""
    chain = KeyChain(first)
    for line in lines:
        if type(line) is not str:
            raise BadKeyEvent("not an event about keys")
        chain = chain.grown(line.encode())
        if len(chain.events) > 1 and chain.events[-1].seq <= chain.events[-2].seq:
            raise BadKeyEvent("events about keys that are not in order")
    return chain


def chain_in(fields: object, first: bytes) -> KeyChain:
    """The keys that an object names in `keys`, which may be missing; raises `BadKeyEvent`."""
    lines = fields.get("keys", []) if isinstance(fields, dict) else []
    if type(lines) is not list or len(lines) > ROTATIONS_MAX:
        raise BadKeyEvent("keys are an array of events")
    return read_chain(first, lines)


def may_name_keys(parcels: bytes) -> bool:
    """Whether a run of parcels can hold an event about keys. Cheap, and never misses one."""
    return b"key-" in parcels


def is_key_draft(one: Draft) -> bool:
    """Whether a draft is that of an event about keys."""
    return one[0].endswith(_DRAFT_ENDS)


def body_of(one: Draft) -> dict[str, object]:
    """The body in the draft of an event about keys."""
    before = one[0].removesuffix(_DRAFT_ENDS[0]).removesuffix(_DRAFT_ENDS[1])
    body: dict[str, object] = orjson.loads(before)
    return body


def is_key_line(line: bytes) -> bool:
    """Whether a stored line is an event about keys. Looks at its end only."""
    return line.endswith(KEY_CHIS, 0, max(line.rfind(b',"prev_hash":"'), 0))


def hash_of_key(public: bytes) -> str:
    """What the log says of a key before it shows it."""
    return hashlib.sha256(public).hexdigest()


def statement(author: str, before: bytes, public: bytes, next_hash: str) -> bytes:
    """What the next key signs when it takes over."""
    return f"{CONTEXT}\n{author}\n{before.hex()}\n{public.hex()}\n{next_hash}\n".encode()


def commit_body(key: SigningKey, next_public: bytes) -> bytes:
    """The body of a `key-commit`."""
    return dumps({"next": hash_of_key(next_public), "pubkey": key.public.hex()})


def rotate_body(
    author: str, before: bytes, key: SigningKey, following_public: bytes
) -> dict[str, object]:
    """The body of a `key-rotate` to `key`, after which `following_public` comes."""
    next_hash = hash_of_key(following_public)
    sig = key.sign(statement(author, before, key.public, next_hash))
    return {"next": next_hash, "pubkey": key.public.hex(), "sig": sig.hex()}


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
