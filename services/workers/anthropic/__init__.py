"""Worker for any service that speaks the Anthropic messages dialect.

It owns one socket to the bus and a pool of HTTP connections to one base URL. Settings:
`workers.anthropic` in hum.json, or `ANTHROPIC_BASE_URL`, `ANTHROPIC_API_KEY` and
`ANTHROPIC_MODELS`. The dialect is in `workers.core.anthropic`; everything else it shares with the
`openai` worker.
"""
