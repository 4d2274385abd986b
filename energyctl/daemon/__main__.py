"""`python -m energyctl.daemon SITE`: the daemon without a supervising parent, as a service manager starts it."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
