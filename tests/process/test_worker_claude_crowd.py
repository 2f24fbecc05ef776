"""The worker for Claude Code in the real stack: many conversations, few places (features A9)."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import cycle
from pathlib import Path

import psutil
import pytest
from tests.support.fake_claude import install
from tests.support.ndjson import Client, Flat
from tests.support.peer import Peer
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

from nest.sockets import Poll

pytestmark = [pytest.mark.process, pytest.mark.timeout(3_600)]

HIVE = "claude-cli"
MODEL = "claude-test"
SIDS, PLACES = 50, 4
PROMPTS, PROMPTS_SOAK = 300, 10_000
IN_A_ROW = 6
"""Prompts of a conversation before another one's turn."""
FLAT = 1.1
LOOK_SECONDS = 0.1
MEMORY_BYTES = 2**28


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=()) as stack:
        program = install(stack.home / "bin")
        stack.configure({
            **QUIET_SETTINGS,
            "nest": {
                "maxActiveCells": PLACES, "cellIdlePruneThresholdMs": 400,
                "cellLimits": {
                    "memoryBytes": MEMORY_BYTES, "files": 99, "processes": 98, "cpuSeconds": 97,
                },
            },
            "workers": {"claude": {"enabled": True, "path": str(program), "models": [MODEL]}},
        })  # fmt: skip
        for name in CORE:
            stack.start(name)
        stack.wait_ready()
        stack.start(HIVE)
        stack.wait_bee(HIVE)
        yield stack


def hear(client: Client) -> tuple[str, str]:
    """How a turn ended, and what was said until then."""
    said = ""
    while (tone := client.read())["chi"] not in ("finish", "error"):
        said += tone.get("delta", "")
    return tone["chi"], said if tone["chi"] == "finish" else str(tone)


class Lane:
    """One client that has one conversation after the other."""

    def __init__(self, client: Client, sids: Iterator[int]) -> None:
        self.client = client
        self._sids = sids
        self._seen: set[int] = set()
        self.asked = 0
        self._sid = 0

    def run(self, prompts: int) -> int:
        """Ask so often; how often it was answered."""
        for _ in range(prompts):
            self._ask()
            assert hear(self.client) == ("finish", str(self.asked))
        return self.asked

    def _ask(self) -> None:
        if self.asked % IN_A_ROW == 0:
            self._sid = next(self._sids)
        self.asked += 1
        fields: Flat = {} if self._sid in self._seen else {"history": []}
        self._seen.add(self._sid)
        self.client.send(
            chi="prompt", sid=f"s{self._sid}", rid=f"r{self._sid}.{self.asked}", modelId=MODEL,
            content=f"say {self.asked}", **fields,
        )  # fmt: skip


def test_many_conversations_never_have_more_cells_than_places(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    prompts = PROMPTS_SOAK if request.config.getoption("--soak") else PROMPTS
    worker, humd = psutil.Process(stack.pid(HIVE)), psutil.Process(stack.pid("humd"))
    clients = [stack.client() for _ in range(PLACES)]
    lanes = [
        Lane(client, cycle(range(place, SIDS, PLACES))) for place, client in enumerate(clients)
    ]
    most, sizes = 0, list[int]()
    with ThreadPoolExecutor(PLACES) as threads:
        runs = [threads.submit(lane.run, prompts // PLACES) for lane in lanes]
        while wait(runs, timeout=LOOK_SECONDS).not_done:
            most = max(most, len(worker.children()))
            if sum(lane.asked for lane in lanes) > prompts // 3:
                sizes.append(humd.memory_info().rss)
    assert [run.result() for run in runs] == [prompts // PLACES] * PLACES
    for client in clients:
        client.close()

    poll = Poll()
    peer = Peer(stack.paths.bus_endpoint, poll, {"bee": ["asker"], "hive": "count"})
    peer.join()
    stack.wait_for(lambda: peer.vitals(HIVE)["hum_cell_count"][()] == 0, "cells at rest ended")
    vitals = peer.vitals(HIVE)
    peer.leave()
    evictions = vitals["hum_cell_evictions_total"]

    assert 1 < most <= PLACES
    assert evictions["lru",] + evictions["idle",] >= SIDS - PLACES
    assert vitals["hum_cell_kills_total"][()] == sum(evictions.values())
    assert vitals["hum_cell_rss_bytes"] == vitals["hum_cell_cpu_ms"] == {}
    assert worker.children() == []
    assert max(sizes) < FLAT * min(sizes)


def test_the_limits_of_hum_json_stand_around_a_program(stack: Stack) -> None:
    """Features A8, from inside."""
    with stack.client() as client:
        client.send(chi="prompt", sid="s", rid="r", modelId=MODEL, content="limits", history=[])
        said = hear(client)

    assert said == ("finish", f"{MEMORY_BYTES} 99 98 97")


def test_a_worker_that_is_stopped_in_the_middle_leaves_no_process(stack: Stack) -> None:
    """Features A7: the turn ends with a reason, and the tree within the time that is left."""
    with stack.client() as client:
        client.send(chi="prompt", sid="s", rid="r", modelId=MODEL, content="hang deaf", history=[])
        client.read_until("chunk")
        below = psutil.Process(stack.pid(HIVE)).children(recursive=True)
        stack.kill(HIVE, signal.SIGTERM)
        end = client.read_until("error")

    assert end["qualifier"] == "worker.lost"
    assert [process for process in below if process.is_running()] == []


def test_without_the_program_the_worker_says_what_is_missing(stack: Stack) -> None:
    if stack.is_running(HIVE):
        stack.kill(HIVE, signal.SIGTERM)
    Path(stack.home, "bin", "claude").unlink()

    stack.start(HIVE)

    assert stack.wait_exit(HIVE) == 78
    assert "workers.claude.path" in stack.log(HIVE)
