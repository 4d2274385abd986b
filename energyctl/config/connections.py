"""The part of a site file that says how devices are reached: connections and devices.

Rule: a connection's protocol is its first key that names an installed driver; that key's value is the transport, all other
keys are the driver's options and judged by its own `check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from energyctl.core.driver import Device, Link, Scalar

from . import plugins
from .options import Secrets, ids, read_options
from .problems import Report, did_you_mean
from .site import MODES, Mode, lower
from .yaml_source import YamlPath


def read_links(report: Report, secrets: Secrets, bacnet_priority: int) -> dict[str, Link]:
    """The section `connections`."""
    links = {}
    protocols = plugins.installed(plugins.DRIVERS)
    for link_id, raw in ids(report, "connections", "a protocol and its options, like {modbus: tcp, host: 10.0.0.5}"):
        path = ("connections", link_id)
        named = [key for key in raw if key in protocols]
        if not named:
            near = did_you_mean(next(iter(raw), ""), protocols, "installed")
            report.add(path, f"no key names a protocol, like 'modbus: tcp'{near}")
            continue
        if len(named) > 1:
            report.add((*path, named[1]), f"one connection speaks one protocol; '{named[0]}' is there already")
            continue
        protocol = named[0]
        options = read_options(report, path, {k: v for k, v in raw.items() if k != protocol}, secrets)
        extra: dict[str, Scalar] = {"priority": bacnet_priority} if protocol == "bacnet" else {}
        transport = read_options(report, path, {protocol: raw[protocol]}, secrets).get(protocol, "")
        links[link_id] = Link(link_id, protocol, {"transport": transport, **options, **extra})
    return links


def read_devices(
    report: Report, secrets: Secrets, links: Mapping[str, Link]
) -> tuple[dict[str, Device], dict[str, str]]:
    """The section `devices`, and which link each device is on; a device with an unknown profile is noted and left out."""
    devices: dict[str, Device] = {}
    link_of: dict[str, str] = {}
    for device_id, raw in ids(report, "devices", "a profile and a connection, like {profile: maker/model@1, via: bus}"):
        path = ("devices", device_id)
        if device_id == "site":
            report.add(path, "'site' is taken by the site's own values; choose another id")
        options = {key: value for key, value in raw.items() if key not in ("profile", "via", "mode")}
        device = _device(report, device_id, raw, read_options(report, path, options, secrets))
        via = _via(report, path, raw.get("via"), links)
        if device is not None:
            devices[device_id] = device
            _check_protocol(report, device, links.get(via))
        if via:
            link_of[device_id] = via
    _check_doubles(report, devices, link_of)
    return devices, link_of


def read_modes(report: Report, site_mode: Mode, devices: Iterable[str], meter: str | None) -> dict[str, Mode]:
    """The mode of every device: its own where it has one, and never more than the site's."""
    modes: dict[str, Mode] = {}
    for device in devices:
        raw = report.section("devices")[device].get("mode", site_mode)
        own = next((mode for mode in MODES if mode == raw), None)
        if own is None:
            report.add(("devices", device, "mode"), f"must be one of {', '.join(MODES)}", raw)
        modes[device] = lower(own or site_mode, site_mode)
    measures = meter.partition(".")[0] if meter else None
    if site_mode != "off" and measures is not None and modes.get(measures) == "off":
        report.add(("devices", measures, "mode"), "grid.meter is on it; a site that is not off needs its meter", "off")
    return modes


def _device(report: Report, device_id: str, raw: Mapping[str, Any], options: Mapping[str, Scalar]) -> Device | None:
    profiles = plugins.load_profiles()
    name, path = raw.get("profile"), ("devices", device_id, "profile")
    if name is None:
        report.add(path, f"is missing{did_you_mean('', profiles, 'installed')}")
        return None
    if not isinstance(name, str) or name not in profiles:
        report.add(path, f"unknown profile{did_you_mean(name, profiles, 'installed')}", name)
        return None
    profile = report.attempt(path, lambda: profiles[name], elsewhere=True)
    return None if profile is None else Device(device_id, profile, options)


def _via(report: Report, path: YamlPath, via: Any, links: Mapping[str, Link]) -> str:
    names = report.section("connections")
    if not isinstance(via, str):
        report.add((*path, "via"), f"must name a connection{did_you_mean('', names)}")
        return ""
    if via not in names:
        report.add((*path, "via"), f"no such connection{did_you_mean(via, names)}", via)
    return via if via in links else ""


def _check_protocol(report: Report, device: Device, link: Link | None) -> None:
    if link is not None and device.profile.protocol != link.protocol:
        name, speaks = device.profile.profile, device.profile.protocol
        report.add(
            ("devices", device.id, "via"), f"{name} speaks {speaks}, but this connection is {link.protocol}", link.id
        )


def _check_doubles(report: Report, devices: Mapping[str, Device], link_of: Mapping[str, str]) -> None:
    seen: dict[Any, str] = {}
    for device in devices.values():
        address = (link_of.get(device.id), device.profile.profile, tuple(sorted(device.options.items(), key=repr)))
        other = seen.setdefault(address, device.id)
        if other != device.id and address[0] is not None:
            report.add(
                ("devices", device.id), f"is the same device as devices.{other}: same profile, connection and address"
            )


def check_with_drivers(
    report: Report, links: Mapping[str, Link], devices: Mapping[str, Device], link_of: Mapping[str, str]
) -> None:
    """Let every link's driver judge its options, its devices' options and their profiles."""
    for link in links.values():
        behind = [device for device in devices.values() if link_of.get(device.id) == link.id]
        fitting = [device for device in behind if device.profile.protocol == link.protocol]
        for line in _judged(report, link, fitting):
            report.add_line(
                line.replace(f"connections.{link.id}.transport", f"connections.{link.id}.{link.protocol}", 1)
            )


def _judged(report: Report, link: Link, devices: Sequence[Device]) -> Sequence[str]:
    path = ("connections", link.id)
    driver = report.attempt(path, lambda: plugins.load_driver(link.protocol))
    if driver is None:
        return ()
    return report.ask(path, f"driver '{link.protocol}'", lambda: driver.check(link, devices)) or ()
