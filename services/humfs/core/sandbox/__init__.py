"""What stands around a shell command, decided without touching anything.

`layers` says how strong a sandbox is, `plan` what it shows and hides, `names` which names are kept
from being made, `changes` what became of protected names meanwhile, `bubblewrap` is the command
line that makes it, `calls` the system calls left out.
"""
