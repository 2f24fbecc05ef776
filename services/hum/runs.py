"""What supervisord says of the processes of services: when one began, and how it ended.

Its log is text with the time of this machine's zone: `2026-01-31 09:00:00,125 WARN exited: hum-x
(terminated by SIGKILL; not expected)`. Of what it tells this is what a service's own log cannot.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from nest.logs import timestamp
from nest.supervisor import PROGRAM_PREFIX

SPAWNED = "process.spawned"
"""The event with which a run of a service begins."""

_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(?P<ms>\d{3}) (?P<level>[A-Z]+) "
    r"(?P<what>spawned|exited|stopped|gave up|killing|spawnerr):? '?(?P<name>[\w.-]+)'?:? ?"
    r"(\((?P<bare>[^()]*)\)|(?P<rest>.*))"
)


def read_run(text: str) -> Mapping[str, Any] | None:
    """The fields of a line that tells of a run, in the shape of a service's own; None for others.

    `said` is supervisord's own text.
    """
    found = _LINE.fullmatch(text)
    if found is None or not found["name"].startswith(PROGRAM_PREFIX):
        return None
    seconds = time.mktime(time.strptime(found["at"], "%Y-%m-%d %H:%M:%S"))
    return {
        "ts": timestamp(seconds + int(found["ms"]) / 1000),
        "level": "info" if found["level"] == "INFO" else "warning",
        "service": found["name"].removeprefix(PROGRAM_PREFIX),
        "event": f"process.{found['what'].replace(' ', '_')}",
        "said": found["rest"] or found["bare"],
    }
