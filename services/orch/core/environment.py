"""Which variables reach a service: an allow-list, then what its Orchfile says.

Nothing else of the caller's environment is passed on, so that a key in it reaches only the service
that names it. Rules, later ones win: the allow-list; the service's `ENV_FILE`s in order; its
`ENV NAME=value`; what the launcher adds. `ENV NAME` adds NAME to the allow-list.
"""

import re
from collections.abc import Iterable, Mapping

ALLOWED = frozenset(("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"))
"""Variables that every service gets from whoever called `hum up`."""

ALLOWED_PREFIXES = ("XDG_", "HUM_")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def allowed(environ: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """The part of `environ` that may be passed on, with `names` allowed besides."""
    wanted = ALLOWED | frozenset(names)
    return {
        name: value
        for name, value in environ.items()
        if name in wanted or name.startswith(ALLOWED_PREFIXES)
    }


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${NAME:-default}`; a name that is not set stays as written.

    What was put in is not looked at again. No shell is involved.
    """

    def value(match: "re.Match[str]") -> str:
        name, default = match[1], match[2]
        if default is None:
            return environ.get(name, match[0])
        return environ.get(name) or default

    return _VARIABLE.sub(value, text)


def read_env_file(text: str) -> dict[str, str]:
    """Read `KEY=value` lines; blank lines and those that start with `#` are skipped.

    Raises `ValueError` naming the line that is neither.
    """
    result: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.match(name):
            raise ValueError(f"line {number} is no KEY=value")
        result[name] = value
    return result
