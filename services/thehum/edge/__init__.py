"""Disk and bus: translates, decides nothing."""
