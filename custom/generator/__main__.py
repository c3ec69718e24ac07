"""`python -m generator DOCUMENT CONFIG OUTPUT`."""

import sys

from .build import main

sys.exit(main())
