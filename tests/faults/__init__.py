"""A server that misbehaves on purpose, and what DESIGN.md promises that the client makes of it."""
