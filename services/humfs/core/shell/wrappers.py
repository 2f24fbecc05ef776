"""Looking through what only starts another command: `env X=1`, `sudo -u me`, `bash -c '...'`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from humfs.core.shell.scripts import Word

LAYERS_MAX = 10
"""Wrappers around one command that are looked through."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


@dataclass(frozen=True, slots=True)
class _Options:
    """How a wrapper's own words end."""

    valued: str = ""
    """Letters of options whose value is the next word, when it is not attached."""
    operands: int = 0
    """Words of its own behind the options."""
    assigns: bool = False
    """Whether `NAME=value` may stand before the command."""
    looks_up: str = ""
    """Letters of options with which it only tells about the command."""


_WRAPPERS: Mapping[str, _Options] = {
    "sudo": _Options("ugpCRTDrtUh", assigns=True, looks_up="lveKkV"),
    "doas": _Options("uC", assigns=True),
    "env": _Options("uCS", assigns=True),
    "command": _Options(looks_up="vV"),
    "builtin": _Options(),
    "exec": _Options("a"),
    "nohup": _Options(),
    "time": _Options("fo"),
    "timeout": _Options("ks", operands=1),
    "nice": _Options("n"),
    "stdbuf": _Options("ioe"),
    "setsid": _Options(),
    "busybox": _Options(),
    "coproc": _Options(),
}
_LONG_VALUED = frozenset({"--user", "--group", "--chdir", "--unset", "--signal", "--kill-after"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash"})
_SHELL_VALUED = frozenset({"--rcfile", "--init-file"})


def basename(word: str) -> str:
    """The name of a program, whatever folder it is called from."""
    return word.rpartition("/")[2]


def unwrapped(words: Sequence[Word]) -> Sequence[Word]:
    """The words of the command that runs in the end; empty when it is a wrapper alone."""
    for _ in range(LAYERS_MAX):
        if not words or not words[0].is_literal:
            return words
        options = _WRAPPERS.get(basename(words[0].text))
        if options is None or nested_script(words) is not None:
            return words
        words = _inner(words[1:], options)
    return words


def nested_script(words: Sequence[Word]) -> str | None:
    """The text that this command hands to a shell, if it does."""
    name, arguments = basename(words[0].text), words[1:]
    if name in _SHELLS:
        return _shell_text(arguments)
    if name == "eval":
        return " ".join(word.text for word in arguments) or None
    if name == "trap":
        has_text = len(arguments) > 1 and not arguments[0].text.startswith("-")
        return arguments[0].text if has_text else None
    if name == "su":
        return _after(arguments, "c", "--command")
    if name == "env":
        return _after(arguments, "S", "--split-string")
    return None


def _inner(words: Sequence[Word], options: _Options) -> Sequence[Word]:
    """The words behind a wrapper's own."""
    at = 0
    while at < len(words) and words[at].text.startswith("-") and words[at].text != "--":
        text = words[at].text
        if not text.startswith("--") and set(text[1:]) & set(options.looks_up):
            return ()
        takes_next = text in _LONG_VALUED or (len(text) == 2 and text[1] in options.valued)
        at += 2 if takes_next else 1
    at += at < len(words) and words[at].text == "--"
    while options.assigns and at < len(words) and _ASSIGNMENT.match(words[at].text):
        at += 1
    return words[at + options.operands :]


def _shell_text(arguments: Sequence[Word]) -> str | None:
    """What follows `-c`, in whatever cluster of letters it stands."""
    at, has_text = 0, False
    while at < len(arguments) and re.match(r"[-+][^-]|--.", arguments[at].text):
        text = arguments[at].text
        if not text.startswith("--"):
            has_text = has_text or (text.startswith("-") and "c" in text)
            at += text[-1] in "oO"
        else:
            at += text in _SHELL_VALUED
        at += 1
    return arguments[at].text if has_text and at < len(arguments) else None


def _after(arguments: Sequence[Word], letter: str, long: str) -> str | None:
    """The value of an option, attached or as the next word."""
    for at, word in enumerate(arguments):
        text = word.text
        if text.startswith(f"{long}="):
            return text[len(long) + 1 :]
        if text in (long, f"-{letter}"):
            return arguments[at + 1].text if at + 1 < len(arguments) else None
        if text.startswith(f"-{letter}"):
            return text[2:]
        if not text.startswith("-") and not _ASSIGNMENT.match(text):
            return None
    return None
