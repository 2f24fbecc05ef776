"""A worker for Claude Code on a bus that a test speaks for."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import psutil
from tests.support.bus import RecordingBus
from tests.support.fake_claude import install

from nest.cells.cgroups import Cgroups
from nest.cells.limits import Limits
from nest.cells.pool import CellPool
from nest.metrics import Registry
from thrum.tones import Tone
from workers.attachments import Attachments
from workers.claude_cli.agent import ClaudeAgent, Program
from workers.claude_cli.exchange import Patience
from workers.claude_cli.sessions import projects_of
from workers.worker import Worker

CGROUPS = Cgroups("test")
MODEL = "claude-test"
CALM = Patience()


class Rig:
    """A worker whose tones a test sends and reads."""

    def __init__(self, home: Path, patience: Patience, program: Mapping[str, Any]) -> None:
        self.home = home
        self.metrics = Registry()
        self.bus = RecordingBus()
        self.pool = CellPool(self.metrics, CGROUPS, places_max=2, idle_seconds=600)
        folder = home / "cells"
        folder.mkdir(mode=0o700)
        chosen = {
            "path": str(install(home / "bin")), "environ": {"HOME": str(home), "HUM_SECRET": "s"},
            "projects": projects_of({}, home), "models": (MODEL,), "tools": (), "folder": folder,
            "roots": (), "limits": Limits(),
        }  # fmt: skip
        agent = ClaudeAgent(
            Program(**{**chosen, **program}), self.pool, Attachments(home), patience
        )
        self.worker = Worker(self.bus, agent, self.metrics)
        self._read = 0

    def ask(self, content: object, sid: str = "s", **fields: object) -> None:
        self.bus.hear("prompt", sid, modelId=MODEL, content=content, **fields)

    async def answer(self) -> list[Tone]:
        """What was said until the next end of a turn."""
        ends = sum(tone.chi in ("finish", "error") for tone in self.bus.sent[: self._read])
        await self.bus.ends(ends + 1)
        tones, self._read = self.bus.sent[self._read :], len(self.bus.sent)
        return tones

    async def said(self, content: object, sid: str = "s", **fields: object) -> list[Tone]:
        self.ask(content, sid, **fields)
        return await self.answer()

    def pids(self) -> list[int]:
        """The cells that were started, in their order."""
        pulses = (tone.body for tone in self.bus.sent if tone.chi == "pulse")
        return [body["pid"] for body in pulses if body["kind"] == "cell-spawned"]


@asynccontextmanager
async def rig(home: Path, patience: Patience = CALM, **program: object) -> AsyncIterator[Rig]:
    one = Rig(home, patience, program)
    async with one.pool.attended(), anyio.create_task_group() as tasks:
        tasks.start_soon(one.worker.serve)
        yield one
        tasks.cancel_scope.cancel()
    assert list((home / "cells").iterdir()) == [], "no instructions are left"


def text_of(tones: list[Tone]) -> str:
    return "".join(
        tone.body["delta"] for tone in tones if tone.body.get("chunkType") == "text_delta"
    )


def end_of(tones: list[Tone]) -> dict[str, Any]:
    return {"chi": tones[-1].chi, **tones[-1].body}


def dwellers(home: Path) -> list[psutil.Process]:
    """Whatever runs with this home, wherever it went; of ourselves nothing."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
    return found
