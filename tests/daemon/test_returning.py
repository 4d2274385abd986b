"""Handing back from the journal when something else fails as well: the rest is handed back all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from energyctl.config.site import Safety
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Link, Written
from energyctl.core.errors import ConfigError, StoreError
from energyctl.core.points import Sample
from energyctl.core.profile import Profile
from energyctl.core.records import Owned
from energyctl.daemon import returning

PROFILE = Profile.model_validate(
    {
        "profile": "test/valve@1",
        "vendor": "t",
        "model": "t",
        "kind": "valve",
        "protocol": "x",
        "points": {"set": {"unit": "kW", "access": "rw"}},
    }
)
NOW = datetime(2026, 1, 15, tzinfo=UTC)


class Wire:
    """A driver; `values` is what the devices hold."""

    def __init__(self):
        self.values = {"a.set": 9.0, "b.set": 9.0}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def read(self, points):
        return [Sample(point, NOW, self.values[point]) for point in points]

    async def write(self, command):
        self.values.update({step.point: step.value for step in command.steps})
        return Written()


class FullStore:
    def owned(self):
        return [Owned("a.set", 1.0, NOW), Owned("b.set", 2.0, NOW)]

    def pasts(self):
        raise StoreError("disk I/O error")

    def commit(self, batch):
        raise StoreError("no space left on device")


@pytest.fixture
def site():
    devices = {name: Device(name, PROFILE) for name in ("a", "b")}
    return SimpleNamespace(
        devices=devices,
        links=(Link("one", "x"), Link("two", "x")),
        link_of={"a": "one", "b": "two"},
        points={"a.set": None, "b.set": None},
        resources=(),
        safety=Safety(),
        timezone="UTC",
    )


async def test_a_full_disk_keeps_no_device_from_being_handed_back(site):
    wire = Wire()
    results = await returning.return_owned(site, FullStore(), LiveClock(), {"one": wire, "two": wire})
    assert [result.ok for result in results] == [True, True] and wire.values == {"a.set": 1.0, "b.set": 2.0}


async def test_a_link_that_cannot_be_opened_keeps_no_other_from_being_handed_back(site, monkeypatch):
    wire = Wire()

    class Factory:
        def open(self, link, devices, clock):
            if link.id == "one":
                raise ConfigError("no such port")
            return wire

    monkeypatch.setattr(returning, "load_driver", lambda protocol: Factory())
    results = await returning.return_owned(site, FullStore(), LiveClock(), {})
    assert [(result.group.point, result.ok) for result in results] == [("a.set", False), ("b.set", True)]
    assert wire.values == {"a.set": 9.0, "b.set": 2.0}
