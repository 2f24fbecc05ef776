"""Decisions of the door: pure functions and small value machines, no I/O, no clock."""
