"""One file per section of the reference; each method prepares a call and sends it."""
