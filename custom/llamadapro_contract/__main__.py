"""`python -m llamadapro_contract`."""

import sys

from .cli import main

sys.exit(main())
