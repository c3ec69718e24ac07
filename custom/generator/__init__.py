"""Writes `generated/` from openapi.yaml: drives openapi-python-client, and refuses by name what it cannot do."""
