"""`hum help`: the commands, or the words."""

import click

from hum.output import data, data_json, table


@click.command
@click.argument("topic", required=False, type=click.Choice(["words"]))
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, or one for each word."
)
@click.pass_context
def help_(ctx: click.Context, *, topic: str | None, as_json: bool) -> None:
    """Show the commands; with TOPIC words, what the words of this project mean."""
    if topic is None:
        assert ctx.parent is not None
        text = ctx.parent.get_help()
        if as_json:
            data_json({"help": text})
        else:
            data(text)
        return
    from hum.words import OLDER, WORDS

    if as_json:
        for word, plain, meaning in WORDS:
            data_json({"word": word, "plain": plain, "meaning": meaning})
        for older, plain in OLDER:
            data_json({"word": older, "plain": plain, "meaning": "older word"})
        return
    data(table([("WORD", "PLAIN WORD", "WHAT IT IS"), *WORDS]))
    data("")
    data(table([("OLDER WORD", "HERE"), *OLDER]))
