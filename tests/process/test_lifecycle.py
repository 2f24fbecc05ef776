"""How a service starts and ends (reliability M11, experience 5.19, 5.35, 5.36).

Each test runs a small program over `nest.lifecycle` and reads what it logs on stderr.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

pytestmark = pytest.mark.process

POLL = """
import os, select, sys, time
from nest.lifecycle import run_poll
from thrum.errors import SettingsRefused

def main(context):
    {body}

sys.exit(run_poll("probe", main))
"""
POLL_UNTIL_STOP = "select.select([context.stop.descriptor], [], [])"

ASYNC = """
import os, sys, time
import anyio
from nest.lifecycle import run_async
from thrum.errors import SettingsRefused

async def main(context):
    {body}

sys.exit(run_async("probe", main))
"""
ASYNC_UNTIL_STOP = "await context.stop.wait()"

SHAPES = pytest.mark.parametrize(
    ("shape", "until_stop"),
    [(POLL, POLL_UNTIL_STOP), (ASYNC, ASYNC_UNTIL_STOP)],
    ids=["poll", "async"],
)

Line = dict[str, object]


class Service:
    """One running program and the lines it logs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def until(self, event: str) -> Line:
        """Read lines until `event`; fails when the program ends without it."""
        assert self.process.stderr is not None
        seen: list[bytes] = []
        for raw in self.process.stderr:
            seen.append(raw)
            line: Line = orjson.loads(raw)
            if line["event"] == event:
                return line
        raise AssertionError(f"{event} never came: {seen}")

    def end(self) -> tuple[int, list[Line]]:
        """Wait for the end; return the exit status and the lines not yet read."""
        _, rest = self.process.communicate()
        return self.process.returncode, [orjson.loads(line) for line in rest.splitlines()]


Start = Callable[..., Service]


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: sockets below it stay under the limit."""
    path = Path(tempfile.mkdtemp(prefix="hum-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    started: list[Service] = []

    def begin(shape: str, body: str, **environ: str) -> Service:
        process = subprocess.Popen(
            [sys.executable, "-c", shape.format(body=body)],
            env={"HOME": str(home), "LC_ALL": "C", **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        started.append(Service(process))
        return started[-1]

    yield begin
    for service in started:
        with service.process:
            service.process.kill()


def events(lines: list[Line]) -> list[object]:
    return [line["event"] for line in lines]


@SHAPES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_asked_to_stop_exits_0(
    start: Start, shape: str, until_stop: str, number: signal.Signals
) -> None:
    service = start(shape, until_stop)
    service.until("lifecycle.started")

    service.process.send_signal(number)

    status, lines = service.end()
    assert status == 0
    assert events(lines) == ["lifecycle.stop_requested", "lifecycle.stopped"]
    assert lines[-1]["reason"] == number.name


@SHAPES
def test_what_is_in_flight_is_finished_after_the_first_signal(
    start: Start, shape: str, until_stop: str
) -> None:
    service = start(shape, f"{until_stop}; context.log.info('drained')")
    service.until("lifecycle.started")

    service.process.terminate()

    status, lines = service.end()
    assert status == 0
    assert "drained" in events(lines)


@SHAPES
def test_a_second_signal_ends_even_a_service_that_hangs(
    start: Start, shape: str, until_stop: str
) -> None:
    service = start(shape, f"{until_stop}; context.log.info('draining'); time.sleep(3600)")
    service.until("lifecycle.started")
    service.process.terminate()
    service.until("draining")

    service.process.send_signal(signal.SIGINT)

    status, lines = service.end()
    assert status == 1
    assert events(lines) == ["lifecycle.cut_short"]


@SHAPES
def test_hup_is_logged_and_ignored(start: Start, shape: str, until_stop: str) -> None:
    service = start(shape, until_stop)
    service.until("lifecycle.started")

    service.process.send_signal(signal.SIGHUP)
    service.until("lifecycle.hup_ignored")
    service.process.terminate()

    assert service.end()[0] == 0


@SHAPES
def test_a_bug_exits_1_with_its_traceback_in_one_line(
    start: Start, shape: str, until_stop: str
) -> None:
    status, lines = start(shape, "raise KeyError('lost')").end()

    assert status == 1
    assert lines[-1]["event"] == "lifecycle.bug"
    assert "KeyError: 'lost'" in str(lines[-1]["traceback"])


@SHAPES
def test_a_service_that_ends_unasked_exits_1(start: Start, shape: str, until_stop: str) -> None:
    status, lines = start(shape, "return").end()

    assert status == 1
    assert lines[-1]["event"] == "lifecycle.ended_unasked"


@SHAPES
def test_what_a_service_refuses_at_its_start_exits_78(
    start: Start, shape: str, until_stop: str
) -> None:
    status, lines = start(shape, "raise SettingsRefused('port taken', hint='front.port')").end()

    assert status == 78
    assert lines[-1]["event"] == "lifecycle.refused"
    assert (lines[-1]["reason"], lines[-1]["mend"]) == ("port taken", "front.port")


TASK_GROUP = """
    async def task(error):
        raise error
    async with anyio.create_task_group() as tasks:
        for error in ({errors}):
            tasks.start_soon(task, error)
"""


@pytest.mark.parametrize(
    ("errors", "expected"),
    [("SettingsRefused('a'),", 78), ("SettingsRefused('a'), KeyError('b')", 1)],
)
def test_a_refusal_in_a_task_counts_unless_there_is_also_a_bug(
    start: Start, errors: str, expected: int
) -> None:
    assert start(ASYNC, TASK_GROUP.format(errors=errors)).end()[0] == expected


def test_unusable_settings_exit_78_and_are_all_told(start: Start, home: Path) -> None:
    settings = home / ".config" / "hum" / "hum.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"front": {"port": -1}, "nets": {}}')

    status, lines = start(POLL, POLL_UNTIL_STOP).end()

    assert status == 78
    assert f"{settings}: front.port: got -1" in str(lines[-1]["reason"])
    assert f"{settings}: nets: got an unknown key, wanted nest" in str(lines[-1]["reason"])


def test_a_socket_path_that_is_too_long_exits_78(start: Start, home: Path) -> None:
    status, lines = start(POLL, POLL_UNTIL_STOP, XDG_STATE_HOME=f"{home}/{'x' * 90}").end()

    assert status == 78
    assert "107" in str(lines[-1]["reason"])


def test_a_state_directory_open_to_others_exits_78(start: Start, home: Path) -> None:
    """Reliability A1."""
    state = home / ".local" / "state" / "hum"
    state.mkdir(parents=True)
    state.chmod(0o777)

    status, lines = start(POLL, POLL_UNTIL_STOP).end()

    assert status == 78
    assert lines[-1]["mend"] == f"chmod 700 {state}"


def test_a_second_instance_exits_78_and_names_the_first(start: Start) -> None:
    first = start(POLL, POLL_UNTIL_STOP)
    first.until("lifecycle.started")

    status, lines = start(POLL, POLL_UNTIL_STOP).end()

    assert status == 78
    assert f"as pid {first.process.pid} " in str(lines[-1]["reason"])
    assert first.process.poll() is None


def test_a_killed_instance_leaves_no_lock(start: Start) -> None:
    first = start(POLL, POLL_UNTIL_STOP)
    first.until("lifecycle.started")
    first.process.kill()
    first.end()

    second = start(POLL, POLL_UNTIL_STOP)
    second.until("lifecycle.started")

    second.process.terminate()
    assert second.end()[0] == 0


CHILD = """
    import subprocess
    child = subprocess.Popen(["sleep", "3600"], stderr=subprocess.DEVNULL, close_fds=False)
    context.log.info("child", extra={"child": child.pid})
    select.select([context.stop.descriptor], [], [])
"""


def test_a_child_of_a_service_does_not_hold_its_lock(start: Start) -> None:
    first = start(POLL, CHILD)
    child = int(str(first.until("child")["child"]))
    first.process.kill()
    first.end()

    try:
        second = start(POLL, POLL_UNTIL_STOP)
        second.until("lifecycle.started")
    finally:
        os.kill(child, signal.SIGKILL)


LAUNCHER = """
import subprocess, sys
service = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(service.pid, flush=True)
service.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
@SHAPES
def test_a_service_ends_by_itself_when_its_parent_is_killed(
    home: Path, shape: str, until_stop: str
) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, shape.format(body=until_stop)],
        env={"HOME": str(home)},
        stderr=subprocess.PIPE,
    )
    with launcher:
        service = Service(launcher)
        service.until("lifecycle.started")

        launcher.kill()

        assert service.until("lifecycle.stopped")["reason"] == "SIGTERM"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_a_service_whose_parent_died_before_it_began_never_runs(start: Start) -> None:
    service = start(POLL, "context.log.info('ran')", HUM_PARENT_PID=str(2**22 - 1))

    status, lines = service.end()

    assert status == 0
    assert "ran" not in events(lines)
    assert lines[-1]["reason"] == "parent is gone"


def test_the_named_parent_is_not_handed_on_to_children(start: Start) -> None:
    body = f"context.log.info(str('HUM_PARENT_PID' in os.environ)); {POLL_UNTIL_STOP}"

    service = start(POLL, body, HUM_PARENT_PID=str(os.getpid()))

    service.until("False")


PROBE = """
    import resource, pathlib
    pathlib.Path(context.paths.state, "file").touch()
    os.mkdir(context.paths.state / "folder")
    context.log.info("probed", extra={{
        "file": os.stat(context.paths.state / "file").st_mode & 0o777,
        "folder": os.stat(context.paths.state / "folder").st_mode & 0o777,
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "root": os.environ["XDG_STATE_HOME"],
    }})
""".replace("{{", "{").replace("}}", "}")


def test_a_service_makes_private_files_no_core_dumps_and_tells_children_its_roots(
    start: Start, home: Path
) -> None:
    before = os.umask(0)
    try:
        service = start(POLL, PROBE)
    finally:
        os.umask(before)

    line = service.until("probed")

    assert (line["file"], line["folder"]) == (0o600, 0o700)
    assert line["core"] == [0, 0]
    assert line["root"] == f"{home}/.local/state"


def test_the_level_of_the_settings_counts(start: Start) -> None:
    service = start(POLL, f"context.log.debug('fine'); {POLL_UNTIL_STOP}", HUM_LOG_LEVEL="debug")

    service.until("fine")
