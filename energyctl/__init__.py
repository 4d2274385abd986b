"""energyctl: the controller. Import what you need from its sub-packages; this name only carries the version."""

__version__ = "0.1.0"
