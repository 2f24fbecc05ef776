"""Rigs that break the log on purpose, and the check that each of them ends with."""
