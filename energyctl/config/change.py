"""What lies between two configurations of a site: what becomes of each device, and which lines say something else.

A device is the same while its profile and its address are. The address is everything that says where it is: the protocol,
the connection's options and the device's own, except those of a connection that say how to talk (`MANNER`). An id whose
device is not the same any more is "another device behind the same id": somebody has to say that this is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyctl.core.driver import Link, Scalar

from .problems import is_secret
from .site import Site
from .snapshot import plainly
from .yaml_source import dotted

MANNER = frozenset(
    {"timeout", "gap", "priority", "subscribe", "cov_lifetime", "local_address", "local_port", "user", "password"}
    | {"security", "mode", "certificate", "private_key", "baudrate", "parity", "stopbits"}
)
"""Options of a connection that do not say whom it leads to."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the devices, by id; `replaced` says of each in words what is different."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    replaced: Mapping[str, str]
    reconnected: tuple[str, ...]
    """The same device, spoken to anew because something about its connection is different."""
    kept: tuple[str, ...]

    @property
    def left(self) -> tuple[str, ...]:
        """The devices that have to be handed back before."""
        return tuple(sorted((*self.gone, *self.replaced)))


@dataclass(frozen=True, slots=True)
class Line:
    """A value that is different; None where there is none."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"+ {self.path}: {self.new}"
        return f"- {self.path}: {self.old}" if self.new is None else f"  {self.path}: {self.old} -> {self.new}"


def compare(old: Site, new: Site) -> Change:
    """What becomes of the devices when `new` takes the place of `old`."""
    replaced = {name: text for name in sorted(old.devices.keys() & new.devices) if (text := _other(old, new, name))}
    same = sorted((old.devices.keys() & new.devices.keys()) - replaced.keys())
    kept = tuple(
        name for name in same if link_of(old, name) == link_of(new, name) and behind(old, name) == behind(new, name)
    )
    return Change(
        new=tuple(sorted(new.devices.keys() - old.devices)),
        gone=tuple(sorted(old.devices.keys() - new.devices)),
        replaced=replaced,
        reconnected=tuple(name for name in same if name not in kept),
        kept=kept,
    )


def differences(old: Any, new: Any) -> list[Line]:
    """The values in which the plain data of two site files differ, in the order of the old one."""
    before, after = dict(_flat(old, ())), dict(_flat(new, ()))
    return [
        Line(path, before.get(path), after.get(path))
        for path in dict.fromkeys((*before, *after))
        if before.get(path) != after.get(path)
    ]


def link_of(site: Site, device: str) -> Link:
    """The connection a device is on."""
    return next(link for link in site.links if link.id == site.link_of[device])


def behind(site: Site, device: str) -> Sequence[Any]:
    """All devices on the same connection: one driver has them all."""
    return [other for other in site.devices.values() if site.link_of[other.id] == site.link_of[device]]


def address(site: Site, device: str) -> dict[str, Scalar]:
    """Everything that says where a device is."""
    link = link_of(site, device)
    where = {key: value for key, value in link.options.items() if key not in MANNER}
    return {"protocol": link.protocol, **where, **{f"its {k}": v for k, v in site.devices[device].options.items()}}


def _other(old: Site, new: Site, device: str) -> str:
    """What makes it another device, in words; "" when it is the same."""
    before, after = address(old, device), address(new, device)
    changed = [
        f"{key.removeprefix('its ')} {before.get(key, '-')} -> {after.get(key, '-')}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]
    profiles = old.devices[device].profile.profile, new.devices[device].profile.profile
    if profiles[0] != profiles[1]:
        changed.insert(0, f"profile {profiles[0]} -> {profiles[1]}")
    if before != after:
        changed += [
            _swapped(old, new, device, other)
            for other in old.devices
            if other != device and address(old, other) == after
        ]
    return ", ".join(changed)


def _swapped(old: Site, new: Site, device: str, other: str) -> str:
    if other in new.devices and address(new, other) == address(old, device):
        return f"'{device}' and '{other}' have changed places"
    return f"this is where '{other}' was"


def _flat(data: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if inside is None:
        yield dotted(path), "***" if any(map(is_secret, path)) and path[0] != "secrets" else plainly(data)
        return
    for key, value in inside:
        yield from _flat(value, (*path, key))
