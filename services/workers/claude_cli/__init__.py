"""Worker for Claude Code as a program: `claude -p`, one process for each conversation.

It owns one socket to the bus, a pool of cells (`nest.cells.pool`), and a folder of instructions for
programs that start (`paths.cells`). Settings: `workers.claude` in hum.json, which is off unless
its owner says so: the program works with the account of the user.

Read next: `agent` (from a prompt to a cell), `exchange` (one turn with the program), then
`workers.core.claude_wish` (what it is told) and `workers.core.claude_events` (what it says).
"""
