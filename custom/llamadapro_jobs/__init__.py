"""Work that outlives a process: imports and campaigns, at most once, on one machine or on many.

`client.conversations.import_many`, `client.messages.send_many` and `client.calls.start_many` are the way in. What has
been sent is written down in a ledger: a SQLite file, or PostgreSQL where several processes work on one run.
"""
