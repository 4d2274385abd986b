"""Simulated devices of the shipped profiles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest

from energyctl.config import load_profiles
from hil.device import SimDevice

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)

MakeDevice = Callable[..., SimDevice]
Busy = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def make_device() -> MakeDevice:
    """A device by id and profile name, showing these values [canonical]."""

    def make(device_id: str, profile: str, **values: float) -> SimDevice:
        device = SimDevice(device_id, load_profiles()[profile], values)
        device.time = NOON
        return device

    return make


@contextmanager
def _busy() -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.fixture(scope="session")
def busy() -> Busy:
    """A context in which other work runs on every core of the machine."""
    return _busy
