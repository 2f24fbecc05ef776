"""Records of the state as JSON values and back, each field by its type.

A field that is added to a record is written and read without any word here, as long as its type is
one of those below; any other type is refused when this module's user is imported. A field that has
its default is left out, so the value of a record is the same whoever made it.
"""

import base64
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

from humd.core.arrivals import Arrival
from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.tones import Body

Prompts = Mapping[int, Arrival]
"""Events that a state refers to by seq, because their bodies stay in the log."""
T = TypeVar("T")
_PACKED = "@msgpack"
"""The one key of a value that JSON cannot express."""


class _Codec(NamedTuple):
    """How one type of field is copied, written and read."""

    copy: Callable[[Any], Any] | None
    """For what may change after the state was frozen."""
    write: Callable[[Any], Any] | None
    """None for what JSON has itself."""
    read: Callable[[Any, Prompts], Any]


class Record(Generic[T]):
    """Writes and reads the records of one dataclass."""

    def __init__(self, kind: type[T]) -> None:
        """Look at the fields. Raises `TypeError` for a type that nobody here can write."""
        self._kind = kind
        hints = get_type_hints(kind)
        self._names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        self._codecs = [_codec(kind, name, hints[name]) for name in self._names]
        self._get = attrgetter(*self._names)
        self._copied = [(at, c.copy) for at, c in enumerate(self._codecs) if c.copy]
        self._written = [(at, c.write) for at, c in enumerate(self._codecs) if c.write]
        self._defaults = [_default(field, codec) for field, codec in self._pairs()]
        self.schema = [kind.__name__, *(f"{name}:{hints[name]}" for name in self._names)]
        """Changes whenever a record of today could be misread later."""

    def _pairs(self) -> list[tuple["Field[Any]", _Codec]]:
        return list(zip(fields(self._kind), self._codecs, strict=True))  # type: ignore[arg-type]

    def freeze(self, record: T) -> tuple[Any, ...]:
        """What the record holds now; later changes to it do not show."""
        held: tuple[Any, ...] = self._get(record)
        if self._copied:
            copied = list(held)
            for at, copy in self._copied:
                copied[at] = copy(copied[at])
            return tuple(copied)
        return held

    def write(self, frozen: tuple[Any, ...]) -> Body:
        """The JSON value of a frozen record."""
        held = list(frozen)
        for at, write in self._written:
            held[at] = write(held[at])
        return {
            name: value
            for name, value, default in zip(self._names, held, self._defaults, strict=True)
            if value != default or type(value) is not type(default)
        }

    def read(self, value: Body, prompts: Prompts) -> T:
        """The record. Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
        known = zip(self._names, self._codecs, strict=True)
        return self._kind(
            **{name: codec.read(value[name], prompts) for name, codec in known if name in value}
        )


def _default(field: "Field[Any]", codec: _Codec) -> Any:
    """What a field is written as when nobody has set it; a unique object when it has no default."""
    if field.default is MISSING and field.default_factory is MISSING:
        return object()
    made = field.default if field.default_factory is MISSING else field.default_factory()
    made = codec.copy(made) if codec.copy else made
    return codec.write(made) if codec.write else made


def _codec(kind: type, name: str, hint: object) -> _Codec:
    try:
        return _CODECS[hint]
    except KeyError as problem:
        raise TypeError(
            f"{kind.__name__}.{name}: no way to write {hint} into a snapshot; add one to "
            "humd.core.records"
        ) from problem


def _as_is(value: Any, _: Prompts) -> Any:
    return value


def write_value(value: Any) -> Any:
    """A value from a tone's body as JSON can hold it."""
    try:
        dumps(value)
    except NotCanonical:
        return {_PACKED: base64.b64encode(frames.pack_body({"value": value})).decode()}
    return value


def read_value(value: Any) -> Any:
    """The value that `write_value` was given."""
    if type(value) is dict and value.keys() == {_PACKED}:
        return frames.read_body(base64.b64decode(value[_PACKED]))["value"]
    return value


def _pairs_of(held: Any) -> list[list[Any]]:
    return [[key, value] for key, value in held]


_PLAIN = _Codec(None, None, _as_is)
_ORDERED = _Codec(lambda held: tuple(held.items()), _pairs_of, lambda value, _: dict(value))
"""As pairs: the order of these is the order in which somebody is told."""
_CODECS: dict[object, _Codec] = {
    **dict.fromkeys((str, int, bool, str | None, int | None, bool | None), _PLAIN),
    tuple[str, ...]: _Codec(None, list, lambda value, _: tuple(value)),
    frozenset[str]: _Codec(None, sorted, lambda value, _: frozenset(value)),
    Body: _Codec(None, write_value, lambda value, _: read_value(value)),
    tuple[Body, ...]: _Codec(
        None, lambda held: write_value(list(held)), lambda value, _: tuple(read_value(value))
    ),
    **dict.fromkeys((dict[str, str], dict[str, int], dict[str, bool]), _ORDERED),
    deque[Arrival]: _Codec(
        lambda held: tuple(arrival.seq for arrival in held),
        list,
        lambda value, prompts: deque(prompts[seq] for seq in value),
    ),
}
