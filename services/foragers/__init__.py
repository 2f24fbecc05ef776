"""Foragers: processes that speak an outside wire on one side and thrum on the other.

- `foragers.core` decides without I/O: outside requests into tones, tones into outside answers.
- `foragers.front` is the process `python -m foragers.front`: HTTP on loopback for model clients.

Read next: `foragers.front`, then `docs/wire.md`.
"""
