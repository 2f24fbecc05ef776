"""Which shell commands run, and which are better served by another tool.

Everything runs but what looks into files (`humfs_read` does that, with symbols) and what writes,
moves or removes them (`humfs_do_code` and `humfs_do_noncode` do, checked and atomically). A program
that only filters the output of another one runs. What programs do with files as their purpose is
not looked at.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from humfs.core.shell.filters import only_filters
from humfs.core.shell.scripts import Simple, Unreadable, Word, commands, listed
from humfs.core.shell.wrappers import basename, nested_script, unwrapped

SHELLS_DEPTH_MAX = 5
"""Shells in shells that are looked into; a deeper one is refused."""

READERS = listed(
    """ls tree du find file cat head tail more less tac nl bat grep egrep fgrep rg ripgrep ag zgrep
    sed awk gawk cut uniq wc od xxd hexdump strings zcat bzcat xzcat xargs"""
)
WRITERS = listed(
    """tee dd install mkdir rmdir touch cp mv rm ln chmod chown truncate unlink shred"""
)
NO_FILES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"})
"""Targets of a redirection that are no files of anybody."""

_PYTHON_WRITES = re.compile(
    r"""open\([^)]*,\s*(mode\s*=\s*)?[rbuf]*["'][rbtU]*[wax+]
    |\.(write_text|write_bytes|unlink|rmdir|mkdir|touch|symlink_to|hardlink_to)\(
    |\.(rename|replace)\([^,()]*\)
    |\bos\.(remove|unlink|rename|renames|replace|rmdir|removedirs|mkdir|makedirs|link|symlink|truncate)\b
    |\bshutil\.(copy|copy2|copyfile|copytree|move|rmtree)\b""",
    re.VERBOSE,
)
_NODE_WRITES = re.compile(
    r"""\b(writeFile|appendFile|copyFile|unlink|rename|rmdir|mkdir|truncate|symlink|cp|rm)(Sync)?\(
    |\bcreateWriteStream\(|\bDeno\.(write|remove|rename|mkdir|copy)|\bBun\.write\(""",
    re.VERBOSE,
)
_RUBY_WRITES = re.compile(
    r"""\b(File|IO)\.(write|binwrite|delete|unlink|rename|truncate|symlink|link)\b
    |\bFile\.(open|new)\([^)]*,\s*["'][rb]*[wa+]|\bopen\([^)]*,\s*["'][rb]*[wa+]
    |\bFileUtils\.|\bDir\.(mkdir|rmdir|delete|unlink)\b""",
    re.VERBOSE,
)
_ONE_LINERS = (
    (re.compile(r"(python|pypy)[0-9.]*"), "c", (), _PYTHON_WRITES),
    (re.compile(r"node|nodejs|deno|bun"), "ep", ("--eval", "--print"), _NODE_WRITES),
    (re.compile(r"ruby[0-9.]*"), "e", (), _RUBY_WRITES),
)
_SEPARATORS = re.compile(r"\|\||&&|[;|&\n(){}`]|\$\(")
_WORDS = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")


class Need(Enum):
    """What a command is about, when another tool serves it."""

    READ = "read"
    WRITE = "write"
    DEPTH = "depth"
    """Nobody can tell: too many shells in shells."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Why a script is not run."""

    need: Need
    banned: str
    """The word that decided: a program, or a redirection's operator."""
    words: tuple[Word, ...] = ()
    """The command it stands in."""
    target: str = ""
    """The file of a redirection."""


def routed(script: str) -> Routed | None:
    """The first thing in `script` that belongs to another tool; None when it runs."""
    return next(_findings(script, 0), None)


def _findings(script: str, depth: int) -> Iterator[Routed]:
    if depth > SHELLS_DEPTH_MAX:
        yield Routed(Need.DEPTH, "a shell")
        return
    try:
        found = commands(script)
    except Unreadable:
        found = list(_split(script))
    for simple in found:
        yield from _judge(simple, depth)


def _judge(simple: Simple, depth: int) -> Iterator[Routed]:
    for redirect in simple.redirects:
        writes = ">" in redirect.operator and redirect.is_file
        if writes and redirect.target.text not in NO_FILES:
            yield Routed(Need.WRITE, redirect.operator, simple.words, redirect.target.text)
    words = tuple(unwrapped(simple.words))
    if not words or not words[0].is_literal:
        return
    name, arguments = basename(words[0].text), words[1:]
    script = nested_script(words)
    if script is not None:
        yield from _findings(script, depth + 1)
    elif name in WRITERS or _writes_in_one_line(name, arguments):
        yield Routed(Need.WRITE, name, words)
    elif name in READERS:
        reads_pipe = simple.reads_program and not _has_input_file(simple)
        if not (reads_pipe and only_filters(name, arguments)):
            yield Routed(Need.READ, name, words)


def _has_input_file(simple: Simple) -> bool:
    return any(redirect.operator == "<" for redirect in simple.redirects)


def _writes_in_one_line(name: str, arguments: Sequence[Word]) -> bool:
    if name == "perl":
        return _edits_in_place(arguments)
    for program, letters, longs, writes in _ONE_LINERS:
        if program.fullmatch(name):
            texts = _option_texts(arguments, letters, longs)
            return any(writes.search(text) for text in texts)
    return False


def _option_texts(arguments: Sequence[Word], letters: str, longs: tuple[str, ...]) -> Iterator[str]:
    """Programs given as an option's value: `-c text`, `-ctext`, `--eval=text`."""
    for at, word in enumerate(arguments):
        text = word.text
        long, _, value = text.partition("=")
        if long in longs:
            yield value or (arguments[at + 1].text if at + 1 < len(arguments) else "")
        elif re.match(rf"-[A-Za-z]*[{letters}]", text):
            end = max(text.find(letter) for letter in letters)
            yield text[end + 1 :]
            yield arguments[at + 1].text if at + 1 < len(arguments) else ""
        elif text == "eval":
            yield arguments[at + 1].text if at + 1 < len(arguments) else ""
        elif not text.startswith("-"):
            return


def _edits_in_place(arguments: Sequence[Word]) -> bool:
    """Whether perl gets `-i` or `-p`, alone or in a cluster before an option with a value."""
    for word in arguments:
        if not word.text.startswith("-") or word.text == "--":
            return False
        for letter in word.text[1:]:
            if letter in "ip":
                return True
            if letter in "eEMmIFCDx":
                break
    return False


def _split(script: str) -> Iterator[Simple]:
    """The words after each separator, for text that the grammar cannot read."""
    for part in _SEPARATORS.split(script):
        words = [word.replace("'", "").replace('"', "") for word in _WORDS.findall(part)]
        while words and re.match(r"[A-Za-z_]\w*=|!$|(then|do|else|elif|if|while|until)$", words[0]):
            del words[0]
        if words:
            yield Simple(tuple(map(Word, words)))
