"""Wiring: the roots, the tools, the bee."""

import anyio

from humfs.core.memory import Memory
from humfs.core.sandbox.hosts import Hosts
from humfs.core.sandbox.layers import Layer, Level
from humfs.core.shell.args import TIMEOUT_MS_MAX
from humfs.desk import CHIS, Desk
from humfs.edge.commands import Commands
from humfs.edge.journal import Journal
from humfs.edge.landed import Landed
from humfs.edge.lease_file import LeaseFile
from humfs.edge.masks import Masks
from humfs.edge.proxy import Proxy
from humfs.edge.roots import Roots
from humfs.edge.sandbox import Sandbox
from humfs.edge.writes import Writer
from humfs.tools.bash import Bash
from humfs.tools.changes import Changes
from humfs.tools.code import DoCode
from humfs.tools.lease import LeaseTool
from humfs.tools.noncode import DoNoncode
from humfs.tools.read import Read
from humfs.tools.tool import Described, Tool
from nest.bee import Bee, Hello
from nest.identity import load_or_mint_identity
from nest.lifecycle import Context
from nest.settings import FsSettings
from nest.version import HUM_VERSION
from thrum.errors import SettingsRefused
from thrum.tones import Body

HIVE = "humfs"
PATH_ARGUMENTS = dict.fromkeys(
    ("humfs_read", "humfs_do_code", "humfs_do_noncode", "humfs_lease"), "file_path"
)
"""By tool, the argument by which humd finds whose roots a call is about; a command has its cwd."""
CALL_SECONDS = TIMEOUT_MS_MAX // 1_000 + 60
"""How long a call of a command may take: it may wait for others, and is ended in steps."""
DRAIN_SECONDS = 8.0
"""Calls at work and unsent results get this long when the process is asked to stop."""


async def serve(context: Context, instance: str | None = None) -> None:
    """Offer the file tools until the process is asked to stop; then drain.

    `instance` is one of `fs.instances`. Raises `SettingsRefused` when there is none of that name.
    """
    fs = context.settings.fs if instance is None else context.settings.fs.of(instance)
    if fs is None:
        raise SettingsRefused(
            f"there is no instance {instance!r} of the file tools",
            hint="name it in fs.instances of hum.json, or stop the service and: hum up",
        )
    roots = Roots(
        ((root.path, root.mode) for root in fs.roots), fs.denied, home=str(context.paths.home)
    )
    for path in roots.missing:
        context.log.warning("root.missing", extra={"path": path})
    if not roots.roots:
        context.log.warning(
            "root.none", extra={"hint": "fs.roots in hum.json, or hum up --root DIR"}
        )
    journal = Journal(context.paths.writes(HIVE, instance))
    swept = journal.sweep(roots)
    if swept:
        context.log.info("write.swept", extra={"files": swept})
    landed = Landed(context.paths.landed)
    memory = Memory()
    leases = LeaseFile(context.paths.leases)
    changes = Changes(roots, Writer(roots, journal), memory, landed, leases)
    read = Read(roots, memory, output_chars_max=fs.output_chars_max)
    tools: list[Tool] = [read, DoCode(changes), DoNoncode(changes)]
    lease = LeaseTool(roots, leases)
    way_out = context.paths.shell_proxy(instance) if fs.shell.hosts else None
    sandbox = Sandbox(roots, Masks(context.paths.masks), denied=fs.denied, way_out=way_out)
    swept = sandbox.sweep()
    if swept:
        context.log.info("sandbox.swept", extra={"left": swept})
    commands = Commands(sandbox, context.metrics)
    bash = Bash(roots, sandbox, commands, Level(fs.shell.requires))
    told = (*map(described, tools), described(bash, seconds=CALL_SECONDS), described(lease))
    hello = Hello(
        roles=("forager",),
        hive=HIVE if instance is None else f"{HIVE}-{instance}",
        version=HUM_VERSION,
        tools=told if roots.roots else (),  # what could do nothing must not stand in for what can
        provides=("fs",) if roots.roots else (),
        chis=CHIS,
        files=announced(fs, roots),
    )
    identity = load_or_mint_identity(context.paths.bee_key(HIVE, instance), prefix="fbee")
    bee = Bee(identity, hello, context.paths.bus_endpoint, context.metrics)
    desk = Desk(bee, [*tools, lease], context.metrics, long_tools=[bash])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bee.run, name="humfs.bee")
        tasks.start_soon(commands.attend, name="humfs.commands")
        if way_out is not None:
            proxy = Proxy(Hosts(fs.shell.hosts), context.metrics)
            await tasks.start(proxy.serve, way_out, name="humfs.proxy")
        tasks.start_soon(tell_sandbox, sandbox, context, name="humfs.sandbox")
        tasks.start_soon(desk.serve, name="humfs.desk")
        await context.stop.wait()
        await desk.drain(DRAIN_SECONDS)
        tasks.cancel_scope.cancel()
    roots.close()
    landed.close()


async def tell_sandbox(sandbox: Sandbox, context: Context) -> None:
    """Find out what keeps commands in, and tell it to the log and the metrics."""
    standing = await sandbox.standing()
    levels = context.metrics.gauge(
        "hum_humfs_sandbox", "1 for the level of the sandbox commands run in.", ("level",)
    )
    for level in Level:
        levels.labels(level).set(int(level is standing.level))
    layers = context.metrics.gauge(
        "hum_humfs_sandbox_layer", "Whether this layer of the sandbox holds.", ("layer",)
    )
    for layer in Layer:
        layers.labels(layer).set(int(layer in standing.layers))
    for layer, reason in standing.missing.items():
        context.log.warning("sandbox.layer_missing", extra={"layer": layer, "reason": reason})


def announced(fs: FsSettings, roots: Roots) -> Body:
    """The roots as the hello tells them: as they are written, and where links in them lead."""
    written = {(root.path, root.mode) for root in fs.roots if root.path not in roots.missing}
    led = [(root.path, root.mode) for root in roots.roots]
    told = [*led, *sorted(written.difference(led))]
    return {
        "roots": [{"path": path, "mode": mode} for path, mode in told],
        "home": roots.home,
        "paths": PATH_ARGUMENTS,
    }


def described(tool: Described, *, seconds: int | None = None) -> Body:
    """A tool as the hello tells it, with how long it may take if that is longer than usual."""
    told: Body = {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": dict(tool.input_schema),
    }
    return told if seconds is None else {**told, "seconds": seconds}
