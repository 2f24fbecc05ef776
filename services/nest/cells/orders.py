"""What a guard is told: a program and how to run it, as bytes on a pipe.

The standard library only, and no format that runs code or nests. An order is a number of fields,
each a length and its bytes; a list is a count followed by its fields.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from os import fsdecode, fsencode

ORDER_BYTES_MAX = 4 * 1024 * 1024
"""Longest order; the kernel takes about half of that as arguments and environment."""

ABSENT = -1
"""The inode of what must not be there."""

_LENGTH = struct.Struct("<I")


class _Record:
    """Fields that are compared. A guard starts for every command: `dataclasses` costs it 20 ms."""

    __hash__ = None  # type: ignore[assignment] # the fields may change

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)


class Pinned(_Record):
    """What must stand at a path from when the walls go up, or nothing runs any more."""

    def __init__(
        self, *, path: str, device: int = 0, inode: int = 0, is_read_only: bool = True
    ) -> None:
        self.path = path
        self.device = device
        self.inode = inode
        """0: whatever it is; `ABSENT`: nothing may be there."""
        self.is_read_only = is_read_only


class Walls(_Record):
    """What a guard puts around itself and the program: all that is asked for, or nothing runs."""

    def __init__(
        self,
        *,
        has_landlock: bool = False,
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
        has_filter: bool = False,
        groups: tuple[int, ...] = (),
        pinned: tuple[Pinned, ...] = (),
        port: int = 0,
        socket: str = "",
    ) -> None:
        self.has_landlock = has_landlock
        self.reads = reads
        """Folders and files for reading and running: all that Landlock leaves beside `writes`."""
        self.writes = writes
        self.has_filter = has_filter
        """Whether a filter of system calls must be in force already."""
        self.groups = groups
        """Inherited handles of `cgroup.procs` files to join."""
        self.pinned = pinned
        self.port = port
        """A port of the loopback that leads to `socket`; 0 for none, and then no TCP at all."""
        self.socket = socket


class Order(_Record):
    """One program to run. Texts are file names or arguments: no NUL in them."""

    def __init__(
        self,
        *,
        argv: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        limits: Mapping[int, int] | None = None,
        makes_namespace: bool = True,
        walls: Walls | None = None,
    ) -> None:
        self.argv = argv
        self.env = env or {}
        """All of its environment."""
        self.cwd = cwd
        self.limits = limits or {}
        """Resource (`resource.RLIMIT_...`) to the most of it: soft and hard limit, before anything
        runs. A limit that the system does not take is left as it is."""
        self.makes_namespace = makes_namespace
        """Whether the guard makes a pid namespace; not when whoever starts it did so already."""
        self.walls = walls or Walls()

    def to_bytes(self) -> bytes:
        """The order as one field."""
        fields = [
            *_listed(self.argv),
            *_listed(f"{name}={value}" for name, value in self.env.items()),
            self.cwd,
            *_listed(f"{resource}={most}" for resource, most in self.limits.items()),
            str(int(self.makes_namespace)),
            *_walls(self.walls),
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
            walls=_read_walls(fields),
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


def _walls(walls: Walls) -> list[str]:
    return [
        str(int(walls.has_landlock)),
        *_listed(walls.reads),
        *_listed(walls.writes),
        str(int(walls.has_filter)),
        *_listed(map(str, walls.groups)),
        *_listed(
            f"{one.device}={one.inode}={int(one.is_read_only)}={one.path}" for one in walls.pinned
        ),
        str(walls.port),
        walls.socket,
    ]


def _read_walls(fields: _Fields) -> Walls:
    return Walls(
        has_landlock=fields.next() == "1",
        reads=tuple(fields.listed()),
        writes=tuple(fields.listed()),
        has_filter=fields.next() == "1",
        groups=tuple(map(int, fields.listed())),
        pinned=tuple(map(_read_pinned, fields.listed())),
        port=int(fields.next()),
        socket=fields.next(),
    )


def _read_pinned(text: str) -> Pinned:
    device, inode, is_read_only, path = text.split("=", 3)
    return Pinned(path=path, device=int(device), inode=int(inode), is_read_only=is_read_only == "1")


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
