"""Every name has a user: what is defined in services/ is named somewhere beside its definition.

A name that is only used from outside says by whom, at the end of its line or alone above it:
`# user: the parser`. Tests are no users. Found by words alone, so a name that is used in one
place hides a namesake in another.
"""

import ast
import importlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from tests.shape.tree import Source, packages, sources

USER = "# user: "
"""Before who uses a name that nothing of ours does."""
PLAIN = frozenset(
    {"property", "staticmethod", "classmethod", "contextmanager", "override", "final"}
)
"""Decorators that do not hand a function to somebody who calls it."""
ENUMS = frozenset({"enum.Enum", "enum.StrEnum", "enum.IntEnum", "enum.Flag", "enum.IntFlag"})
"""Their members are used by value, too."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = Function | ast.ClassDef | ast.Assign | ast.AnnAssign


def uses(tree: ast.AST) -> Counter[str]:
    """How often each name is used below a node; a text that is a name counts."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                found[name] += 1
            case ast.keyword(arg=str(name)):
                found[name] += 1
            case ast.alias(name=name):
                found[name.rpartition(".")[2]] += 1
            case ast.MatchClass(kwd_attrs=names):
                found.update(names)
            case ast.Constant(value=str(text)) if text.isidentifier():
                found[text] += 1
            case _:
                pass
    return found


@cache
def used() -> Counter[str]:
    """How often each name is used outside of tests."""
    all_of = sources("services", "benchmarks", "scripts", "clients")
    return sum((uses(source.nodes[0]) for source in all_of), Counter[str]())


def definitions(
    source: Source, body: list[ast.stmt], inside: ast.ClassDef | None = None
) -> Iterator[tuple[str, Named, ast.ClassDef | None]]:
    """Names that a module and its classes define, with the class."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node, inside
            case ast.ClassDef(name=name):
                yield name, node, inside
                yield from definitions(source, node.body, node)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node, inside
            case ast.If() | ast.Try():
                yield from definitions(source, node.body, inside)
            case _:
                pass


def is_handed_over(source: Source, node: Named) -> bool:
    """Whether a decorator gives it to somebody, such as a table of commands."""
    decorators = [] if isinstance(node, ast.Assign | ast.AnnAssign) else node.decorator_list
    names = [source.dotted(getattr(one, "func", one)).rpartition(".")[2] for one in decorators]
    return isinstance(node, Function) and not PLAIN.issuperset(names)


def is_inherited(source: Source, name: str, inside: ast.ClassDef | None) -> bool:
    """Whether a base from outside knows the name, and so may call it."""
    bases = [source.dotted(base) for base in inside.bases] if inside is not None else []
    if ENUMS.intersection(bases):
        return True
    for base in bases:
        module, _, kind = base.rpartition(".")
        if module and module.partition(".")[0] not in packages():
            known = getattr(importlib.import_module(module), kind)
            if hasattr(known, name):
                return True
    return False


def says_its_user(source: Source, node: Named) -> bool:
    lines = source.text.splitlines()
    above = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
    return USER in lines[node.lineno - 1] or above.startswith(USER)


def unused(source: Source, elsewhere: Counter[str]) -> Iterator[tuple[str, Named]]:
    """Definitions that nothing uses, whoever else they say does."""
    tree = source.nodes[0]
    assert isinstance(tree, ast.Module)
    for name, node, inside in definitions(source, tree.body):
        is_special = name.startswith("_") and name.endswith("_")
        if is_special or is_handed_over(source, node) or is_inherited(source, name, inside):
            continue
        own = 0 if isinstance(node, ast.Assign | ast.AnnAssign) else uses(node)[name]
        if elsewhere[name] <= own:
            yield name, node


def test_every_name_has_a_user() -> None:
    idle = [
        f"{source.path}:{node.lineno}: {name}"
        for source in sources("services")
        for name, node in unused(source, used())
        if not says_its_user(source, node)
    ]

    assert not idle, f"remove them, or say who uses them ({USER}...):\n" + "\n".join(idle)


def test_no_user_is_named_where_there_is_another() -> None:
    needless = []
    for source in sources("services"):
        told = {node.lineno for _, node in unused(source, used()) if says_its_user(source, node)}
        for at, line in enumerate(source.text.splitlines(), start=1):
            if USER in line and not told & {at, at + 1}:
                needless.append(f"{source.path}:{at}")

    assert not needless


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def planted(): ...", ["planted"]),
        ("def planted(): planted()", ["planted"]),
        ("class Planted:\n    def kept(self): ...\nPlanted()", ["kept"]),
        ("class Planted:\n    @property\n    def kept(self): ...\nPlanted()", ["kept"]),
        ("PLANTED = 1", ["PLANTED"]),
        ("def told(): ...\ntold()", []),
        ("def told(): ...\nEACH = {'told': 1}\nEACH", []),
        ("import click\n@click.command()\ndef told(): ...", []),
        (
            "import asyncio\nclass Kind(asyncio.Protocol):\n    def data_received(self): ...\nKind",
            [],
        ),
        ("import enum\nclass Kind(enum.Enum):\n    ONE = 1\nKind", []),
    ],
)
def test_what_nothing_uses_would_be_found(text: str, names: list[str]) -> None:
    source = Source.of("bad.py", text)

    assert [name for name, _ in unused(source, uses(source.nodes[0]))] == names
