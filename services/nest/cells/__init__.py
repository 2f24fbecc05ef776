"""A cell: one supervised process tree, which is ended whole.

A program and everything it starts live under a *guard* (`guard`), a small process of our own that
is process 1 of a pid namespace where the kernel allows, and the reaper of its descendants anywhere
else. Whatever ends the guard ends the tree: we let go of it, we are killed, the guard is killed.

`cell` is the side of the service: start, streams, end. `orders` is what is sent to the guard,
`capture` keeps the two ends of a long output. `guard` and what it imports run without
site-packages, inside sandboxes too: the standard library only.
"""
