"""Wiring: the program, the pool of its cells, the bus; and an ending that leaves no process."""

from collections.abc import Mapping

import anyio

from nest.cells.cgroups import Cgroups
from nest.cells.limits import Limits
from nest.cells.pool import CellPool
from nest.lifecycle import Context
from nest.paths import ensure_private
from nest.settings import ClaudeSettings, NestSettings, claude_program
from thrum.errors import SettingsRefused
from workers.attachments import Attachments
from workers.claude_cli.agent import ClaudeAgent, Program, sweep
from workers.claude_cli.sessions import projects_of
from workers.service import offer

HIVE = "claude-cli"
DRAIN_SECONDS = 1.0
"""Turns in flight get this long: nothing of a cell may be left 5 s after supervisord is killed."""


async def serve(context: Context) -> None:
    """Offer the program's models on the bus until asked to stop."""
    settings, paths = context.settings, context.paths
    path = claude_program(settings.workers.claude, context.environ)
    if path is None:
        raise SettingsRefused(
            "the program that workers.claude starts is nowhere",
            hint="install Claude Code, or set workers.claude.path in hum.json",
        )
    ensure_private(paths.cells)
    sweep(paths.cells)
    cgroups = Cgroups("cell")
    cgroups.sweep()
    pool = CellPool(
        context.metrics,
        cgroups,
        places_max=settings.nest.cells_active_max,
        idle_seconds=settings.nest.cell_idle_prune_threshold_ms / 1_000,
    )
    program = Program(
        path=path,
        environ=dict(context.environ),
        projects=projects_of(context.environ, paths.home),
        models=models_of(settings.workers.claude, context.environ),
        tools=settings.workers.claude.tools,
        folder=paths.cells,
        roots=tuple(root.path for root in settings.fs.all_roots),
        limits=limits_of(settings.nest),
    )
    agent = ClaudeAgent(program, pool, Attachments(paths.attachments))
    propensity = {"statefulness": "stateful_session", "wire": HIVE}
    async with pool.attended(), anyio.create_task_group() as tasks:

        async def close() -> None:
            await context.stop.wait()
            pool.close()

        tasks.start_soon(close, name="claude.close")
        await offer(
            context,
            agent,
            hive=HIVE,
            models=program.models,
            propensity=propensity,
            drain_seconds=DRAIN_SECONDS,
        )


def models_of(settings: ClaudeSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The models to offer: the setting's, else those of `CLAUDE_MODELS`, else the usual ones."""
    named = tuple(dict.fromkeys(environ.get("CLAUDE_MODELS", "").replace(",", " ").split()))
    return settings.models or named or USUAL_MODELS


def limits_of(settings: NestSettings) -> Limits:
    """The limits of each cell."""
    chosen = settings.cell_limits
    return Limits(
        memory_bytes=chosen.memory_bytes,
        files=chosen.files,
        processes=chosen.processes,
        cpu_seconds=chosen.cpu_seconds,
    )


USUAL_MODELS = (
    "claude-opus-4-7",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5-20251001",
)
"""What the program knows by name."""
