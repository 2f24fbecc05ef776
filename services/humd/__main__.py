"""`python -m humd`: route until asked to stop."""

import sys

from nest.spared import spare

spare(
    "_hashlib"
)  # OpenSSL, 3.5 MB; for the short texts that are hashed here Python's own is as fast

from humd.service import Hub  # noqa: E402 - after what it must not import
from nest.lifecycle import Context, run_poll  # noqa: E402
from nest.paths import ensure_private  # noqa: E402


def main(context: Context) -> None:
    ensure_private(context.paths.bus_socket.parent)
    Hub(context).run()


if __name__ == "__main__":
    sys.exit(run_poll("humd", main))
