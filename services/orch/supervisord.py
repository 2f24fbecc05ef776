"""`python -m orch.supervisord`: supervisord, as it is, in three quarters of the memory.

It speaks XML-RPC on a Unix socket only, and Python's own HTTP modules do without OpenSSL when there
is none.
"""

from nest.spared import spare

spare("ssl")
spare("_hashlib")

from supervisor.supervisord import main  # noqa: E402 - after what it must not import

if __name__ == "__main__":
    main()
