"""`python -m energyctl.daemon.handback SITE [--state DIR]`: release what a dead daemon left; for parents and services.

`energyctl handback` is what people use. Arguments meant for the daemon itself are accepted and ignored.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from energyctl.core.errors import EnergyctlError

from .returning import handback


def main(arguments: Sequence[str]) -> int:
    """Hand back; 0 when nothing is left on any device."""
    parser = argparse.ArgumentParser(prog="python -m energyctl.daemon.handback")
    parser.add_argument("site", type=Path)
    parser.add_argument("--state", type=Path)
    options, _ = parser.parse_known_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        results = asyncio.run(handback(options.site, options.state))
    except EnergyctlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
