"""Programs that filter a pipe when they are given no file: `npm test | tail -5` reads none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from humfs.core.shell.scripts import Word, listed


@dataclass(frozen=True, slots=True)
class _Filter:
    """How its arguments are read."""

    valued: str = ""
    """Letters of options with a value."""
    scripts: int = 0
    """Operands in front that are no files: a pattern or a program."""
    script_options: str = ""
    """Letters of options that give that script, so that no operand does."""
    opens: str = ""
    """Letters of options that read or write files."""


_PATTERN = _Filter("emABCdD", scripts=1, script_options="e", opens="frR")
_FILTERS: Mapping[str, _Filter] = {
    "cat": _Filter(),
    "tac": _Filter("s"),
    "nl": _Filter("bdfhilnsvw"),
    "head": _Filter("nc"),
    "tail": _Filter("ncs"),
    "less": _Filter("bhjpPtTxyz", opens="oOk"),
    "more": _Filter("n"),
    "bat": _Filter("lrHp"),
    "grep": _PATTERN,
    "egrep": _PATTERN,
    "fgrep": _PATTERN,
    "zgrep": _PATTERN,
    "rg": _Filter("egtTmABCEjMdr", scripts=1, script_options="e", opens="f"),
    "ag": _Filter("ABCGmp", scripts=1),
    "sed": _Filter("el", scripts=1, script_options="e", opens="fi"),
    "awk": _Filter("Fve", scripts=1, script_options="e", opens="fiEo"),
    "gawk": _Filter("Fve", scripts=1, script_options="e", opens="fiEo"),
    "cut": _Filter("bcdf"),
    "uniq": _Filter("fsw"),
    "wc": _Filter(),
    "od": _Filter("AjNStw"),
    "xxd": _Filter("cglons"),
    "hexdump": _Filter("ens", opens="f"),
    "strings": _Filter("neot"),
    "zcat": _Filter(),
    "bzcat": _Filter(),
    "xzcat": _Filter(),
}
_LONG_VALUED = listed(
    """--lines --bytes --regexp --max-count --after-context --before-context --context --delimiter
    --fields --characters --output-delimiter --expression --field-separator --assign --format
    --skip-fields --skip-chars --check-chars --color --colour"""
)
_LONG_OPENS = (
    "--file",
    "--in-place",
    "--recursive",
    "--dereference-recursive",
    "--files0-from",
    "--include",
)


def only_filters(name: str, arguments: Sequence[Word]) -> bool:
    """Whether this command, fed by a pipe, reads nothing else."""
    rules = _FILTERS.get(name)
    if rules is None:
        return False
    operands: list[Word] = []
    has_script = False
    for option, operand in _told_apart(arguments, rules):
        if operand is not None:
            operands.append(operand)
        elif option.startswith("--"):
            if option.split("=")[0] in _LONG_OPENS:
                return False
            has_script = has_script or option.split("=")[0] in ("--regexp", "--expression")
        else:
            if option[1] in rules.opens:
                return False
            has_script = has_script or option[1] in rules.script_options
    files = operands[0 if has_script else rules.scripts :]
    is_awk = name.endswith("awk")
    return all(word.text == "-" or (is_awk and "=" in word.text) for word in files)


def _told_apart(
    arguments: Sequence[Word], rules: _Filter
) -> Iterator[tuple[str, None] | tuple[str, Word]]:
    """Single options, as `-x` or `--long`, and operands; an option's value is left out."""
    waiting = list(arguments[::-1])
    while waiting:
        word = waiting.pop()
        text = word.text
        if text == "--":
            yield from (("", operand) for operand in reversed(waiting))
            return
        if text.startswith("--"):
            yield text, None
            if text in _LONG_VALUED and waiting:
                waiting.pop()
        elif len(text) > 1 and text[0] == "-":
            for at, letter in enumerate(text[1:], start=2):
                yield f"-{letter}", None
                if letter in rules.valued or letter in rules.opens:
                    if at == len(text) and waiting:
                        waiting.pop()
                    break
        elif text.startswith("+") and text[1:].isdigit():
            continue  # `tail +3`
        else:
            yield "", word
