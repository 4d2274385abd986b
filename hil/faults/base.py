"""What a fault or a stimulus is, and what it can reach.

A kind is a frozen model of its parameters with a name and a sentence about itself. `begin` does it and returns how to take
it back. Kinds register with `@kind`; scenario files, `energyctl hil inject` and the pytest plugin all make them with `make`,
so a new kind is one class and nothing else.

Faults may overlap. Whatever several of them can change goes through `Bench.claims`, so that each takes back its own alone.
What is random comes from `Bench.luck`, and what happens later from `Bench.agenda`, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from energyctl.config import Site
from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError
from energyctl.core.points import Access
from hil.device import SimDevice
from hil.events import Plain
from hil.world import World

from .agenda import Agenda
from .claims import Claims, Undo

if TYPE_CHECKING:
    from hil.twin import Twin

Target = Literal["point", "readings", "device", "link", "part", "site", "daemon"]
"""readings: a point, or a device for all that it measures; link: a connection, or a device on it; part: a resource or device
of the simulated plant, which may be left out where the kind says so."""
Needs = Literal["", "lockstep", "live", "start"]


@dataclass
class WallClock:
    """How far the daemon's wall clock is off [s]; lockstep passes it on."""

    off_s: float = 0.0


@dataclass(frozen=True)
class Bench:
    """All that faults and stimuli may touch, as one of them sees it."""

    site: Site
    world: World
    twin: Twin
    seed: int = 1
    lockstep: bool = False
    """Time moves when the daemon says so; else by the running clock."""
    state: Path | None = None
    """The daemon's state directory, for faults of the daemon itself; None: where a daemon of this site keeps it."""
    pid: int | None = None
    """The daemon, when it is known better than by its state directory."""
    name: str = ""
    """What the fault is called that sees it so."""
    claims: Claims = field(default_factory=Claims)
    agenda: Agenda = field(default_factory=Agenda)
    wall_clock: WallClock = field(default_factory=WallClock)

    def of(self, name: str) -> Bench:
        """The same bench as the fault `name` sees it."""
        return replace(self, name=name)

    def luck(self, *what: object) -> Random:
        """Random numbers that are the same in every run of this scenario, for this fault and `what`."""
        return Random("/".join(map(str, (self.seed, self.name, *what))))

    def every(self, seconds: float, action: Callable[[], Any]) -> Undo:
        """Do it now and then every so many virtual seconds, until it is undone."""
        return self.agenda.repeat(self.world.time, seconds, action)


class Fault(BaseModel):
    """One thing done to the bench. Subclasses add parameters in site-file units."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    kind: ClassVar[str]
    about: ClassVar[str]
    target: ClassVar[Target]
    needs: ClassVar[Needs] = ""
    """"" works any time and anywhere; else only in that mode, or only from the start of a run on."""
    protocols: ClassVar[tuple[str, ...]] = ()
    """Where it makes sense; empty: everywhere."""
    over_tcp: ClassVar[bool] = False
    """It is done to connections, and a serial line has none."""
    on_line: ClassVar[bool] = False
    """Done to the line between device and client, which must be there from the start."""
    swallows: ClassVar[bool] = False
    """Clients wait for replies that never come."""
    writable: ClassVar[bool] = False
    """Its points must be such that may be written."""

    on: str = ""
    """The point, device, connection or part it is done to; nothing for the site and the daemon."""

    @property
    def lasts_s(self) -> float | None:
        """How long it lasts when nobody says [s]: None until it is ended, 0 when it happens once and is over."""
        return None

    def prepare(self, site_file: Path, start: datetime) -> None:
        """Change the derived site file before the run starts at `start`, for kinds that need it. Raises ConfigError."""
        del site_file, start

    def begin(self, bench: Bench) -> Undo | Awaitable[Undo | None] | None:
        """Do it. Returns how to take it back, if that is possible. Raises ConfigError when `check` does, or later finds so."""
        raise NotImplementedError

    def check(self, site: Site) -> None:
        """Raises ConfigError when `on` is not there on this site or cannot have this fault."""
        match self.target:
            case "site" | "daemon":
                if self.on:
                    raise self.wrong("on", f"'{self.on}': it is done to the whole {self.target}; leave 'on' out")
                return
            case "part":
                self._known({resource.id for resource in site.resources} | set(site.devices), "part", optional=True)
                return
            case "device":
                self._known(site.devices, "device")
            case "link":
                self._known({link.id for link in site.links} | set(site.devices), "connection or device")
            case "point":
                self._known(site.points, "point")
            case "readings":
                self._known({*site.points, *site.devices}, "point or device")
        self._check_protocol(site)
        self._check_writable(site)

    def parameters(self) -> dict[str, Plain]:
        """Everything about it as plain data, for the record."""
        values = self.model_dump(by_alias=True)
        plain = {key: value if isinstance(value, Plain) else str(value) for key, value in values.items()}
        return {"kind": self.kind, "target": self.target, **plain}

    def wrong(self, parameter: str, problem: str) -> ConfigError:
        """The error for a parameter that cannot be."""
        return ConfigError(f"{self.kind}: {parameter}: {problem}")

    def device(self, bench: Bench) -> SimDevice:
        """The device that `on` names, or whose point it names."""
        return bench.world.devices[self.on.partition(".")[0]]

    def points(self, bench: Bench) -> list[tuple[SimDevice, str]]:
        """The point that `on` names, or all that the device measures."""
        device, name = self.device(bench), self.on.partition(".")[2]
        if name:
            return [(device, name)]
        return [(device, name) for name, spec in device.profile.points.items() if spec.access is Access.READ]

    def line_device(self, site: Site) -> str:
        """A device behind the connection that `on` names, or the device that it names."""
        if self.on in site.devices:
            return self.on
        return next((device for device, link in site.link_of.items() if link == self.on), "")

    def _known(self, known: Any, what: str, *, optional: bool = False) -> None:
        if not self.on and optional:
            return
        if not self.on:
            raise self.wrong("on", f"is missing: the {what} it is done to{did_you_mean('', known, 'there are')}")
        if self.on not in known:
            raise self.wrong("on", f"'{self.on}': no such {what}{did_you_mean(self.on, known, 'there are')}")

    def _check_protocol(self, site: Site) -> None:
        device = self.line_device(site) if self.target == "link" else self.on.partition(".")[0]
        link = self.on if self.target == "link" and not device else site.link_of[device]
        found = next(one for one in site.links if one.id == link)
        if self.protocols and found.protocol not in self.protocols:
            possible = " and ".join(self.protocols)
            raise self.wrong("on", f"'{self.on}' is on {found.protocol}; this is possible on {possible} only")
        if self.over_tcp and found.options.get("transport") == "rtu":
            raise self.wrong("on", f"'{self.on}' is on a serial line; this is possible on TCP only")

    def _check_writable(self, site: Site) -> None:
        if not self.writable or self.target != "point":
            return
        writable = [name for name, point in site.points.items() if point.access is Access.READ_WRITE]
        if self.on not in writable:
            own = [name for name in writable if name.partition(".")[0] == self.on.partition(".")[0]]
            raise self.wrong("on", f"'{self.on}' is never written{did_you_mean(self.on, own or writable, 'there are')}")


F = TypeVar("F", bound=type[Fault])
KINDS: dict[str, type[Fault]] = {}


def kind(cls: F) -> F:
    """Register a kind by its name."""
    KINDS[cls.kind] = cls
    return cls
