"""What every test stands on: a home of its own, one event loop, no process left behind."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings
from tests.support.scheduling import ByFile
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOTS = {
    "HOME": "",
    "XDG_STATE_HOME": "state",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_CACHE_HOME": "cache",
    "XDG_RUNTIME_DIR": "run",
}
"""Where a home of a test has what the five XDG variables name."""
FOREIGN = ("HUM_", "OPENAI_", "ANTHROPIC_", "OLLAMA_")
"""Beginnings of variables that would make a test depend on who runs it."""
RUN = "PYTEST_SCRATCH"
"""The variable in which a run tells its workers how their scratch folders begin."""
EXIT_SECONDS = 2.0
"""How long what was told to end may take after the test."""

_HERE = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("here", _HERE)
settings.register_profile("ci", _HERE, derandomize=True)
settings.register_profile("soak", _HERE, max_examples=5_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long forms too")


def pytest_configure(config: pytest.Config) -> None:
    profile = "soak" if config.getoption("--soak") else "ci" if os.environ.get("CI") else "here"
    settings.load_profile(profile)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background: inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # a run inside a test is one of its own
        os.environ[RUN] = f"h-{os.getpid():x}-"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """The same files together, also after a worker died."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what the tests of a worker that died had started; it would hold the run's output open."""
    if hasattr(config, "workerinput"):
        return
    for process in _inhabitants(str(Path(tempfile.gettempdir()) / os.environ[RUN])):
        process.kill()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --soak, skip what is marked so."""
    if config.getoption("--soak"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a long form; run with --soak"))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The one loop hum runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short folder for all temporary files of this run, and an environment that points into it.

    Short, because a Unix socket's path has at most 107 bytes; `tmp_path` is often too long.
    """
    tmp_path_factory.getbasetemp()  # settled before the temporary folder moves
    root = Path(tempfile.mkdtemp(prefix=os.environ[RUN]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(root))
        for name in [name for name in os.environ if name.startswith(FOREIGN)]:
            patch.delenv(name)
        _live_in(_new_home(root), patch)
        yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def home(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home for this test, with `HOME` and the XDG variables pointing into it."""
    place = _new_home(scratch)
    _live_in(place, monkeypatch)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_process_left(
    request: pytest.FixtureRequest, scratch: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Fail a test that leaves a child; a process test, any process that lives in our folders.

    What a fixture of a wider scope started was there before, and is that fixture's to end.
    """
    folders = (str(scratch), str(tmp_path_factory.getbasetemp()))
    is_process_test = request.node.get_closest_marker("process") is not None
    before = _children() | (_inhabitants(*folders) if is_process_test else set())
    yield
    left = (_children() | (_inhabitants(*folders) if is_process_test else set())) - before
    if not left:
        return
    _, stayed = psutil.wait_procs(list(left), timeout=EXIT_SECONDS)
    names = [_described(process) for process in stayed]
    for process in stayed:
        process.kill()
    psutil.wait_procs(stayed, timeout=EXIT_SECONDS)
    assert not names, f"still running after the test: {names}"


def _new_home(root: Path) -> Path:
    place = Path(tempfile.mkdtemp(prefix="", dir=root))
    for folder in filter(None, ROOTS.values()):
        (place / folder).mkdir(mode=0o700)
    return place


def _live_in(place: Path, patch: pytest.MonkeyPatch) -> None:
    for name, folder in ROOTS.items():
        patch.setenv(name, str(place / folder))


def _children() -> set[psutil.Process]:
    """Our children; one system call when there is none."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return set(psutil.Process().children())


def _inhabitants(*folders: str) -> set[psutil.Process]:
    """Every other process whose environment names one of these folders."""
    found = set()
    for process in psutil.process_iter():
        try:
            values = process.environ().values()
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(value.startswith(folders) for value in values):
            found.add(process)
    return found


def _described(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())} ({process.status()})"
    except psutil.Error:
        return f"{process.pid}, gone by now"
