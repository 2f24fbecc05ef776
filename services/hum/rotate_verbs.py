"""`hum thehum rotate-key`: the next key of the log takes over.

While hum runs, the door passes the question to the log; when it does not, the log's own program
does it.
"""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nest.paths import Paths

DOOR_SECONDS = 30.0
"""How long the change may take to be in the log."""


@click.command("rotate-key")
@click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")
def rotate_key(*, as_json: bool) -> None:
    """Have the next key of this hum take over, for good; its name stays.

    The log says which key that is since before. If you keep humd.next.key elsewhere, bring it back
    first. Afterwards there is a new humd.next.key, to be kept elsewhere again.
    """
    import os

    from hum.forget_verbs import offline
    from hum.output import data, data_json, talk
    from nest.paths import Paths
    from thrum.errors import DaemonAbsent

    paths = Paths.from_environment(os.environ)
    try:
        done = _online(paths)
    except DaemonAbsent:
        done = offline(paths, "rotate-key", {})
    if as_json:
        data_json(done)
        return
    data(f"the key {done['pubkey']} signs since event {done['seq']:,}")
    talk(f"the key after it is in {paths.humd_next_key}; keep it somewhere else", dim=True)


def _online(paths: "Paths") -> dict[str, Any]:
    import secrets

    from hum.door import open_door
    from thrum.errors import LocalError
    from thrum.tones import Tone

    rid = f"rotate-key-{secrets.token_hex(8)}"
    with open_door(paths.thrum_socket) as door:
        door.send(Tone(chi="rotate-key", rid=rid))
        while True:
            tone = door.receive(within_seconds=DOOR_SECONDS)
            if tone.rid == rid and tone.chi in ("rotate-key", "error"):
                break
    if "seq" not in tone.body:
        raise LocalError(f"the key was not changed: {tone.text('message')}", hint="hum status")
    return {"seq": tone.body["seq"], "pubkey": tone.body["pubkey"]}
