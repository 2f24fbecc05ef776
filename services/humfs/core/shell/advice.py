"""What to call instead of a shell command that another tool serves better."""

from collections.abc import Sequence
from itertools import pairwise

import orjson

from humfs.core.shell.routing import Need, Routed
from humfs.core.shell.scripts import Word

SHOWN_CHARS_MAX = 1_000
"""Longest word of a command that is said back."""
_LISTS = frozenset({"ls", "tree", "du"})
_SEARCHES = frozenset({"grep", "egrep", "fgrep", "rg", "ripgrep", "ag", "zgrep"})
_EDITORS = frozenset({"sed", "awk", "gawk"})
_WHOLE_FILES = {
    "mv": "Move a tracked file with `git mv`, which runs; any file with the operation move of an "
    "edit tool",
    "rm": "Remove a tracked file with `git rm`, which runs; any file with the operation remove of "
    "an edit tool",
    "cp": "No tool copies a file outside version control: create it with the text it shall have",
    "mkdir": "No tool makes an empty directory: create the file that shall lie in it",
    "chmod": "No tool changes modes outside version control; `git update-index --chmod=+x FILE` "
    "runs",
}
_WHOLE_FILES |= dict.fromkeys(("unlink", "shred"), _WHOLE_FILES["rm"])
_WHOLE_FILES |= {"install": _WHOLE_FILES["cp"], "chown": "No tool changes owners"}
_WHOLE_FILES |= {"rmdir": "An empty directory is nothing to version control: leave it"}


def message(routed: Routed) -> str:
    """What is wrong with the command, in one sentence."""
    if routed.need is Need.DEPTH:
        return "The command nests shells too deeply to be looked at."
    if routed.need is Need.READ:
        return f"{routed.banned} is not run here: humfs_read shows files."
    if not routed.target:
        return f"{routed.banned} is not run here: humfs_do_code and humfs_do_noncode change files."
    return (
        f"The redirection {routed.banned} {_shown(routed.target)} would write a file: "
        "humfs_do_code and humfs_do_noncode do that."
    )


def hint(routed: Routed) -> str:
    """The call that does it, as far as that can be told."""
    if routed.need is Need.DEPTH:
        return "Run the innermost command directly."
    if routed.need is Need.READ:
        return _reading(routed.banned, routed.words)
    if routed.target:
        return (
            f"{_call('humfs_do_noncode', file_path=routed.target, replace='...')}, or "
            "humfs_do_code for code. To see an output, leave the redirection away: it is returned."
        )
    if routed.banned in _WHOLE_FILES:
        return f"{_WHOLE_FILES[routed.banned]}."
    paths = _operands(routed.words)
    path = paths[0] if paths else "PATH"
    return (
        f"Code: {_call('humfs_do_code', file_path=path, symbol='NAME', replace='...')}. "
        f"Anything else: {_call('humfs_do_noncode', file_path=path, phrase='...', replace='...')}."
    )


def _reading(name: str, words: Sequence[Word]) -> str:
    operands = _operands(words)
    first = operands[0] if operands else ""
    if name in _LISTS:
        return f"A directory: {_call('humfs_read', file_path=first or '.')}."
    if name == "find":
        return f"A glob: {_call('humfs_read', file_path=_glob(words))}."
    if name in _SEARCHES or name in _EDITORS:
        where = operands[1] if len(operands) > 1 else "."
        search = _call("humfs_read", file_path=where, pattern=first or "...")
        if name not in _EDITORS:
            return f"A search: {search}."
        search = _call("humfs_read", file_path=where, pattern="...")
        return f"To look: {search}. To change: humfs_do_code or humfs_do_noncode with the scope."
    if name == "xargs":
        return "Name the files: humfs_read takes a glob such as src/**/*.py."
    return (
        f"A file: {_call('humfs_read', file_path=first or 'PATH')}; symbol, query or pattern "
        "show a part of it. Behind a pipe from a program it runs: npm test | tail -5."
    )


def _glob(words: Sequence[Word]) -> str:
    """The glob for `find FOLDER ... -name NAME`."""
    texts = [word.text for word in words[1:]]
    folder = texts[0] if texts and not texts[0].startswith("-") else "."
    named = (after for option, after in pairwise(texts) if option in ("-name", "-iname"))
    return f"{folder.rstrip('/')}/**/{next(named, '*')}"


def _operands(words: Sequence[Word]) -> list[str]:
    """The words that are no options. An option's value may be among them: this is advice."""
    return [word.text for word in words[1:] if word.text and not word.text.startswith("-")]


def _call(tool: str, **arguments: str) -> str:
    shown = {name: _shown(value) for name, value in arguments.items()}
    return f"{tool} {orjson.dumps(shown).decode()}"


def _shown(word: str) -> str:
    return word if len(word) <= SHOWN_CHARS_MAX else "..."
