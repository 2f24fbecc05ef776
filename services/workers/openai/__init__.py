"""Worker for any service that speaks the OpenAI chat-completions dialect.

It owns one socket to the bus and a pool of HTTP connections to one base URL. Settings:
`workers.openai` in hum.json, or `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODELS`.

Read next: `workers.models` (wiring), `workers.agent` (the tool loop), `workers.upstream`
(completions, retries), `workers.connections` and `workers.answers` (HTTP), then
`workers.core.wires` and `workers.core.completions` (what streamed events add up to).
"""
