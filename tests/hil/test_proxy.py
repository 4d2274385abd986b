"""The proxies on real sockets, seen from both of their sides and never from within."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hil.proxy import Impairment, TcpProxy, UdpProxy
from hil.proxy.__main__ import main

from .test_proxy_impair import mbap

ROOT = Path(__file__).parents[2]


class Far:
    """A TCP server that answers each piece of at least `want` bytes with itself, and notes what becomes of its connections."""

    def __init__(self) -> None:
        self.got = b""
        self.ends: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.accepted = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
            self.ends.append("end")
        except ConnectionResetError:
            self.ends.append("reset")
        writer.close()


@contextlib.asynccontextmanager
async def far_side() -> AsyncIterator[tuple[Far, tuple[str, int]]]:
    far = Far()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    async with server:
        yield far, server.sockets[0].getsockname()


@pytest.fixture
async def far():
    async with far_side() as (it, address):
        it.address = address
        yield it


async def read(reader: asyncio.StreamReader, size: int, within_s: float = 2.0) -> bytes:
    async with asyncio.timeout(within_s):
        return await reader.readexactly(size)


async def silence(reader: asyncio.StreamReader, for_s: float = 0.15) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(for_s):
            await reader.read(1)


async def until(what, within_s: float = 2.0) -> None:
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.005)


async def test_a_good_line_is_not_noticed(far):
    payload = bytes(range(256)) * 4000
    async with TcpProxy(far.address) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(payload)
        assert await read(reader, len(payload), 10) == payload
        writer.write_eof()
        assert await reader.read() == b""
        await until(lambda: far.ends == ["end"])
        assert proxy.counts.connections == 1
        assert proxy.counts.to_device.seen == proxy.counts.to_device.delivered > 0
        writer.close()


async def test_the_devices_end_comes_behind_its_last_reply(far):
    async with TcpProxy(far.address, impair=Impairment(delay_s=0.1, direction="to_client")) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"last words")
        writer.write_eof()
        begun = time.monotonic()
        assert await read(reader, 10) == b"last words"
        assert time.monotonic() - begun >= 0.1
        assert await reader.read() == b""
        writer.close()


async def test_a_delay_is_added_to_each_reply(far):
    async with TcpProxy(far.address, framing="modbus") as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)

        async def quickest() -> float:
            """Of several, because the machine may be busy with something else at times, which only makes them longer."""
            took = []
            for _ in range(9):
                begun = time.monotonic()
                writer.write(mbap(1, 5))
                await read(reader, 12)
                took.append(time.monotonic() - begun)
            return min(took)

        assert await quickest() < 0.02
        proxy.impair.delay_s = 0.05
        assert 0.1 <= await quickest() < 0.13
        proxy.impair.direction = "to_client"
        assert 0.05 <= await quickest() < 0.08
        proxy.impair.delay_s = 0.0
        assert await quickest() < 0.02
        writer.close()


async def test_whole_modbus_frames_are_lost_and_doubled_and_the_stream_stays_in_step(far):
    settings = Impairment(loss=0.2, duplicate=0.2, reorder=0.2, direction="to_client")
    async with TcpProxy(far.address, framing="modbus", impair=settings, seed=3) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        sent = [mbap(number, number % 250 + 1) for number in range(500)]
        writer.write(b"".join(sent))
        came = []
        with contextlib.suppress(TimeoutError):
            while True:
                header = await read(reader, 6, 1.5)
                came.append(header + await read(reader, header[5]))
        assert set(came) <= set(sent)
        numbers = [struct.unpack_from(">H", unit)[0] for unit in came]
        assert len(sent) - len(set(numbers)) == proxy.counts.to_client.lost
        assert 60 < proxy.counts.to_client.lost < 140
        assert len(numbers) - len(set(numbers)) == proxy.counts.to_client.duplicated
        assert numbers != sorted(numbers)
        assert len(came) == proxy.counts.to_client.delivered
        writer.close()


async def test_a_reply_after_the_clients_patience_comes_on_the_same_connection(far):
    async with TcpProxy(far.address, framing="modbus", impair=Impairment(late=1.0, late_s=0.3)) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(mbap(1, 5))
        await silence(reader, 0.2)
        proxy.impair.late = 0.0
        writer.write(mbap(2, 5))
        assert await read(reader, 24) == mbap(1, 5) + mbap(2, 5)
        assert proxy.counts.to_client.late == 1
        writer.close()


async def test_a_blackhole_swallows_and_what_came_meanwhile_is_gone(far):
    async with TcpProxy(far.address) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"one")
        assert await read(reader, 3) == b"one"
        proxy.impair.blackhole = True
        writer.write(b"two")
        _, other_writer = await asyncio.open_connection(*proxy.address)
        await silence(reader)
        proxy.impair.blackhole = False
        writer.write(b"three")
        assert await read(reader, 5) == b"three"
        assert far.got == b"onethree"
        assert proxy.counts.to_device.swallowed == 1
        other_writer.close()
        writer.close()


async def test_a_half_open_connection_stays_dead_and_nobody_is_told(far):
    async with TcpProxy(far.address) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"one")
        assert await read(reader, 3) == b"one"
        proxy.impair.half_open = True
        writer.write(b"two")
        new, new_writer = await asyncio.open_connection(*proxy.address)
        new_writer.write(b"hello")
        await silence(new)
        proxy.impair.half_open = False
        writer.write(b"three")
        await silence(reader)
        await silence(new)
        writer.close()
        await asyncio.sleep(0.05)
        assert far.ends == []
        assert (far.got, far.accepted) == (b"one", 1)
        fresh, fresh_writer = await asyncio.open_connection(*proxy.address)
        fresh_writer.write(b"four")
        assert await read(fresh, 4) == b"four"
        fresh_writer.close()
        new_writer.close()


async def test_refused_means_that_nobody_listens_and_the_port_stays_ours(far):
    async with TcpProxy(far.address) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        address = proxy.address
        for _ in range(3):
            proxy.impair.refuse = True
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)
            with socket.socket() as thief, pytest.raises(OSError):
                thief.bind(address)
            proxy.impair.refuse = False
            again, again_writer = await asyncio.open_connection(*address)
            again_writer.write(b"hi")
            assert await read(again, 2) == b"hi"
            again_writer.close()
        writer.write(b"open ones stay")
        assert await read(reader, 14) == b"open ones stay"
        writer.close()


async def test_reset_resets_both_sides_and_new_connections_work(far):
    async with TcpProxy(far.address, impair=Impairment(delay_s=5.0, direction="to_client")) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"hello")
        await until(lambda: far.got == b"hello")
        await proxy.reset()
        with pytest.raises(ConnectionResetError):
            await read(reader, 1)
        await until(lambda: far.ends == ["reset"])
        assert proxy.counts.reset == 1
        await until(lambda: proxy.counts.to_client.dropped == proxy.counts.to_client.seen == 1)
        proxy.impair.delay_s = 0.0
        again, again_writer = await asyncio.open_connection(*proxy.address)
        again_writer.write(b"hi")
        assert await read(again, 2) == b"hi"
        again_writer.close()
        writer.close()


async def test_a_reset_by_the_device_reaches_the_client(far):
    async with TcpProxy(far.address) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        await until(lambda: far.writers)
        far.writers[0].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.writers[0].transport.abort()
        with pytest.raises(ConnectionResetError):
            await read(reader, 1)
        writer.close()


async def test_a_target_that_is_down_resets_the_client():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with TcpProxy(nobody.getsockname()) as proxy:
            with pytest.raises(ConnectionResetError):
                reader, _ = await asyncio.open_connection(*proxy.address)
                await read(reader, 1)
            assert proxy.counts.refused == 1


async def test_two_lines_swapped_are_two_devices_that_swapped_addresses():
    async with far_side() as (one, at_one), far_side() as (two, at_two), TcpProxy(at_one) as a, TcpProxy(at_two) as b:
        a.retarget(*at_two)
        b.retarget(*at_one)
        for proxy, word in ((a, b"for a"), (b, b"for b")):
            reader, writer = await asyncio.open_connection(*proxy.address)
            writer.write(word)
            assert await read(reader, 5) == word
            writer.close()
        assert (one.got, two.got) == (b"for b", b"for a")


async def test_a_slow_line_carries_its_rate(far):
    async with TcpProxy(far.address, framing="modbus", impair=Impairment(rate=5200, direction="to_client")) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        begun = time.monotonic()
        writer.write(b"".join(mbap(number, 253) for number in range(10)))
        await read(reader, 10 * 260)
        assert 0.5 <= time.monotonic() - begun < 0.8
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    """A UDP socket that notes what comes, and echoes when it is the far side."""

    def __init__(self, echo: bool = False) -> None:
        self.got: list[bytes] = []
        self.peers: list[tuple[str, int]] = []
        self._echo = echo

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        self.got.append(data)
        self.peers.append(addr)
        if self._echo:
            self.transport.sendto(data, addr)


@contextlib.asynccontextmanager
async def datagrams(**options) -> AsyncIterator[Datagrams]:
    echo = options.pop("echo", False)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(echo), **options)
    try:
        yield protocol
    finally:
        transport.close()


HERE = ("127.0.0.1", 0)


async def test_what_a_device_sends_by_itself_reaches_the_client_it_is_for():
    async with (
        datagrams(local_addr=HERE) as device,
        UdpProxy(device.transport.get_extra_info("sockname")) as proxy,
        datagrams(remote_addr=proxy.address) as one,
        datagrams(remote_addr=proxy.address) as two,
    ):
        one.transport.sendto(b"subscribe 1")
        await until(lambda: len(device.got) == 1)
        two.transport.sendto(b"subscribe 2")
        await until(lambda: len(device.got) == 2)
        assert device.peers[0] != device.peers[1]
        for word in (b"a", b"b"):
            device.transport.sendto(b"1" + word, device.peers[0])
            device.transport.sendto(b"2" + word, device.peers[1])
        await until(lambda: len(one.got) == len(two.got) == 2)
        assert (one.got, two.got) == ([b"1a", b"1b"], [b"2a", b"2b"])
        assert proxy.counts.connections == 2


async def test_datagrams_are_lost_doubled_and_reordered_as_asked():
    count = 2000
    async with datagrams(local_addr=HERE, echo=True) as device:
        settings = Impairment(loss=0.1, duplicate=0.1, reorder=0.1, direction="to_client")
        async with (
            UdpProxy(device.transport.get_extra_info("sockname"), impair=settings) as proxy,
            datagrams(remote_addr=proxy.address) as client,
        ):
            for number in range(count):
                client.transport.sendto(b"%d" % number)
                if number % 20 == 0:
                    await asyncio.sleep(0.002)
            await asyncio.sleep(1.2)
            numbers = [int(data) for data in client.got]
            distinct = list(dict.fromkeys(numbers))
            bound = 4 * (0.1 * 0.9 * count) ** 0.5
            assert len(device.got) == count
            assert count - len(distinct) == pytest.approx(0.1 * count, abs=bound)
            assert len(numbers) - len(distinct) == pytest.approx(0.1 * len(distinct), abs=bound)
            passed = sum(number < max(distinct[:here], default=0) for here, number in enumerate(distinct))
            assert passed == pytest.approx(0.1 * len(distinct), abs=bound)


async def test_datagrams_come_later_by_the_delay():
    async with (
        datagrams(local_addr=HERE, echo=True) as device,
        UdpProxy(device.transport.get_extra_info("sockname"), impair=Impairment(delay_s=0.1)) as proxy,
        datagrams(remote_addr=proxy.address) as client,
    ):
        begun = time.monotonic()
        client.transport.sendto(b"x")
        await until(lambda: client.got)
        assert 0.2 <= time.monotonic() - begun < 0.4


async def test_a_device_that_comes_back_on_its_port_is_reached_again():
    async with datagrams(local_addr=HERE) as first:
        place = first.transport.get_extra_info("sockname")
    async with UdpProxy(place) as proxy, datagrams(remote_addr=proxy.address) as client:
        client.transport.sendto(b"anybody?")
        await asyncio.sleep(0.05)
        async with datagrams(local_addr=place) as device:
            client.transport.sendto(b"you?")
            await until(lambda: device.got)
            assert device.got == [b"you?"]


async def test_idle_clients_and_reset_ones_are_forgotten():
    async with (
        datagrams(local_addr=HERE) as device,
        UdpProxy(device.transport.get_extra_info("sockname"), idle_s=0.2) as proxy,
        datagrams(remote_addr=proxy.address) as client,
    ):
        for _ in range(8):
            client.transport.sendto(b"x")
            await asyncio.sleep(0.05)
        assert len(set(device.peers)) == 1
        await asyncio.sleep(0.35)
        client.transport.sendto(b"x")
        await until(lambda: len(device.got) == 9)
        assert proxy.counts.connections == 2
        await proxy.reset()
        client.transport.sendto(b"x")
        await until(lambda: len(device.got) == 10)
        assert proxy.counts.connections == 3


async def command(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hil.proxy", *arguments, cwd=ROOT, stdout=pipe, stderr=pipe
    )


async def test_the_command_stands_in_front_of_a_device_and_counts(far):
    host, port = far.address
    process = await command(
        "0", f"{host}:{port}", "--carries", "modbus", "--delay", "100ms", "--direction", "to_client"
    )
    assert process.stdout is not None
    told = (await process.stdout.readline()).decode()
    assert f"in front of {host}:{port}" in told
    reader, writer = await asyncio.open_connection("127.0.0.1", int(told.split()[2].rstrip(",").rpartition(":")[2]))
    begun = time.monotonic()
    writer.write(mbap(1, 5))
    assert await read(reader, 12) == mbap(1, 5)
    assert time.monotonic() - begun >= 0.1
    process.send_signal(signal.SIGINT)
    out, errors = await process.communicate()
    counts = json.loads(out)
    assert (counts["connections"], counts["to_client"]["delivered"]) == (1, 1)
    assert (errors, process.returncode) == (b"", 0)
    writer.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["0", "nowhere"], "HOST:PORT"),
        (["0", "9", "--delay", "200"], "write '200 s'"),
        (["0", "9", "--loss", "5"], "loss: 5.0 is not a share"),
        (["0", "9", "--late", "5%"], "--late-by"),
        (["0", "9", "--carries", "bacnet", "--refuse"], "bacnet has no connections"),
        (["192.0.2.1:1502", "9"], "cannot listen on 192.0.2.1:1502"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_arguments(arguments, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert says in f"{ended.value}{capsys.readouterr().err}"
