"""One tree of errors. What is expected (a refusal, a clamp, an unverified write) is a result type, not an error.

Drivers translate their library's errors into these at the boundary, so that no other package ever learns which
library spoke. Commands turn them into one line for a person and a stable exit code.
"""

from __future__ import annotations

from collections.abc import Sequence


class EnergyctlError(Exception):
    """Base of all errors this project raises on purpose; `exit_code` is what a command returns for it."""

    exit_code = 1


class ConfigError(EnergyctlError):
    """A file or option that a person wrote is wrong. Carries every problem found, one readable line each."""

    exit_code = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class LinkError(EnergyctlError):
    """A device could not be reached: no route, port closed, connection lost. Says nothing about its state."""

    exit_code = 3

    def __init__(self, device: str, message: str) -> None:
        self.device = device
        super().__init__(f"{device}: {message}")


class LinkTimeout(LinkError):
    """The device was reached but did not answer in time. A write that timed out may have been carried out."""


class GarbledError(LinkError):
    """The device answered with bytes that make no sense for the question."""


class DeviceRefused(EnergyctlError):
    """The device understood and said no (a Modbus exception, a BACnet error, a bad OPC UA status)."""

    exit_code = 4

    def __init__(self, device: str, point: str, reason: str) -> None:
        self.device, self.point, self.reason = device, point, reason
        super().__init__(f"{point}: {device} refused: {reason}")


class GateRefused(EnergyctlError):
    """A person's write was refused by the write gate; the message names the rule."""

    exit_code = 5


class PlanError(EnergyctlError):
    """No plan could be made; the message says why in the site's own words."""

    exit_code = 6


class StoreError(EnergyctlError):
    """The historian or the journal cannot be read or written."""

    exit_code = 7


class AlreadyRunning(EnergyctlError):
    """Another daemon controls this site; nothing was touched."""

    exit_code = 9


class DaemonDown(EnergyctlError):
    """A command needs a running daemon and there is none."""

    exit_code = 8
