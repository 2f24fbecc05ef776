"""Configuration files and documents: made up from a seed, and from what is installed."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

NAMES = (
    *("server", "port", "host", "log_level", "name", "version", "debug", "timeout", "retries"),
    *("database", "url", "cache", "size", "ttl", "features", "paths", "include", "größe", "owner"),
)
COMMENTS = ("", "", " # as before", "  # do not touch", " # größer")
FILE_BYTES_MAX = 20_000
Made = dict[str, object]


def _scalar(dice: random.Random) -> object:
    words = ("info", "a b", "0.0.0.0", "/var/lib/x", "héllo", "yes please", 'say "hi"')
    return dice.choice((dice.randrange(70_000), dice.random(), True, False, *words))


def _names(dice: random.Random, count: int) -> list[str]:
    """Names that repeat across a file, some of them once."""
    chosen = dice.sample(NAMES, count)
    return [name if dice.random() < 0.5 else f"{name}_{dice.randrange(1_000)}" for name in chosen]


def _tree(dice: random.Random, depth: int = 0) -> Made:
    made: Made = {}
    for name in _names(dice, dice.randint(2, 6)):
        kind = dice.random()
        if kind < 0.3 and depth < 3:
            made[name] = _tree(dice, depth + 1)
        elif kind < 0.45:
            made[name] = [_scalar(dice) for _ in range(dice.randint(0, 4))]
        elif kind < 0.5 and depth < 2:
            made[name] = [_tree(dice, depth + 2) for _ in range(2)]
        else:
            made[name] = _scalar(dice)
    return made


def _json(dice: random.Random) -> str:
    return json.dumps(_tree(dice), indent=dice.choice((None, 1, 2, 4, "\t")), ensure_ascii=False)


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _yaml(dice: random.Random) -> str:
    def lines(made: Made, indent: str) -> Iterator[str]:
        for name, value in made.items():
            if dice.random() < 0.15:
                yield f"{indent}# about {len(name)}"
            if dice.random() < 0.1:
                yield ""
            if isinstance(value, dict) and value:
                yield f"{indent}{name}:{dice.choice(COMMENTS)}"
                yield from lines(value, indent + dice.choice(("  ", "    ")))
            elif isinstance(value, list) and value and not isinstance(value[0], dict):
                yield f"{indent}{name}:"
                yield from (f"{indent}  - {_literal(one)}" for one in value)
            elif isinstance(value, str) and dice.random() < 0.2:
                yield f"{indent}{name}: |"
                yield from (f"{indent}  {line}" for line in ("first", "", "last: no key"))
            else:
                yield f"{indent}{name}: {_literal(value)}{dice.choice(COMMENTS)}"

    return "\n".join(lines(_tree(dice), "")) + "\n"


def _sections(dice: random.Random, separators: tuple[str, ...], mark: str, toml: bool) -> str:
    rows = [f"{mark} made up"]
    for section in _names(dice, dice.randint(2, 5)):
        name = "größe_x" if not section.isascii() and not toml else section
        rows += [*[""] * dice.randint(0, 2), f"[{name}]" if name.isascii() else "[size]"]
        for key in dict.fromkeys(one for one in _names(dice, dice.randint(1, 5)) if one.isascii()):
            value = _scalar(dice)
            if toml and dice.random() < 0.25:
                rows += [f"{key} = [", f"  {_literal(value)}, {mark} one", "]"]
                continue
            text = _literal(value) if toml else str(value)
            tail = dice.choice(COMMENTS) if toml else ""
            rows.append(f"{key}{dice.choice(separators)}{text}{tail}")
            if dice.random() < 0.15:
                rows.append(f"{mark} note on line {len(rows)}")
    heads = [row for row in rows if row.startswith("[")]
    kept = [row for at, row in enumerate(rows) if row not in heads or row not in rows[:at]]
    return "\n".join(kept) + dice.choice(("\n", "", "\n\n"))


def _toml(dice: random.Random) -> str:
    return _sections(dice, (" = ", "="), "#", True)


def _ini(dice: random.Random) -> str:
    return _sections(dice, (" = ", "=", ": "), dice.choice("#;"), False)


def _env(dice: random.Random) -> str:
    rows = ["# made up"]
    for name in _names(dice, 9):
        if not name.isascii():
            continue
        value = dice.choice(("1", "'a b'", '"x # y"', "http://h:1/p?q=1", "", "plain  # note"))
        rows.append(f"{dice.choice(('', 'export '))}{name.upper()}={value}")
        rows += [""] * (dice.random() < 0.2)
    return "\n".join(rows) + "\n"


def _prose(dice: random.Random, number: int) -> str:
    words = [
        "the",
        "quick",
        "file",
        "changes",
        "its",
        "lines",
        "and",
        "keeps",
        "what",
        "nobody",
        "asked",
        "for",
    ]
    return f"{' '.join(dice.choices(words, k=dice.randint(3, 12)))} {number}."


def _markdown(dice: random.Random) -> str:
    rows = ["# Title", "", _prose(dice, 0), ""]
    for number in range(1, dice.randint(4, 9)):
        rows += [f"{'#' * dice.randint(2, 4)} Part {number}", ""]
        rows += [_prose(dice, number * 10 + at) for at in range(dice.randint(0, 3))]
        if dice.random() < 0.4:
            rows += ["", *(f"- {_prose(dice, number * 100 + at)}" for at in range(3))]
            rows += ["  goes on" if dice.random() < 0.5 else f"- last of {number}"]
        if dice.random() < 0.3:
            rows += ["", "```sh", f"## no heading {number}", "", "x=1", "```"]
        rows += [""] * dice.randint(1, 2)
    return "\n".join(rows) + "\n"


def _text(dice: random.Random) -> str:
    rows = []
    for number in range(dice.randint(3, 12)):
        rows += [_prose(dice, number * 10 + at) for at in range(dice.randint(1, 4))]
        rows += [""] * dice.randint(1, 3)
    return "\n".join(rows).rstrip("\n") + dice.choice(("\n", "", "\n\n"))


MAKERS = {
    "json": _json,
    "yaml": _yaml,
    "toml": _toml,
    "ini": _ini,
    "env": _env,
    "md": _markdown,
    "txt": _text,
}


def made_up(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Extension and text of files that are the same for the same seed; some with CRLF."""
    dice = random.Random(seed)
    for number in range(count):
        extension = list(MAKERS)[number % len(MAKERS)]
        text = MAKERS[extension](dice)
        yield extension, text.replace("\n", "\r\n") if dice.random() < 0.15 else text


def installed(roots: list[Path], extensions: tuple[str, ...], count: int) -> Iterator[Path]:
    """Files of these kinds in installed packages: of each kind the same number, evenly spread."""
    share = max(1, count // len(extensions))
    for extension in extensions:
        found = [
            path
            for root in roots
            for path in sorted(root.rglob(f"*.{extension}"))
            if path.is_file() and not path.is_symlink() and path.stat().st_size < FILE_BYTES_MAX
        ]
        yield from found[:: max(1, len(found) // share)][:share]
