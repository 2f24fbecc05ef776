"""The built-in worker: looks things up with hum's file tools. No model, no key, always there.

It owns one socket, the bus. What it understands and says is in `workers.core.scout`.
"""
