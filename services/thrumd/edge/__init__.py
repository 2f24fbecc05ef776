"""Sockets and files of the door: translates, decides nothing."""
