"""Searching a Modbus link: which unit ids answer and what they say, against the simulated devices' own server."""

from __future__ import annotations

import pytest

from drivers.modbus import factory
from energyctl.config import load_profiles
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Discovers, Link
from energyctl.core.errors import LinkError
from hil.device import SimDevice
from hil.servers.modbus import ModbusServer


def link(host, port):
    return Link("bus", "modbus", {"transport": "tcp", "host": host, "port": port, "timeout": 0.5})


async def test_every_unit_that_answers_is_found_with_its_own_words():
    profiles = load_profiles()
    units = {
        3: SimDevice("meter", profiles["eastron/sdm630@1"]),
        17: SimDevice("inverter", profiles["sunspec/pv-inverter@1"]),
        247: SimDevice("storage", profiles["sunspec/battery@1"]),
    }
    async with (
        ModbusServer(units, "127.0.0.1", 0) as server,
        factory.open(link(*server.address), [], LiveClock()) as driver,
    ):
        assert isinstance(driver, Discovers)
        found = [(one.options["unit"], one.identity) async for one in driver.discover()]
    assert [unit for unit, _ in found] == [3, 17, 247]
    assert found[0][1] == "" and all(len(said.split()) >= 2 for _, said in found[1:])


async def test_an_unreachable_link_says_so_at_once():
    async with factory.open(link("127.0.0.1", 1), [], LiveClock()) as driver:
        with pytest.raises(LinkError):
            [one async for one in driver.discover()]
