"""Programs that leave processes behind in every way there is, and answer each line with itself.

Every process of a tree has the tree's name in its environment, wherever it went, but one that drops
its environment: its name is its last argument.
"""

import os
from contextlib import suppress

import psutil

from nest.cells.orders import Order

MARK = "HUM_TEST_TREE"
SHELL = "/bin/sh"
QUIET = ">/dev/null 2>&1 </dev/null"
ESCAPES = {
    "fork": f"sleep 999 {QUIET} & sleep 999 {QUIET} &",
    "double fork": f"(sh -c 'sleep 999 & sleep 999' {QUIET} &)",
    "setsid": f"setsid sleep 999 {QUIET} & (setsid setsid sleep 999 {QUIET} &)",
    "ignores TERM": f"trap '' TERM HUP INT; sh -c 'sleep 999; sleep 999' {QUIET} &",
    "holds the pipe": "(setsid sleep 999 &) ; sleep 999 &",
    "drops its environment": f"(setsid env -i {SHELL} -c 'sleep 999; :' \"${MARK}\" {QUIET} &)",
}
ECHO = 'while read -r line; do echo "$line"; done'


def order(name: str, escape: str = "", *, makes_namespace: bool = True) -> Order:
    """A tree of this name; once it answers, what it leaves behind stands."""
    return Order(
        argv=(SHELL, "-c", f"{ESCAPES.get(escape, '')}\n{ECHO}"),
        env={"PATH": os.defpath, MARK: name},
        makes_namespace=makes_namespace,
    )


def marked(name: str) -> list[psutil.Process]:
    """The processes of every tree whose name starts like this, and all in a session of theirs."""
    sessions: dict[int, list[psutil.Process]] = {}
    named = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            session = os.getsid(process.pid)
            sessions.setdefault(session, []).append(process)
            command = process.cmdline()
            given = command[-1] if command[:1] == [SHELL] else ""
            if any(text.startswith(name) for text in (process.environ().get(MARK, ""), given)):
                named.add(session)
    return [process for session in named for process in sessions[session]]
