"""A port inside a sandbox that leads to one socket outside: how a program there finds a proxy.

It runs as a thread of the guard. The standard library only; nothing here ends the guard.
"""

import contextlib
import selectors
import socket
import threading

CONNECTIONS_MAX = 64
"""Connections at once; the next one is closed."""
PIECE_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0


def listening(port: int) -> socket.socket:
    """Listen on a port of the loopback; raises `OSError` when it cannot be had."""
    return socket.create_server(("127.0.0.1", port))


def serve(listener: socket.socket, path: str) -> None:
    """Hand each connection to the socket at `path`, from now on and in a thread."""
    threading.Thread(target=_serve, args=(listener, path), daemon=True).start()


def _serve(listener: socket.socket, path: str) -> None:
    places = threading.BoundedSemaphore(CONNECTIONS_MAX)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if not places.acquire(blocking=False):
            client.close()
            continue
        try:
            threading.Thread(target=_carry, args=(client, path, places), daemon=True).start()
        except RuntimeError:  # no more threads
            client.close()
            places.release()


def _carry(client: socket.socket, path: str, places: threading.BoundedSemaphore) -> None:
    try:
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as proxy:
            proxy.settimeout(CONNECT_SECONDS)
            proxy.connect(path)
            proxy.settimeout(None)
            _join(client, proxy)
    finally:
        places.release()


def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                source = one if key.fileobj is one else other
                piece = source.recv(PIECE_BYTES)
                if not piece:
                    return
                key.data.sendall(piece)
