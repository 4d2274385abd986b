"""`python -m energyctl.cli`: the commands, for services, which name the interpreter."""

from .main import main

main()
