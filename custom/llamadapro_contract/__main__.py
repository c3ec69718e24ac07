"""`python -m llamadapro_contract`: the same as `llamadapro contract`."""

import sys

from llamadapro._cli import main

sys.exit(main(["contract", *sys.argv[1:]]))
