"""Writes `generated/` from openapi.yaml: drives openapi-python-client's parser, and refuses by name what it cannot do."""
