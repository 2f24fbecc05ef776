"""hives.orch: which services were switched on or off by hand, as an Orchfile that beats the others.

Each of its services has one line, `DISABLED true` or `DISABLED false`. It is read by people too,
who may change it.
"""

from collections.abc import Mapping

from hum.stack import read_switches
from nest.paths import Paths, ensure_private
from nest.private import replace_private
from orch.core.orchfile import ORCH_VERSION, OrchfileRefused, problem

_HEAD = f"""# Written by hum hive enable and disable; read after every other Orchfile.
ORCH_VERSION {ORCH_VERSION}
"""


def switched(paths: Paths, wanted: Mapping[str, bool | None]) -> str:
    """The text of hives.orch with each service on, off or, for None, not in it any more.

    Raises `OrchfileRefused` when somebody wrote more into it than switches: that is not lost.
    """
    states: dict[str, bool] = {}
    file = read_switches(paths)
    for block in () if file is None else file.blocks:
        for line in block.lines:
            if line.directive != "DISABLED":
                said = f"{line.directive}: only DISABLED belongs here; move it to a file in orch.d"
                raise OrchfileRefused([problem(line, said)])
            states[block.name] = line.value != "true"
    for name, on in wanted.items():
        states.pop(name, None)
        if on is not None:
            states[name] = on
    blocks = (
        f"\nSERVICE {name}\nDISABLED {'false' if on else 'true'}\n"
        for name, on in sorted(states.items())
    )
    return _HEAD + "".join(blocks)


def write_switches(paths: Paths, text: str) -> None:
    """Make `text` hives.orch, whole or not at all."""
    if not paths.config.exists():
        ensure_private(paths.config)
    replace_private(paths.hives_orch, text.encode())
