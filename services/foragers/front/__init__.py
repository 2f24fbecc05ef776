"""The model front: HTTP on loopback for clients of the OpenAI API, a forager on the bus.

One process, one ASGI application, one connection to humd. It owns one TCP port (`front.port`, on
127.0.0.1 and ::1), `bees/front.key`, and `front/sessions`: what conversations have come to, as
digests. One request is one turn; the turns of a conversation have one sid, and unrelated
conversations never meet.

- `service` wires and ends it; `app` routes; `exchanges` turns a request into a turn and back.
- `sessions` knows which sid a conversation has.
- `keys` knows who may ask; `spool` holds large images while their turns run.
- `turns` holds turns, also those that wait for a tool of the client between two requests.
- `catalogue` knows the models; `replies` writes HTTP; `requests` reads bodies.
- Decisions about a dialect are in `foragers.core`; who may ask is `nest.guard`'s.
"""
