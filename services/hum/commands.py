"""Which commands there are. Each one is a module that is imported when it is asked for.

So that `hum --help` shows them all without importing any, their one-line descriptions stand here.
"""

import importlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hum.output import colour_wanted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

HUM: Mapping[str, tuple[str, str]] = {
    "up": ("hum.up_verb:up", "Start everything and wait until it is ready."),
    "down": ("hum.down:down", "Stop everything and see that nothing is left."),
    "status": ("hum.status:status", "Show what runs, since when and in how much memory."),
    "doctor": (
        "hum.doctor:doctor",
        "Look at everything, and name what is wrong and what mends it.",
    ),
    "ask": ("hum.ask:ask", "Ask a model and print its answer as it arrives."),
    "run": ("hum.client_verbs:run", "Start a client that is already pointed at hum."),
    "env": ("hum.client_verbs:env", "Print what points a client at hum."),
    "tail": ("hum.log_verbs:tail", "Follow the signed log."),
    "logs": ("hum.service_logs:logs", "Show what the services say about themselves."),
    "thehum": ("hum.thehum_verbs:thehum", "Read, verify and replay the signed log."),
    "asks": ("hum.asks:asks", "Show what agents wait for consent to."),
    "allow": ("hum.asks:allow", "Allow what an agent asks for."),
    "deny": ("hum.asks:deny", "Deny what an agent asks for."),
    "reask": ("hum.reask:reask", "Have an agent ask again for what expired."),
    "bee": ("hum.bee:bee", "Show who is connected, and what each bee offers."),
    "hive": ("hum.hive_verbs:hive", "Show, check, start and stop hives."),
    "nest": ("hum.nest_verbs:nest", "Show what runs, and take over changed Orchfiles."),
    "hum": (
        "hum.conversation:conversation",
        "Show one conversation: who, how long, what it spent.",
    ),
    "drift": ("hum.drift:drift", "Show how long turns took, step by step."),
    "penny": ("hum.penny:penny", "Show the lifetime counters of tokens and turns."),
    "top": ("hum.top:top", "Show what runs now, again and again."),
    "cost": ("hum.cost:cost", "Show what was used on a day, and every budget."),
    "key": ("hum.key_verbs:key", "Make, list and revoke the keys of HTTP clients."),
    "bench": ("hum.bench.verb:bench", "Compare two addresses of the OpenAI dialect."),
    "recipes": ("hum.recipes.verbs:recipes", "Ready configurations, and laying one in."),
    "ensemble": ("hum.ensemble:ensemble", "Show who this hum is, and its peers."),
    "update": ("hum.update:update", "Show which version runs, and how a newer one is got."),
    "uninstall": ("hum.uninstall:uninstall", "Stop, and remove what hum made."),
    "config": ("hum.config:config", "Check the settings, or show what they may hold."),
    "ctl": ("hum.ctl:ctl", "Hand a command to supervisorctl."),
    "completion": ("hum.completion:completion", "Print what has a shell complete hum."),
    "version": ("hum.version:version", "Show the versions of hum and of its wire."),
    "help": ("hum.help:help_", "Show the commands; hum help words explains the words."),
}
HUMCTL: Mapping[str, tuple[str, str]] = {
    "start": ("hum.up_verb:up", "Start everything and wait until it is ready."),
    "stop": ("hum.down:down", "Stop everything and see that nothing is left."),
    "restart": ("hum.restart:restart", "Stop everything, then start it again."),
    "status": ("hum.status:status", "Show what runs, since when and in how much memory."),
    "logs": ("hum.service_logs:logs", "Show what the services say about themselves."),
    "health": ("hum.health:health", "Ask the door for a sign of life."),
    "thehum": ("hum.thehum_verbs:thehum", "Read, verify and replay the signed log."),
}

EXIT_STATUSES = (
    "Exit status: 0 done, nothing found; 1 a finding or a failure; 2 wrong usage; 69 hum does"
    " not run; 75 not now, try again; 78 settings that cannot be used; 130 interrupted."
)
"""Below the help of every command; what 1 means in particular, a command says itself."""

EXAMPLES = """\b
Examples:
  hum up --root ~/code        start, with file tools for one folder
  hum ask "say hi"            an answer, from the built-in scout if there is no model
  hum run opencode            your client, pointed at hum
  hum tail                    every event, as it happens
  hum down                    stop; nothing is left
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(**options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None for a name that is not in the table."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return with_exit_statuses(command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The names in the table, without importing what is behind them."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is not in the table is answered with those near it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as unknown:
            if not (near := _near(args[0], self._lazy)):
                raise
            said = f"{unknown.message} Did you mean {' or '.join(near)}?"
            raise click.UsageError(said, ctx) from unknown

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


def with_exit_statuses(command: click.Command) -> click.Command:
    """Have the help of `command`, and of all below it, end with what an exit status means."""
    command.epilog = command.epilog or EXIT_STATUSES
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_exit_statuses(below)
    return command


def _near(name: str, known: Iterable[str]) -> list[str]:
    import difflib

    begun = [one for one in known if len(name) > 1 and one.startswith(name)]
    return begun or difflib.get_close_matches(name, known, n=2)


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hum.version import sentence

        click.echo(sentence())
        ctx.exit()


def _options(group: click.Group) -> click.Group:
    group.params += [
        click.Option(["--debug"], is_flag=True, help="Show where in the code a failure came from."),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the versions of hum and of its wire.",
        ),
    ]
    return group


@click.pass_context
def _root(ctx: click.Context, debug: bool) -> None:
    ctx.color = colour_wanted(os.environ)
    if ctx.invoked_subcommand is None:
        from hum.version import sentence

        click.echo(sentence(), err=True)
        ctx.invoke(_command(ctx, "status"))


def _command(ctx: click.Context, name: str) -> click.Command:
    group = ctx.command
    assert isinstance(group, click.Group)
    command = group.get_command(ctx, name)
    assert command is not None
    return command


hum = _options(
    LazyGroup(
        name="hum",
        lazy=HUM,
        callback=_root,
        invoke_without_command=True,
        context_settings=SETTINGS,
        epilog=EXIT_STATUSES,
        help="The switchboard for the AI agents on your own machines.\n\n" + EXAMPLES,
    )
)
humctl = _options(
    LazyGroup(
        name="humctl",
        lazy=HUMCTL,
        callback=_root,
        no_args_is_help=True,
        context_settings=SETTINGS,
        epilog=EXIT_STATUSES,
        help="The daemon's life: start, stop, look, listen.",
    )
)
