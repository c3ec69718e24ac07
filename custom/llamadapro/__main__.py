"""``python -m llamadapro`` is the command ``llamadapro``."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
