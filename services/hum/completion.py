"""`hum completion`: what a shell evaluates to complete the commands of hum, made by click."""

import click

SHELLS = ("bash", "zsh", "fish")


_HELP = """Print what has SHELL complete hum's commands, options and names. Nothing is written.

\b
Examples:
  eval "$(hum completion bash)"        in ~/.bashrc
  eval "$(hum completion zsh)"         in ~/.zshrc
  hum completion fish | source         in ~/.config/fish/config.fish
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def completion(ctx: click.Context, *, shell: str, as_json: bool) -> None:
    """Print what has SHELL complete hum's commands, options and names. Nothing is written."""
    from hum.completing import script
    from hum.output import data, data_json

    root = ctx.find_root()
    text = script(root.command, shell, program=root.info_name or "hum").rstrip("\n")
    if as_json:
        data_json({"shell": shell, "script": text})
    else:
        data(text)
