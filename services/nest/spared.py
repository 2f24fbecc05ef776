"""Parts of libraries that a process never uses, kept out of its memory.

For the first lines of a program, before anything else is imported. What is spared costs megabytes
in every process for the sake of one import in somebody's code.
"""

import sys
from importlib.util import find_spec, module_from_spec


def spare(name: str) -> None:
    """Have imports of the module `name` fail; for one that its users can do without."""
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # what the import system looks for


def spare_init(package: str) -> None:
    """Have the modules of `package` importable without what its own `__init__` imports."""
    if package not in sys.modules and (spec := find_spec(package)) is not None:
        sys.modules[package] = module_from_spec(spec)
