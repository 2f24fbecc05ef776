"""Later Orchfiles laid over earlier ones, and variables filled in.

Left to right: a scalar's last line wins; `ENV` is replaced by key, `PUBLISH` by container port,
`VOLUME` by destination; `REQUIRES`, `AFTER` and `ENV_FILE` are appended without duplicates; `CLEAR`
empties a list first; changing between `FROM` and `RUN` drops what only the other mode understands;
new services are appended. `${name}` is replaced from the `ARG`s once everything is merged,
everywhere in values; an unknown name stays as it is written.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from orch.core.orchfile import SCALARS, Block, Line, Orchfile, arg_of

CONTAINER_ONLY = frozenset(["FROM", "ENTRYPOINT", "CMD", "PUBLISH", "VOLUME", "RECREATE"])
HOST_ONLY = frozenset(["RUN", "STOP", "RELOAD", "USER", "LIMIT_NOFILE", "LIMIT_NPROC"])

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def merge(
    files: Iterable[Orchfile], *, supplied: Mapping[str, str], overrides: Mapping[str, str]
) -> tuple[Block, ...]:
    """Lay `files` over each other, left to right, and fill in their variables.

    `supplied` are names that the engine gives every file; `overrides` replace the default of a
    declared `ARG` and are ignored for a name that no file declares.
    """
    declared: dict[str, str] = {}
    lines: dict[str, list[Line]] = {}
    heads: dict[str, Line] = {}
    for file in files:
        declared.update(arg_of(line) for line in file.args)
        for block in file.blocks:
            heads.setdefault(block.name, block.at)
            lines[block.name] = _overlay(lines.get(block.name, []), block.lines)
    overridden = {name: overrides.get(name, default) for name, default in declared.items()}
    values = {**overridden, **supplied}
    return tuple(
        Block(
            name=name,
            at=heads[name],
            lines=tuple(
                replace(line, value=substitute(line.value, {**values, "SERVICE_NAME": name}))
                for line in lines[name]
            ),
        )
        for name in lines
    )


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace each `${name}` that `values` knows; what was put in is not looked at again."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


def _overlay(below: list[Line], above: tuple[Line, ...]) -> list[Line]:
    dropped = frozenset[str]().union(*map(_other_mode, above))
    result = [line for line in below if line.directive not in dropped]
    for line in above:
        if line.directive == "CLEAR":
            cleared = line.value.split()
            result = [old for old in result if old.directive not in cleared]
        elif line.directive in ("REQUIRES", "AFTER", "ENV_FILE"):
            result += _additions(result, line)
        else:
            same = (line.directive, _key(line))
            result = [old for old in result if (old.directive, _key(old)) != same]
            result.append(line)
    return result


def _additions(result: list[Line], line: Line) -> Iterable[Line]:
    """One line for each item of `line` that is not there yet."""
    there = {old.value for old in result if old.directive == line.directive}
    items = [line.value] if line.directive == "ENV_FILE" else line.value.split()
    return [replace(line, value=item) for item in dict.fromkeys(items) if item not in there]


def _other_mode(line: Line) -> frozenset[str]:
    if line.directive == "FROM":
        return HOST_ONLY
    return CONTAINER_ONLY if line.directive == "RUN" else frozenset()


def _key(line: Line) -> str:
    """What makes two lines of one directive the same setting."""
    if line.directive in SCALARS:
        return ""
    if line.directive == "ENV":
        return line.value.partition("=")[0]
    return line.value.rpartition(":")[2]
