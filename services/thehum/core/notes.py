"""Checkpoints: what a log was at some size, as a signed note.

The forms are those of C2SP: `signed-note` and `tlog-checkpoint`.

    hum/humd_<64 hex>/<epoch>           origin: whose log, which life of it
    <size>                              how many events, in decimal
    <base64 of 32 bytes>                the root of the Merkle tree over their hashes

    — hum/humd_<64 hex>/<epoch> <base64 of 4 bytes of key id and 64 of Ed25519>

The text up to and with its last newline is signed. It begins with `hum/` and ends in a newline, the
canonical bytes of an event begin with `{` and end in `}`: no signature over one is one over the
other, though the same key makes both. Signatures by others below the text are passed over.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

from thehum.core.keys import KeyChain, KeyEvents
from thrum.errors import PeerError
from thrum.ids import hid_of
from thrum.keys import SIGNATURE_BYTES, SigningKey, verify
from thrum.merkle import HASH_BYTES, LEAVES_MAX

NOTE_CHARS_MAX = 16 * 1024
"""A longer text is no note."""
EPOCH = 1
"""The first life of a log. An owner who goes on from an older copy begins the next."""
_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_ORIGIN = re.compile(r"hum/(humd_[0-9a-f]{64})/([1-9][0-9]{0,8})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class BadNote(PeerError):
    """Text that is not a note signed by who it should be, or not a checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` events of the log `origin` have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @property
    def author(self) -> str:
        """Whose log it is."""
        return self.origin.split("/")[1]

    @property
    def epoch(self) -> int:
        """Which life of that log."""
        return epoch_of(self.origin)


def epoch_of(name: str) -> int:
    """Which life of a log its origin names."""
    return int(name.rpartition("/")[2])


def origin(author: str, epoch: int = EPOCH) -> str:
    """The name of a log, and of the key that signs its checkpoints."""
    return f"hum/{author}/{epoch}"


def key_id(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    """Four bytes that tell which key made a signature."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:_KEY_ID_BYTES]


def signature_line(name: str, key: bytes, payload: bytes) -> str:
    """One line below a note; `key` is the key id."""
    return f"— {name} {b64encode(key + payload).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The note: the checkpoint's text and the signature of the log's own key."""
    name, text = checkpoint.origin, checkpoint.text
    return f"{text}\n" + signature_line(name, key_id(name, key.public), key.sign(text.encode()))


def open_note(note: str, *, name: str, public: bytes) -> str:
    """The text of `note`, once it is known that `name` signed it with the key of `public`.

    Raises `BadNote`, also when a second signature of that key is wrong.
    """
    text, signatures = split_note(note)
    wanted, is_signed = key_id(name, public), False
    for signer, payload in signatures:
        if (signer, payload[:_KEY_ID_BYTES]) == (name, wanted):
            sig = payload[_KEY_ID_BYTES:]
            if len(sig) != SIGNATURE_BYTES or not verify(public, text.encode(), sig):
                raise BadNote(f"the signature of {name[:120]} does not verify")
            is_signed = True
    if not is_signed:
        raise BadNote(f"no signature by the key of {name[:120]}")
    return text


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note, and name and payload of each signature. Checks none of them."""
    if len(note) > NOTE_CHARS_MAX or _CONTROL.search(note):
        raise BadNote("not a signed note: too long, or with control characters")
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise BadNote("not a signed note: no signatures below an empty line")
    try:
        text.encode()
        return text + "\n", [_signature(line) for line in below[:-1].split("\n")]
    except (NotBase64, UnicodeEncodeError) as problem:
        raise BadNote(f"not a signed note: {problem}") from problem


def _signature(line: str) -> tuple[str, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise BadNote("not a signed note: a line below the text is no signature")
    return match[1], b64decode(match[2], validate=True)


def open_checkpoint(note: str, *, public: bytes, later: KeyEvents = ()) -> Checkpoint:
    """The checkpoint that `note` holds, signed by the log it is about; raises `BadNote`.

    That log is the one whose first key is `public`, at whatever epoch; `later` is what is known of
    its keys since. A key signs for no log that is long enough to hold the event that replaced it.
    """
    checkpoint = read_checkpoint(split_note(note)[0])
    if checkpoint.author != str(hid_of("humd", public)):
        raise BadNote(f"a checkpoint of {checkpoint.author}, whose key is another one")
    allowed = KeyChain(public, later).may_sign(checkpoint.size)
    name, signers = checkpoint.origin, {payload[:_KEY_ID_BYTES] for _, payload in _below(note)}
    signing = [key for key in allowed if key_id(name, key) in signers]
    open_note(note, name=name, public=(signing or allowed)[-1])
    return checkpoint


def _below(note: str) -> list[tuple[str, bytes]]:
    return split_note(note)[1]


def read_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint of a hum; raises `BadNote`. Lines behind the root are refused.

    Whether it is genuine is for `open_checkpoint`.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _ORIGIN.fullmatch(lines[0]):
        raise BadNote("not a checkpoint of a hum")
    try:
        root = b64decode(lines[2], validate=True)
    except ValueError as problem:
        raise BadNote(f"not a checkpoint: {problem}") from problem
    if not _SIZE.fullmatch(lines[1]) or int(lines[1]) > LEAVES_MAX or len(root) != HASH_BYTES:
        raise BadNote("not a checkpoint: its size or root is malformed")
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    if checkpoint.text != text:
        raise BadNote("not a checkpoint: its root is not in canonical base64")
    return checkpoint
