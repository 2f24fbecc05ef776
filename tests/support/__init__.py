"""Real services, clients and builders that tests share. Nothing here asserts for a test."""
