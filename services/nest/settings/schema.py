"""Closed settings: frozen dataclasses read from JSON; the JSON Schema drawn from the same classes.

- A field's JSON name is its name in camelCase, or `metadata={"json": ...}`.
- A field has a default; a missing key takes it. An unknown key is a violation, at every level.
- Types: `bool`, `int`, `str`, `Literal`, `X | None`, `tuple[X, ...]`, another such dataclass.
- Bounds ride along as `Annotated[int, Range(...)]` or `Annotated[str, Text(...)]`.
- Nothing stops at the first violation: the caller gets all of them, each with its path.
"""

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

S = TypeVar("S")

SHOWN_CHARS_MAX = 80
"""Characters of a wrong value that an error message repeats."""

_UNIONS = (Union, types.UnionType)
_PLAIN: Mapping[type, tuple[str, str]] = {
    bool: ("boolean", "true or false"),
    int: ("integer", "a whole number"),
    str: ("string", "text"),
    types.NoneType: ("null", "null"),
}
"""For each plain type its JSON Schema name and its name for a person."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a settings file."""

    path: str
    """Where: `front.port`, `fs.roots[2].mode`; empty for the whole file."""
    got: str
    wanted: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}got {self.got}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a whole number, both included."""

    low: int
    high: int | None = None

    def accepts(self, value: int) -> bool:
        """Whether `value` lies inside."""
        return value >= self.low and (self.high is None or value <= self.high)

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        if self.high is None:
            return f"a whole number, {self.low} or more"
        return f"a whole number from {self.low} to {self.high}"

    @property
    def keywords(self) -> dict[str, object]:
        """The bounds as JSON Schema keywords."""
        low: dict[str, object] = {"minimum": self.low}
        return low if self.high is None else {**low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Text:
    """What a text must look like."""

    pattern: str
    """A regular expression that the whole text matches; also the pattern of the JSON Schema."""
    wanted: str
    """The same for a person."""
    check: Callable[[str], bool] | None = None
    """What a pattern cannot say."""
    secret: bool = False
    """Whether a wrong value may be a secret: then a message tells its length only."""

    def accepts(self, value: str) -> bool:
        """Whether `value` is such a text."""
        if not re.fullmatch(self.pattern, value):
            return False
        return self.check is None or self.check(value)

    @property
    def keywords(self) -> dict[str, object]:
        """The pattern as a JSON Schema keyword."""
        return {"pattern": f"^(?:{self.pattern})$"}


def shown(value: object, *, secret: bool = False) -> str:
    """Render a wrong value for a message: as JSON, cut short; a possible secret by its length."""
    if secret and isinstance(value, str):
        return f"text of {len(value)} characters"
    text = orjson.dumps(value).decode()
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"


def json_name(field: "dataclasses.Field[Any]") -> str:
    """The key of `field` in the file."""
    explicit = field.metadata.get("json")
    if isinstance(explicit, str):
        return explicit
    first, *rest = field.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def decode(kind: type[S], value: object) -> tuple[S | None, tuple[Violation, ...]]:
    """Build a `kind` from decoded JSON; either it or the violations, never both."""
    found: list[Violation] = []
    made = _object(kind, value, "", found)
    return (None, tuple(found)) if found else (made, ())


def schema_of(kind: type) -> dict[str, object]:
    """Draw the JSON Schema of `kind`; descriptions come from the strings under its fields."""
    hints = get_type_hints(kind, include_extras=True)
    texts = _field_texts(kind)
    properties = {}
    for field in _fields(kind):
        drawn = _schema(hints[field.name])
        if field.name in texts:
            drawn["description"] = texts[field.name]
        properties[json_name(field)] = drawn
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _fields(kind: Any) -> "tuple[dataclasses.Field[Any], ...]":
    return dataclasses.fields(kind)


def _object(kind: Any, value: object, path: str, found: list[Violation]) -> Any:
    if not isinstance(value, dict):
        found.append(Violation(path, shown(value), "an object"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    fields = {json_name(field): field for field in _fields(kind)}
    before = len(found)
    found += [
        Violation(_join(path, key), "an unknown key", _known(key, list(fields)))
        for key in sorted(value.keys() - fields.keys())
    ]
    given = {
        field.name: _value(hints[field.name], value[key], _join(path, key), found)
        for key, field in fields.items()
        if key in value
    }
    return kind(**given) if len(found) == before else None


def _value(hint: Any, value: object, path: str, found: list[Violation]) -> Any:
    base, bound = _unwrap(hint)
    if dataclasses.is_dataclass(base):
        return _object(base, value, path, found)
    if get_origin(base) is tuple:
        return _list(get_args(base)[0], value, path, found)
    if get_origin(base) in _UNIONS:
        if value is None:
            return None
        (inner,) = (kind for kind in get_args(base) if kind is not types.NoneType)
        return _value(inner, value, path, found)
    if not _fits(base, bound, value):
        secret = isinstance(bound, Text) and bound.secret
        found.append(Violation(path, shown(value, secret=secret), _wanted(base, bound)))
    return value


def _list(kind: Any, value: object, path: str, found: list[Violation]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        found.append(Violation(path, shown(value), "a list"))
        return ()
    return tuple(_value(kind, item, f"{path}[{at}]", found) for at, item in enumerate(value))


def _fits(base: Any, bound: Range | Text | None, value: object) -> bool:
    if get_origin(base) is Literal:
        return isinstance(value, str) and value in get_args(base)
    if type(value) is not base:  # exactly: a JSON true is no number
        return False
    if isinstance(bound, Range):
        return isinstance(value, int) and bound.accepts(value)
    return bound is None or (isinstance(value, str) and bound.accepts(value))


def _wanted(base: Any, bound: Range | Text | None) -> str:
    if bound is not None:
        return bound.wanted
    if get_origin(base) is Literal:
        return f"one of: {', '.join(get_args(base))}"
    return _PLAIN[base][1]


def _schema(hint: Any) -> dict[str, object]:
    base, bound = _unwrap(hint)
    if dataclasses.is_dataclass(base) and isinstance(base, type):
        return schema_of(base)
    if get_origin(base) is tuple:
        return {"type": "array", "items": _schema(get_args(base)[0])}
    if get_origin(base) in _UNIONS:
        return {"anyOf": [_schema(kind) for kind in get_args(base)]}
    if get_origin(base) is Literal:
        return {"enum": list(get_args(base))}
    return {"type": _PLAIN[base][0], **(bound.keywords if bound else {})}


def _unwrap(hint: Any) -> tuple[Any, Range | Text | None]:
    if get_origin(hint) is Annotated:
        base, bound = get_args(hint)
        return base, bound
    return hint, None


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _known(key: str, names: list[str]) -> str:
    import difflib  # here, because a service that starts never needs it

    near = difflib.get_close_matches(key, names, n=1)
    return f"{near[0]}, perhaps?" if near else f"one of: {', '.join(names)}"


def _field_texts(kind: type) -> dict[str, str]:
    """The string under each field, as one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    texts: dict[str, str] = {}
    name = None
    for node in tree.body if isinstance(tree, ast.ClassDef) else ():
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts[name] = " ".join(str(node.value.value).split())
            name = None
        else:
            name = None
    return texts
