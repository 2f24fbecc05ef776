"""The `hum` and `humctl` command lines.

`hum up` compiles the Orchfiles and starts supervisord with the result; `hum down` ends it and sees
that nothing is left; everything else reads files or asks a process that runs. Data goes to stdout,
talk to stderr; every reading verb has `--json`. Help and status are quick because each command is a
module that is imported when it is asked for (`commands`).

Owns no socket. Files: what is below `$XDG_STATE_HOME/hum/supervisor`, and the keys it found, below
`keys`. Read next: `commands` (what there is), `__main__` (how a failure becomes a sentence and an
exit status), `up`.
"""
