"""Values of the state as JSON and back, by their types.

A field that is added to a record of the state is written and read without any word here, as long
as its type is built of those below; any other type is refused when this module's user is imported.
A field that has its default is left out of a record.

`copy` is for what may change while the rest of the state is still being written: it is quick, and
what it returns is never changed. Three kinds of value are taken as they are because nobody changes
one once it is there: what a tone's body held, named tuples and frozen records.
"""

import base64
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from humd.core.arrivals import Arrival
from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.tones import Body

Prompts = Mapping[int, Arrival]
"""Events that a state refers to by seq, because their bodies stay in the log."""
Change = Callable[[Any], Any]
_PACKED = "@msgpack"
"""The one key of a value that JSON cannot express."""
_PLAIN: frozenset[object] = frozenset({str, int, bool, NoneType})
_MAYBE_ODD: frozenset[object] = _PLAIN | {float}
"""A float may be one that JSON does not have."""


class Codec(NamedTuple):
    """How values of one type are copied, written and read."""

    read: Callable[[Any, Prompts], Any]
    copy: Change | None = None
    """None when there is nothing to copy."""
    write: Change | None = None
    """None when the copy is its JSON value already."""
    schema: str = ""
    """Names the type, and those it is built of."""


def codec_of(hint: Any) -> Codec:
    """The codec of a type. Raises `TypeError` for one that nobody can write."""
    origin, args = get_origin(hint), get_args(hint)
    kinds = frozenset(args if origin is UnionType else (hint,))
    if kinds <= _PLAIN:
        made = Codec(_as_is)
    elif kinds <= _MAYBE_ODD or hint == Body:
        made = Codec(_read_odd, write=write_odd)
    elif hint is Arrival:
        made = Codec(lambda seq, prompts: prompts[seq], copy=attrgetter("seq"))
    elif origin is UnionType and len(args) == 2 and NoneType in args:
        made = _optional(codec_of(args[0] if args[1] is NoneType else args[1]))
    elif origin in (dict, OrderedDict):
        made = mapping(origin, *args)
    elif origin in (set, frozenset):
        made = Codec(lambda value, _: origin(value), copy=sorted)
    elif origin in (list, deque) or (origin is tuple and args[1:] == (...,)):
        made = _sequence(origin, codec_of(args[0]))
    elif origin is tuple:
        made = Codec(lambda value, _: tuple(value), write=list)
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        made = Codec(lambda value, _: hint(value), write=str)
    elif isinstance(hint, type) and is_dataclass(hint):
        made = _record(hint)
    elif isinstance(hint, type) and issubclass(hint, tuple):
        made = Codec(lambda value, _: hint(*value), write=list)
    else:
        raise TypeError(f"no way to write {hint} into a snapshot: humd.core.records needs one")
    return made._replace(schema=made.schema or str(hint))


def write_odd(value: Any) -> Any:
    """A value of a tone's body as JSON can hold it."""
    try:
        dumps(value)
    except NotCanonical:
        return {_PACKED: base64.b64encode(frames.pack_body({"value": value})).decode()}
    return value


def _read_odd(value: Any, _: Prompts) -> Any:
    if type(value) is dict and value.keys() == {_PACKED}:
        return frames.read_body(base64.b64decode(value[_PACKED]))["value"]
    return value


def _as_is(value: Any, _: Prompts) -> Any:
    return value


def _optional(some: Codec) -> Codec:
    def unless_none(change: Change | None) -> Change | None:
        return change and (lambda value: None if value is None else change(value))

    return Codec(
        lambda value, prompts: None if value is None else some.read(value, prompts),
        unless_none(some.copy),
        unless_none(some.write),
        some.schema,
    )


def _sequence(origin: Any, item: Codec) -> Codec:
    copy, write = item.copy, item.write
    return Codec(
        lambda value, prompts: origin(item.read(one, prompts) for one in value),
        list if copy is None else (lambda value: list(map(copy, value))),
        write and (lambda value: list(map(write, value))),
        f"{origin.__name__} of {item.schema}",
    )


def mapping(origin: Any, key_hint: Any, value_hint: Any) -> Codec:
    """As pairs, or as keys where there are no values: their order often decides something."""
    if value_hint in (None, NoneType):
        return Codec(lambda value, _: origin.fromkeys(value), copy=list)
    key, item = codec_of(key_hint), codec_of(value_hint)
    copy, write_key, write = item.copy, key.write or _same, item.write or _same
    return Codec(
        lambda value, prompts: origin(
            (key.read(name, prompts), item.read(one, prompts)) for name, one in value
        ),
        (lambda value: list(value.items()))
        if copy is None
        else (lambda value: [(name, copy(one)) for name, one in value.items()]),
        lambda pairs: [[write_key(name), write(one)] for name, one in pairs],
        f"{origin.__name__} of {key.schema} to {item.schema}",
    )


def _same(value: Any) -> Any:
    return value


def _record(kind: Any) -> Codec:
    """The fields of a dataclass by name; those that have their default are left out."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    codecs = [_field_codec(kind, name, hints[name]) for name in names]
    copies = [(at, codec.copy) for at, codec in enumerate(codecs) if codec.copy]
    writes = [(at, codec.write) for at, codec in enumerate(codecs) if codec.write]
    defaults = [_default(*pair) for pair in zip(fields(kind), codecs, strict=True)]
    readers = {name: codec.read for name, codec in zip(names, codecs, strict=True)}
    get = attrgetter(*names)

    def copy(record: Any) -> list[Any]:
        held = list(get(record))
        for at, change in copies:
            held[at] = change(held[at])
        return held

    def write(copied: list[Any]) -> Body:
        held = copied[:]
        for at, change in writes:
            held[at] = change(held[at])
        named = zip(names, held, defaults, strict=True)
        return {name: value for name, value, default in named if not _is_same(value, default)}

    def read(value: Body, prompts: Prompts) -> Any:
        return kind(**{name: readers[name](held, prompts) for name, held in value.items()})

    schema = [f"{name}: {codec.schema}" for name, codec in zip(names, codecs, strict=True)]
    return Codec(read, copy, write, f"{kind.__name__}({', '.join(schema)})")


def _is_same(value: Any, default: Any) -> bool:
    return bool(value == default) and type(value) is type(default)


def _field_codec(kind: Any, name: str, hint: Any) -> Codec:
    try:
        return codec_of(hint)
    except TypeError as problem:
        raise TypeError(f"{kind.__name__}.{name}: {problem}") from problem


def _default(field: "Field[Any]", codec: Codec) -> Any:
    """What a field is written as when nobody has set it; nothing equals it when it must be set."""
    if field.default is MISSING and field.default_factory is MISSING:
        return object()
    made = field.default if field.default_factory is MISSING else field.default_factory()
    made = codec.copy(made) if codec.copy else made
    return codec.write(made) if codec.write else made
