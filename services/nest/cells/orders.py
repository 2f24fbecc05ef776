"""What a guard is told: a program and how to run it, as bytes on a pipe.

The standard library only, and no format that runs code or nests. An order is a number of fields,
each a length and its bytes; a list is a count followed by its fields.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from os import fsdecode, fsencode

ORDER_BYTES_MAX = 4 * 1024 * 1024
"""Longest order; the kernel takes about half of that as arguments and environment."""

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One program to run. Texts are file names or arguments: no NUL in them."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """All of its environment."""
    cwd: str = "/"
    limits: Mapping[int, int] = field(default_factory=dict)
    """Resource (`resource.RLIMIT_...`) to the most of it: soft and hard limit, before anything
    runs. A limit that the system does not take is left as it is."""
    makes_namespace: bool = True
    """Whether the guard makes a pid namespace; not when whoever starts it did so already."""

    def to_bytes(self) -> bytes:
        """The order as one field."""
        fields = [
            *_listed(self.argv),
            *_listed(f"{name}={value}" for name, value in self.env.items()),
            self.cwd,
            *_listed(f"{resource}={most}" for resource, most in self.limits.items()),
            str(int(self.makes_namespace)),
        ]
        return _packed(b"".join(_packed(fsencode(text)) for text in fields))

    @classmethod
    def read(cls, read: Callable[[int], bytes]) -> "Order":
        """Read one order; raises `ValueError` when that is not what comes."""
        length = _LENGTH.unpack(_exactly(read, _LENGTH.size))[0]
        if length > ORDER_BYTES_MAX:
            raise ValueError(f"an order of {length} bytes")
        fields = _Fields(_exactly(read, length))
        return cls(
            argv=tuple(fields.listed()),
            env=dict(_pair(text) for text in fields.listed()),
            cwd=fields.next(),
            limits={int(name): int(most) for name, most in map(_pair, fields.listed())},
            makes_namespace=fields.next() == "1",
        )


class _Fields:
    """The fields of an order, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def next(self) -> str:
        start = self._at + _LENGTH.size
        if start > len(self._content):
            raise ValueError("an order that ends early")
        self._at = start + _LENGTH.unpack_from(self._content, self._at)[0]
        if self._at > len(self._content):
            raise ValueError("an order that ends early")
        return fsdecode(self._content[start : self._at])

    def listed(self) -> list[str]:
        return [self.next() for _ in range(int(self.next()))]


def _listed(texts: Iterable[str]) -> list[str]:
    items = list(texts)
    return [str(len(items)), *items]


def _packed(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    content = b""
    while len(content) < length:
        part = read(length - len(content))
        if not part:
            raise ValueError("an order that ends early")
        content += part
    return content
