"""Which texts are secrets: by the name they stand under, and by their value.

One rule for what a process says about itself and for what goes into the log. `is_secret_name` is
strict and fits records that we write ourselves. In what others write, `key` and `token` are
ordinary words, so `is_secret` looks at the value too.
"""

import re
from collections.abc import Iterable
from typing import Any

SECRET_CHARS_MIN = 8
"""A shorter value is not cut out: it would hit ordinary words."""
REDACTED = "[redacted]"
DEPTH_MAX = 300
"""Levels of a body that are looked through; deeper ones are cut off."""

_WORDS = (
    "key", "token", "secret", "seed", "authorization", "password", "passwd", "passphrase",
    "cookie", "credential",
)  # fmt: skip
_NAME = re.compile(rf"(?:^|[_.-])(?:api_?key|{'|'.join(_WORDS)})s?$")
_AMBIGUOUS = re.compile(r"(?:^|[_.-])(?:key|token|seed|cookie)s?$")
_ALWAYS = re.compile(
    r"(?:^|[_.-])(?:api|access|auth|private|secret|session|refresh|bearer|id|signing|csrf|set)"
    r"[_.-]?(?:key|token|seed|cookie)s?$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LOOKS_RANDOM = re.compile(r"(?=[^\s]{16,}\Z)(?=.*[0-9])(?=.*[A-Za-z])")
_STEMS = tuple(word.encode() for word in _WORDS)
_TEXT_FOLLOWS = frozenset((*range(0xA1, 0xC0), 0xD9, 0xDA, 0xDB))
"""First bytes of a text in msgpack."""
_STEM_HITS_MAX = 64
"""Words that look like a name and are none; after so many the whole body is looked through."""


def _plain(name: str) -> str:
    return _CAMEL.sub("_", name).lower()


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is not to be shown: `api_key`, `accessToken`, `x-api-key`."""
    return _NAME.search(_plain(name)) is not None


def is_secret(name: str, value: object) -> bool:
    """Whether the text `value` under `name` is a secret that somebody else wrote.

    Under a name that says it (`password`, `api_key`) any text is; under an ambiguous one (`key`,
    `token`) only what looks random: 16 characters and more, no space, letters and digits.
    """
    if type(value) is not str or not value:
        return False
    plain = _plain(name)
    if _NAME.search(plain) is None:
        return False
    if _AMBIGUOUS.search(plain) is None or _ALWAYS.search(plain) is not None:
        return True
    return _LOOKS_RANDOM.match(value) is not None


def may_hold_names(packed: bytes) -> bool:
    """Whether a run of msgpack may hold a text under a secret's name. Cheap, and never misses."""
    lower, end, hits = packed.lower(), len(packed), 0
    for stem in _STEMS:
        at = lower.find(stem)
        while at >= 0:
            after = at + len(stem)
            if after < end and lower[after] == 0x73:  # an `s`
                after += 1
            if after < end and packed[after] in _TEXT_FOLLOWS:
                return True
            hits += 1
            if hits > _STEM_HITS_MAX:
                return True
            at = lower.find(stem, at + 1)
    return False


def without_named(value: Any, *, depth: int = DEPTH_MAX) -> Any:
    """A copy of `value` with the text under every secret's name replaced."""
    if depth == 0:
        return REDACTED
    if type(value) is dict:
        return {
            name: REDACTED
            if type(name) is str and is_secret(name, item)
            else without_named(item, depth=depth - 1)
            for name, item in value.items()
        }
    if type(value) is list:
        return [without_named(item, depth=depth - 1) for item in value]
    return value


class KnownSecrets:
    """Values that must not be written. They are overwritten in place, so lengths stay."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take those of `values` that are long enough to be no ordinary word."""
        known = {value.encode() for value in values if len(value) >= SECRET_CHARS_MIN}
        self._masks = tuple((value, b"*" * len(value)) for value in sorted(known, key=len)[::-1])

    def __len__(self) -> int:
        return len(self._masks)

    def mask(self, data: bytes) -> bytes:
        """`data` with every known value replaced by as many asterisks."""
        for value, mask in self._masks:
            if value in data:
                data = data.replace(value, mask)
        return data
