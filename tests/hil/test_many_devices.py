"""Two hundred devices in one process: they start quickly, cost little while nobody asks, and each answers for itself."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import AsyncExitStack

import pytest
from asyncua import Client, ua

from hil.device import SimDevice
from hil.servers.bacnet import BacnetServer
from hil.servers.modbus import ModbusServer
from hil.servers.opcua import OpcuaServer

MANY = 200
START_S, STEP_S = 5.0, 0.1
"""CPU [s] that starting all of them, and showing one step of physics on all, may take; measured: 0.1 to 0.8, and 0.003."""


def fleet(make_device, profile: str) -> list[SimDevice]:
    return [make_device(f"d{number}", profile, power=number / 8) for number in range(MANY)]


async def cheap_step(servers, devices) -> None:
    for device in devices:
        device.set("power", device.values["power"] + 1)
    start = time.process_time()
    for server in servers:
        await server.push()
    assert time.process_time() - start < STEP_S


@pytest.fixture
def quick_start():
    """The start that follows is within its budget; call the fixture's value when it is over."""
    start = time.process_time()

    def started() -> None:
        assert time.process_time() - start < START_S

    return started


async def test_bacnet_devices(make_device, quick_start):
    devices = fleet(make_device, "generic/heat-pump-2zone@1")
    request = bytes.fromhex("810a0011 0104 0005010c 0c00000005 1955")  # ReadProperty of analog-input 5's present-value
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(BacnetServer(device, number)) for number, device in enumerate(devices)
        ]
        quick_start()
        await cheap_step(servers, devices)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            seen = []
            for server in servers:
                client.sendto(request, server.address)
                async with asyncio.timeout(2):
                    answer = await asyncio.get_running_loop().sock_recv(client, 1500)
                seen.append(struct.unpack(">f", answer[-5:-1])[0])
    assert seen == [number / 8 + 1 for number in range(MANY)]


async def test_modbus_units(make_device, quick_start):
    devices = fleet(make_device, "eastron/sdm630@1")
    async with ModbusServer(dict(enumerate(devices, 1))) as server:
        quick_start()
        await cheap_step([server], devices)
        reader, writer = await asyncio.open_connection(*server.address)
        for unit in range(1, MANY + 1):
            writer.write(struct.pack(">HHHBBHH", unit, 0, 6, unit, 4, 52, 2))
        answers = await asyncio.wait_for(reader.readexactly(13 * MANY), 5)
        writer.close()
    got = [struct.unpack(">HHHBBBf", answers[at : at + 13]) for at in range(0, len(answers), 13)]
    assert [(row[0], row[3], row[-1]) for row in got] == [
        (unit, unit, 1000 * ((unit - 1) / 8 + 1)) for unit in range(1, MANY + 1)
    ]


async def test_opcua_devices_on_one_server(make_device, quick_start):
    devices = fleet(make_device, "generic/ev-charger@1")
    async with OpcuaServer(devices, {device.id: f"{device.id}." for device in devices}) as server:
        quick_start()
        await cheap_step([server], devices)
        async with Client(server.url) as client:
            index = await client.get_namespace_index("urn:energyctl:building")
            nodes = [client.get_node(ua.NodeId(f"{device.id}.Charger.Power", index)) for device in devices]
            assert await client.read_values(nodes) == [number / 8 + 1 for number in range(MANY)]
