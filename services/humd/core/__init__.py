"""Decisions: an arrival in, state changed, effects out. No clock, no I/O, no randomness."""
