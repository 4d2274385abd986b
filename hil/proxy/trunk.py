"""Several lines as one: what is done to the trunk is done to every line in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from energyctl.core.errors import ConfigError

from .impair import Counts, Impairment, Tally

if TYPE_CHECKING:
    from . import Line


class Trunk:
    """A `Line` made of lines, at least one. A setting that changes here changes in all of them, the others stay."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self.transport: Literal["tcp", "udp", "serial"] = lines[0].transport
        self.address, self.target = lines[0].address, lines[0].target
        self.impair = Impairment()
        self._passed_on = self._settings()
        self.impair.watch(self._pass_on)

    @property
    def counts(self) -> Counts:
        """What all of them have done so far, added up."""
        each = [line.counts for line in self._lines]
        return Counts(
            _sum([counts.to_device for counts in each]),
            _sum([counts.to_client for counts in each]),
            sum(counts.connections for counts in each),
            sum(counts.refused for counts in each),
            sum(counts.reset for counts in each),
        )

    async def reset(self) -> None:
        """End all connections on all of them."""
        for line in self._lines:
            await line.reset()

    def retarget(self, host: str, port: int) -> None:
        """Raises ConfigError: only a single line has a single other end."""
        raise ConfigError(f"{len(self._lines)} lines cannot all be led to {host}:{port}; name one of the devices")

    def _settings(self) -> dict[str, Any]:
        return {field.name: getattr(self.impair, field.name) for field in fields(Impairment)}

    def _pass_on(self) -> None:
        now = self._settings()
        changed = {name: value for name, value in now.items() if value != self._passed_on[name]}
        self._passed_on = now
        for line in self._lines:
            line.impair.set(changed)


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(**{field.name: sum(getattr(tally, field.name) for tally in tallies) for field in fields(Tally)})
