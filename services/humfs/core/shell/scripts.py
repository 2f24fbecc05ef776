"""The simple commands of a shell script, wherever they stand in it.

Lists, pipelines, groups, loops, function bodies and substitutions are looked into. Quoted text and
here-documents are data, but a substitution inside them is a command.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tree_sitter import Node

from humfs.core.languages.bash import LANGUAGE, plain
from humfs.core.languages.language import parse

DEPTH_MAX = 150
"""Nesting that is looked into; a script that is deeper counts as unreadable."""
TALKERS = frozenset({"echo", "printf"})
"""Builtins whose output is their own text: filtering it shows nothing that a program did."""

_EXPANSIONS = frozenset(
    {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion"}
)
_ANSI_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Unreadable(ValueError):
    """The text is no script that the grammar knows."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word after quotes are taken away. What is only known when it runs stays as written."""

    text: str
    is_literal: bool = True


@dataclass(frozen=True, slots=True)
class Redirect:
    """`operator target`, such as `>> log`."""

    operator: str
    target: Word

    @property
    def is_file(self) -> bool:
        """Whether it names a file, and not a descriptor or another command."""
        if not self.operator.endswith("&"):
            return True
        text = self.target.text.removesuffix("-")
        return self.target.is_literal and bool(text) and not text.isdigit()


@dataclass(frozen=True, slots=True)
class Simple:
    """One simple command: words, and redirections. Assignments before it are left out."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()
    reads_program: bool = False
    """Whether its input is a pipe from a program."""


def listed(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


def commands(script: str) -> list[Simple]:
    """Every simple command, in the order of the text; raises `Unreadable`."""
    source = script.encode("utf-8", "surrogatepass")
    root = parse(LANGUAGE.grammar, plain(source)).root_node
    if root.has_error:
        raise Unreadable(script)
    return list(_Commands(source).inside(root, 0))


@dataclass(frozen=True, slots=True)
class _Commands:
    """The commands of a tree over `source`."""

    source: bytes

    def inside(self, node: Node, depth: int) -> Iterator[Simple]:
        """Those that a node is or holds."""
        if depth > DEPTH_MAX:
            raise Unreadable("nested too deeply")
        if node.type == "command":
            yield self._simple(node)
            yield from self._below(node, depth)
        elif node.type == "pipeline":
            yield from self._piped(node.named_children, depth, is_fed=False)
        elif node.type == "redirected_statement":
            yield from self._redirected(node, depth)
        else:
            yield from self._below(node, depth)

    def _below(self, node: Node, depth: int) -> Iterator[Simple]:
        for child in node.named_children:
            yield from self.inside(child, depth + 1)

    def _piped(
        self, stages: list[Node], depth: int, *, is_fed: bool, redirects: tuple[Redirect, ...] = ()
    ) -> Iterator[Simple]:
        """The stages of a pipe; `redirects` stand behind the last one."""
        for stage in stages:
            found = list(self.inside(stage, depth + 1))
            is_command = stage.type in ("command", "redirected_statement")
            if is_fed and found and is_command:
                found[0] = replace(found[0], reads_program=True)
            if redirects and stage == stages[-1]:
                found = _redirect(found, redirects, is_command=is_command)
            yield from found
            is_fed = _says_something(found)

    def _redirected(self, node: Node, depth: int) -> Iterator[Simple]:
        """The command with its redirections; what they hold comes after it."""
        body = node.child_by_field_name("body")
        redirects = tuple(self._redirects(node))
        if body is not None and body.type == "pipeline":
            stages = body.named_children
            found = list(self._piped(stages, depth + 1, is_fed=False, redirects=redirects))
        else:
            whole = list(self.inside(body, depth + 1)) if body is not None else []
            is_command = body is not None and body.type == "command"
            found = _redirect(whole, redirects, is_command=is_command)
        yield from found
        for part in node.children_by_field_name("redirect"):
            if part.type == "heredoc_redirect":
                yield from self._after_heredoc(part, depth, is_fed=_says_something(found))
            else:
                yield from self._below(part, depth)

    def _after_heredoc(self, node: Node, depth: int, *, is_fed: bool) -> Iterator[Simple]:
        """What follows on the line of `<<EOF`: more stages of the pipe, or another command."""
        for child in node.named_children:
            if child.type == "pipeline":
                yield from self._piped(child.named_children, depth, is_fed=is_fed)
            else:
                yield from self.inside(child, depth + 1)

    def _redirects(self, node: Node) -> Iterator[Redirect]:
        for part in node.children_by_field_name("redirect"):
            if part.type == "file_redirect":
                target = part.child_by_field_name("destination")
                operator = next(
                    (str(child.type) for child in part.children if not child.is_named), ""
                )
                if target is not None and target.type != "process_substitution":
                    yield Redirect(operator, self._word(target))
            elif part.type == "heredoc_redirect":
                yield from self._redirects(part)

    def _simple(self, node: Node) -> Simple:
        parts = [
            child
            for child in node.named_children
            if child.type not in ("variable_assignment", "herestring_redirect", "file_redirect")
        ]
        return Simple(tuple(map(self._word, parts)), tuple(self._redirects(node)))

    def _word(self, node: Node) -> Word:
        if node.type == "command_name":
            return self._word(node.named_children[0])
        text = self.source[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
        if node.type == "raw_string":
            return Word(text[1:-1])
        if node.type == "ansi_c_string":
            return Word(_without_backslashes(text[2:-1], _ANSI_ESCAPES))
        if node.type == "concatenation":
            parts = [self._word(child) for child in node.named_children]
            return Word(
                "".join(part.text for part in parts), all(part.is_literal for part in parts)
            )
        if node.type in ("string", "translated_string"):
            has_expansion = any(child.type in _EXPANSIONS for child in node.named_children)
            return Word(_without_backslashes(text.lstrip("$")[1:-1]), not has_expansion)
        if node.type in _EXPANSIONS or node.type in ("process_substitution", "brace_expression"):
            return Word(text, is_literal=False)
        return Word(_without_backslashes(text))


def _says_something(found: list[Simple]) -> bool:
    """Whether one of these is a program, and not a builtin that prints its own words."""
    return any(simple.words and simple.words[0].text not in TALKERS for simple in found)


def _redirect(
    found: list[Simple], redirects: tuple[Redirect, ...], *, is_command: bool
) -> list[Simple]:
    """`found` with redirections of its first command, or in front when they are for all of it."""
    if found and is_command:
        return [replace(found[0], redirects=redirects + found[0].redirects), *found[1:]]
    return [Simple((), redirects), *found] if redirects else found


def _without_backslashes(text: str, escapes: dict[str, str] | None = None) -> str:
    """The text without the backslashes that quote; a quoted line's end goes with its own."""
    kept: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "\\")
            kept.append("" if escaped == "\n" else (escapes or {}).get(escaped, escaped))
        else:
            kept.append(character)
    return "".join(kept)
