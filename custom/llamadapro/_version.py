"""The package's version: the build reads it here, and looking it up in the installed metadata would cost 9 ms."""

__version__: str = "0.2.0"
