"""The probe that holds a live service against openapi.yaml: `llamadapro contract --base-url …`.

It asks through the public client (`client.request`, so that it sees raw answers), compares every answer with the
document and suggests a patch of the document that makes it fit. It never sends a message and never starts a call.

Needs the extra `llamadapro[contract]` (ruamel.yaml, which keeps comments and order).
"""
