"""What the file tools cost: a repository of 5,000 files, one symbol, one edit, memory.

    python -m benchmarks.humfs [--long]

It starts thehum, humd, the door and humfs under a home of their own, over a tree of 5,000 files
copied from the Python that runs this and its packages: two of five are code, as in a repository.
Every call goes through the door and the bus. On a busy machine the CPU time of humfs, on standard
error beside each figure, says more than the clock.

Prints each figure as one JSON object as soon as it is measured: `humfs.outline_5000_s` (a `query`
that no file can be left out of, as the first call of a new process), `humfs.search_5000_s` (a
`pattern` over all files) with `humfs.search_5000_ripgrep` (how many times what ripgrep takes,
where that is installed), `humfs.symbol_ms_p50` (one symbol of a file of 3,500 lines),
`humfs.edit_ms_p50` (the same symbol replaced, with all checks; before each of these calls others
change the file, so nothing known of it helps), `humfs.shell_ms_p50` (a command
that does nothing) with `humfs.shell_sandbox_ms` (that, without the way there and without what a
shell takes by itself), where commands run on this machine, and `humfs.rss_growth_mb` (what humfs
grows by over 10,000 calls of every kind after the first 500).
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from tests.support.ndjson import Client  # noqa: E402
from tests.support.stack import QUIET_SETTINGS, Stack  # noqa: E402

FILES, CODE_FILES = 5_000, 2_050
CODE_BYTES_MAX = 40_000
BIG_LINES = 3_500
BIG_MODULES = ("argparse", "heapq", "textwrap", "shlex", "bisect", "copy", "fnmatch")
"""Modules that one big file is made of, until it is long enough."""
TIMES, TIMES_LONG = 40, 400
SEARCHES = 5
CALLS = 10_000
WARM_CALLS = 500
EVERYTHING = "e.t.o.r"
"""No file can be left out: its letters may be spread over the names of any path."""
PATTERN = r"def \w+_handler\("

Answer = dict[str, Any]


def source_files(*suffixes: str) -> list[Path]:
    """Files of this Python and its packages, in the order of their paths."""
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    found = {
        path
        for folder in folders
        for suffix in suffixes
        for path in folder.rglob(f"*{suffix}")
        if path.is_file() and 0 < path.stat().st_size <= CODE_BYTES_MAX
    }
    return sorted(found)


def make_tree(root: Path) -> int:
    """Fill a folder with the files; how many bytes they have."""
    dice, size = random.Random(5), 0
    code = source_files(".py")
    other = [*source_files(".md", ".txt", ".json", ".toml", ".rst", ".h"), *code]
    picked = [*dice.sample(code, CODE_FILES), *(dice.choice(other) for _ in range(FILES))]
    for number, path in enumerate(picked[:FILES]):
        folder = root / f"p{number % 40}" / f"q{number // 40 % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix if number < CODE_FILES or path.suffix != ".py" else ".dat"
        shutil.copyfile(path, folder / f"{path.stem}_{number}{suffix}")
        size += path.stat().st_size
    return size


def make_big(root: Path) -> str:
    """A Python file of `BIG_LINES` lines; its last function is the one that is edited."""
    library, text = Path(sysconfig.get_path("stdlib")), ""
    for name in BIG_MODULES:
        text += (library / f"{name}.py").read_text() + "\n\n"
    lines = text.splitlines()[: BIG_LINES - 4]
    while True:  # end where a module-level statement does
        kept = "\n".join(lines) + "\n"
        try:
            compile(kept, "big.py", "exec", dont_inherit=True)
            break
        except SyntaxError:
            lines.pop()
    lines += ["# filler"] * (BIG_LINES - 4 - len(lines))
    (root / "big.py").write_text("\n".join(lines) + "\n\n\ndef edited(x):\n    return x + 0\n")
    return "edited"


def touched(path: str) -> str:
    """The file, with a comment at its end that was never there before."""
    with Path(path).open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n# touched ")
        file.seek(end if end >= 0 else len(content))
        file.write(b"\n# touched %020d\n" % time.monotonic_ns())
    return path


class Calls:
    """Tool calls over one connection at the door, one after the other."""

    def __init__(self, client: Client, pid: int) -> None:
        self._client, self._number = client, 0
        self.process = psutil.Process(pid)

    def call(self, tool: str, **args: str) -> Answer:
        """One call and its result."""
        self._number += 1
        call_id = f"c{self._number}"
        self._client.send(
            chi="tool-call", rid=call_id, sid="s", callId=call_id, toolName=tool, args=args
        )
        return self._client.read_until("tool-result", callId=call_id)

    def timed(self, tool: str, **args: str) -> tuple[float, Answer]:
        """One call, with its seconds."""
        began = time.perf_counter()
        answer = self.call(tool, **args)
        return time.perf_counter() - began, answer

    def cpu_seconds(self) -> float:
        """What humfs and its children have used so far."""
        times = self.process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def rss(self) -> int:
        """Resident memory of humfs and its children."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family)


@contextmanager
def started(root: Path) -> Iterator[Calls]:
    """A stack with humfs over `root`, ready for calls."""
    settings = {**QUIET_SETTINGS, "fs": {"roots": [{"path": str(root)}]}}
    with Stack(services=("thehum", "humd", "thrumd"), settings=settings) as stack:
        stack.start("humfs")
        with stack.client(reply_seconds=60.0) as client:
            client.send(chi="hello", rid="hello", bee=["asker"], hive="bench")
            client.read_until("breath")
            client.send(chi="attach", rid="attach", sid="s")
            calls = Calls(client, stack.pid("humfs"))
            stack.wait_for(lambda: _is_there(client), "humfs among the tools")
            yield calls


def _is_there(client: Client) -> bool:
    rid = f"ready-{time.monotonic_ns()}"
    client.send(chi="tool-call", rid=rid, sid="s", callId=rid, toolName="humfs_read", args={})
    while True:
        tone = client.read()
        if tone["chi"] == "tool-result" and tone["callId"] == rid:
            return True
        if tone["chi"] == "error" and tone.get("rid") in (rid, None):
            return False


def outline(root: Path) -> float:
    """Seconds of the first query of a new process over all files."""
    with started(root) as calls:
        before = calls.cpu_seconds()
        seconds, answer = calls.timed("humfs_read", file_path=str(root), query=EVERYTHING)
        if "out of time" in answer["output"]:
            _note("outline: the query ran out of time; the figure is that of a part of the files")
        _note(f"outline: {calls.cpu_seconds() - before:.2f} s of CPU in humfs")
    return seconds


def search(calls: Calls, root: Path) -> tuple[float, float | None]:
    """Seconds of a pattern over all files, and how many times what ripgrep takes that is."""
    own, other = [], []
    for _ in range(SEARCHES):
        seconds, answer = calls.timed("humfs_read", file_path=str(root), pattern=PATTERN)
        assert not answer["isError"], answer["output"]
        own.append(seconds)
        if shutil.which("rg"):
            began = time.perf_counter()
            command = ["rg", "--no-ignore", "--hidden", "-n", PATTERN, str(root)]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
            other.append(time.perf_counter() - began)
    best = min(own)
    return best, best / min(other) if other else None


def repeated(times: int, act: Callable[[int], tuple[float, Answer]]) -> float:
    """The median in milliseconds of a call made many times; it must not be refused."""
    spent = []
    for number in range(times):
        seconds, answer = act(number)
        assert not answer["isError"], answer["output"]
        spent.append(seconds)
    return statistics.median(spent) * 1_000


def shell(calls: Calls, times: int) -> dict[str, float]:
    """The figures of a command that does nothing; none where no command runs."""
    answer = calls.call("humfs_bash", command="true")
    if answer["isError"]:
        _note(f"shell: {answer['output']}")
        return {}
    _note(f"shell: the sandbox is {answer['metadata']['sandbox']}")
    whole = repeated(times, lambda _: calls.timed("humfs_bash", command="true"))
    way = [calls.timed("humfs_bash")[0] for _ in range(times)]  # refused: it names no command
    alone = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(["/bin/bash", "-c", "true"], check=True)
        alone.append(time.perf_counter() - began)
    rest = (statistics.median(way) + statistics.median(alone)) * 1_000
    return {"humfs.shell_ms_p50": whole, "humfs.shell_sandbox_ms": whole - rest}


def growth(calls: Calls, root: Path) -> float:
    """Megabytes that humfs grows by over many calls of every kind."""
    small = root / "small"
    small.mkdir()
    for number in range(50):
        (small / f"m{number}.py").write_text(f"def f{number}(x):\n    return x\n" * 20)
        (small / f"m{number}.json").write_text('{"a": {"b": 1}, "c": [1, 2]}\n')

    def one(number: int) -> Answer:
        code, text = f"{small}/m{number % 50}.py", f"{small}/m{number % 50}.json"
        kinds: list[tuple[str, dict[str, str]]] = [
            ("humfs_read", {"file_path": code}),
            ("humfs_read", {"file_path": code, "symbol": f"f{number % 50}#3"}),
            ("humfs_read", {"file_path": text}),
            ("humfs_read", {"file_path": str(small), "pattern": f"f{number}"}),
            ("humfs_read", {"file_path": str(small), "query": f"f{number % 50}"}),
            ("humfs_read", {"file_path": f"{small}/no{number}.py"}),
            ("humfs_do_noncode", {"file_path": text, "phrase": "a.b", "replace": str(number)}),
        ]
        if number % 50 == 0:
            new = f"def f{number % 50}(x):\n    return {number}"
            symbol = f"f{number % 50}#2"
            kinds.append(
                ("humfs_do_code", {"file_path": code, "symbol": symbol, "new_source": new})
            )
        tool, args = kinds[number % len(kinds)]
        return calls.call(tool, **args)

    for number in range(WARM_CALLS):
        one(number)
    before = calls.rss()
    for number in range(WARM_CALLS, WARM_CALLS + CALLS):
        one(number)
    return (calls.rss() - before) / 1e6


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="more rounds")
    times = TIMES_LONG if parser.parse_args().long else TIMES
    with tempfile.TemporaryDirectory(prefix="humfs-bench-") as folder:
        root = Path(folder).resolve() / "tree"
        size = make_tree(root)
        _note(f"{FILES} files, {size / 1e6:.1f} MB, {CODE_FILES} of them code")
        _figure("humfs.outline_5000_s", outline(root))
        symbol = make_big(root)
        big = str(root / "big.py")
        with started(root) as calls:
            seconds, ratio = search(calls, root)
            _figure("humfs.search_5000_s", seconds)
            if ratio is not None:
                _figure("humfs.search_5000_ripgrep", ratio)
            before = calls.cpu_seconds()
            _figure(
                "humfs.symbol_ms_p50",
                repeated(
                    times,
                    lambda _: calls.timed("humfs_read", file_path=touched(big), symbol=symbol),
                ),
            )
            spent = (calls.cpu_seconds() - before) / times * 1_000
            _note(f"symbol: {spent:.1f} ms of CPU in humfs")
            before = calls.cpu_seconds()
            _figure(
                "humfs.edit_ms_p50",
                repeated(
                    times,
                    lambda number: calls.timed(
                        "humfs_do_code",
                        file_path=touched(big),
                        symbol=symbol,
                        new_source=f"def edited(x):\n    return x + {number + 1}",
                    ),
                ),
            )
            spent = (calls.cpu_seconds() - before) / times * 1_000
            _note(f"edit: {spent:.1f} ms of CPU in humfs")
            for name, value in shell(calls, times).items():
                _figure(name, value)
            _figure("humfs.rss_growth_mb", growth(calls, root))
    return 0


def _figure(name: str, value: float) -> None:
    """Print a figure at once, so that a run cut short still tells what it measured."""
    sys.stdout.write(orjson.dumps({name: round(value, 3)}).decode() + "\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"humfs: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
