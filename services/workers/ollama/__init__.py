"""Worker for a service that speaks the Ollama dialect, in its own words.

Its other dialect takes no context size, and the default cuts prompts in silence. So this worker
asks for one with every request, and says when a prompt cannot fit. It owns one socket to the bus
and a pool of HTTP connections to one base URL. Settings: `workers.ollama` in hum.json, or
`OLLAMA_HOST` and `OLLAMA_MODELS`. The dialect is in `workers.core.ollama`; everything else it
shares with the `openai` worker.
"""
