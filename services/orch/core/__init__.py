"""The Orchfile language and its compiler: pure, and the same bytes for the same text.

`orchfile` splits text into lines, `merge` lays later files over earlier ones, `services` gives the
lines types and checks them, `programs` writes them for supervisord and the launcher, `starts`
decides about delays between restarts.
"""
