"""`hum tail`: the everyday name of `hum thehum tail -f`."""

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def tail(ctx: click.Context, *, arguments: tuple[str, ...]) -> object:
    """Follow the signed log; the options are those of `hum thehum tail`."""
    from hum.commands import with_exit_statuses
    from hum.thehum_verbs import thehum

    with_exit_statuses(thehum)
    with thehum.make_context("thehum", ["tail", "-f", *arguments], parent=ctx.parent) as inner:
        result: object = thehum.invoke(inner)
    return result
