"""Worker bees: each takes prompts from humd and answers them with one kind of model.

A worker is one process with one socket, the bus. It owns no files but its identity
(`state/bees/<kind>.key`).

- `workers.scout`: looks things up with hum's file tools; no model, no key. Always there.
- `workers.openai`: any service that speaks the OpenAI chat-completions dialect.
- `workers.claude_cli`: Claude Code as a program, one process for each conversation.

Read next: `turns` (the loop they share: one prompt, any number of tool calls, exactly one terminal
tone), then `core` (what is decided without I/O).
"""
