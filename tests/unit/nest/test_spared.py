"""What a program never uses is not in its memory, and what it uses works without it."""

import subprocess
import sys

import pytest

SHOW = "import sys, {module}; print([name for name in {names} if sys.modules.get(name)])"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("humd.__main__", ["_hashlib"]),
        ("orch.supervisord, supervisor.rpcinterface", ["ssl", "_ssl", "_hashlib"]),
        ("nest.listeners, uvicorn.lifespan.off", ["click", "uvicorn.main"]),
        ("thehum.__main__", ["difflib"]),
    ],
)
def test_a_program_does_not_load_what_it_never_uses(module: str, names: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-c", SHOW.format(module=module, names=names)],
        capture_output=True,
        check=True,
        text=True,
    )

    assert shown.stdout.strip() == "[]"


def test_texts_are_hashed_alike_without_openssl() -> None:
    with_it, without_it = (
        subprocess.run(
            [
                sys.executable,
                "-P",
                "-c",
                f"{first}import thrum.ids; print(thrum.ids.sigil('n', 's'))",
            ],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for first in ("", "from nest.spared import spare; spare('_hashlib'); ")
    )

    assert with_it == without_it != ""
