"""Modbus over TCP and serial lines, SunSpec included.

`factory` is all that others use; the protocol's library is imported when a link is opened.
"""

from .entry import factory

__all__ = ["factory"]
