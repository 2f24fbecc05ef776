"""The model front: HTTP on loopback for clients of the OpenAI API, a forager on the bus.

One process, one ASGI application, one connection to humd. It owns one TCP port (`front.port`, on
127.0.0.1 and ::1) and `bees/front.key`; it keeps nothing on disk. One request is one turn under a
sid of its own, so unrelated conversations never meet.

- `service` wires and ends it; `app` routes; `exchanges` turns a request into a turn and back.
- `turns` holds turns, also those that wait for a tool of the client between two requests.
- `catalogue` knows the models; `replies` writes HTTP; `requests` reads bodies.
- Decisions about a dialect are in `foragers.core`; who may ask is `nest.guard`'s.
"""
