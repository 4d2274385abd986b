"""What may be written for BACnet/IP: options of a link, of a device, of a profile, and the address of a point.

A device is addressed by host and port (its own, or those of its connection) and must be the device instance the site file
names. Points are the present-value of an object. We write in one slot of the priority array, the connection's `priority`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drivers.options import Options, Seconds

from . import apdu

Host = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _object(text: str) -> str:
    apdu.object_id(text)
    return text


class LinkOptions(Options):
    """A connection: where its devices are, and how we show up on the network."""

    transport: Literal["ip"] = "ip"
    host: Host | None = None
    port: Port = 47808
    timeout: Seconds = Field(3.0, ge=0.02, le=60)
    """How long to wait for an answer [s]; nothing is asked twice."""
    priority: int = Field(10, ge=9, le=16)
    """The slot we write; 1 to 8 belong to the building."""
    local_address: Host = "0.0.0.0"
    local_port: int = Field(0, ge=0, le=65535)
    """Our own UDP port; 0 takes a free one."""
    cov_lifetime: Seconds = Field(300.0, ge=1, le=86400)
    """How long a subscription lives in the device [s]; it is renewed at half of that."""
    subscribe: bool = False
    """Be told of changes (COV) instead of asking every period; what is told is still asked for now and then."""


class DeviceOptions(Options):
    """A device: its instance number, and its own address where it is not its connection's."""

    device: int = Field(ge=0, le=4194302)
    host: Host | None = None
    port: Port | None = None


class Address(Options):
    """Where a point is: the present-value of an object, "analog-value,1"."""

    object: Annotated[str, AfterValidator(_object)]


class ProfileOptions(Options):
    """What a device type can take."""

    max_properties: int = Field(20, ge=2, le=200)
    """The most properties one read may ask for; small devices on slow wires take fewer."""
    status_flags: bool = True
    """Read status-flags beside every value, so that a faulty sensor is seen; false for devices without them."""
