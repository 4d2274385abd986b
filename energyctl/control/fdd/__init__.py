"""Fault detection: what equipment and meters show that cannot be right, found by rules over the last hours."""

from .rounds import Rounds

__all__ = ["Rounds"]
