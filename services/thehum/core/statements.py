"""What others may have this hum's key sign: statements of a closed list of kinds.

Nobody hands in bytes to be signed. Who asks names a kind and its fields; the text is built here,
and each field has its form. A text begins with a first line of its kind's own, so that no signature
over one is one over an event (`{"author":`), a checkpoint (`hum/`), a cosignature, a change of key
or the hello of a bus.

- `handshake-v1`: this is hum so-and-so, at that time; the greeting of the original;
- `handshake-v2`: the same, to one peer on one link;
- `tone-v1`: a tone whose payload has this SHA-256 is ours.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from thrum.errors import PeerError

FIELD_CHARS_MAX = 512
"""Of one field; a longer one is refused."""
NUMBER_MAX = 2**53 - 1
_HEX = re.compile(r"[0-9a-f]{64}")
_HID_OR_NONE = re.compile(r"(?:humd_[0-9a-f]{64})?")
_WORD = re.compile(r"[!-~]*")
_ROLE = re.compile(r"dialer|listener")
_CHI = re.compile(r"[a-z][a-z0-9-]*")

Form = re.Pattern[str] | None
"""How a field is written; None for an integer from 0 on."""


class NotSigned(PeerError):
    """A question for a signature that there is none for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of statement: its first line, its fields in order, and what stands between them."""

    context: str
    fields: tuple[tuple[str, Form], ...]
    separator: str = "\n"


KINDS: Mapping[str, Kind] = {
    "handshake-v1": Kind("hum-ensemble-handshake-v1", (("signed_at", None),), separator=":"),
    "handshake-v2": Kind(
        "hum-ensemble-handshake-v2",
        (
            ("role", _ROLE),
            ("peer", _HID_OR_NONE),
            ("nonce", _HEX),
            ("peer_nonce", _HEX),
            ("binding", _WORD),
            ("caps", _HEX),
            ("peer_caps", _HEX),
        ),
    ),
    "tone-v1": Kind(
        "hum-ensemble-tone-v1",
        (("chi", _CHI), ("to", _WORD), ("seq", None), ("sent_at", None), ("payload", _HEX)),
    ),
}
"""Everything there is."""


def statement_of(asked: Mapping[str, object], author: str) -> bytes:
    """The text that `asked` wants `author` to sign; raises `NotSigned`.

    `kind` and the fields of that kind must be there and nothing else.
    """
    name = asked.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise NotSigned(f"sign: kind is one of {', '.join(KINDS)}")
    wanted = {"kind", *(field for field, _ in kind.fields)}
    if asked.keys() != wanted:
        raise NotSigned(f"sign: {name} has the fields {', '.join(sorted(wanted))} and no others")
    values = [_written(field, form, asked[field]) for field, form in kind.fields]
    text = kind.separator.join([kind.context, author, *values])
    return (text if kind.separator == ":" else text + "\n").encode()


def _written(field: str, form: Form, value: object) -> str:
    if form is None:
        if type(value) is int and 0 <= value <= NUMBER_MAX:
            return str(value)
        raise NotSigned(f"sign: {field} is an integer from 0 to {NUMBER_MAX}")
    if type(value) is not str or len(value) > FIELD_CHARS_MAX or not form.fullmatch(value):
        raise NotSigned(f"sign: {field} has another form: {form.pattern}")
    return value
