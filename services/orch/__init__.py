"""What runs, in what order, and when it counts as started.

supervisord starts and restarts processes; this package writes what it reads and is what it runs.
`core` turns Orchfiles into supervisord program sections and one launch spec per service (text in,
values out). `launch` is the only command supervisord ever starts: it prepares the process and
becomes the service. `listener` is supervisord's event listener. `hum up` (package `hum`) reads the
files, calls `core` and writes the result.

Owns no socket. Files: the start history `starts/<service>` beside the launch specs. Read
`core/orchfile.py` next.
"""
