"""What a fault or a stimulus is, and what it can reach.

A kind is a frozen model of its parameters with a name and a sentence about itself. `begin` does it and returns how to take
it back. Kinds register with `@kind`; scenario files, `energyctl hil inject` and the pytest plugin all make them with `make`,
so a new kind is one class and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from energyctl.config import Site

from ..world import World

if TYPE_CHECKING:
    from ..twin import Twin

Undo = Callable[[], Awaitable[None] | None]
Target = Literal["point", "device", "link", "site", "daemon"]


@dataclass
class Bench:
    """All that faults and stimuli may touch."""

    site: Site
    world: World
    twin: Twin
    random: Random
    """Seeded by scenario and fault, so that the same run has the same luck."""
    state: Any = None
    """Where the daemon's state is, for faults of the daemon itself."""
    skew_s: float = 0.0
    """How far the daemon's wall clock is off [s]; lockstep passes it on."""
    lockstep: bool = False
    live_tasks: list[Any] = field(default_factory=list)


class Fault(BaseModel):
    """One thing done to the bench. Subclasses add parameters with units in their names or site-file units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    about: ClassVar[str]
    target: ClassVar[Target]
    needs: ClassVar[Literal["", "lockstep", "live", "start"]] = ""
    """"" works any time and anywhere; else only in that mode, or only from the start of a run on."""

    on: str = ""
    """The point, device or connection it is done to; nothing for the site and the daemon."""

    def begin(self, bench: Bench) -> Undo | Awaitable[Undo]:
        """Do it. Returns how to take it back. Raises ConfigError when `on` is not there or cannot have this fault."""
        raise NotImplementedError


F = TypeVar("F", bound=type[Fault])
KINDS: dict[str, type[Fault]] = {}


def kind(cls: F) -> F:
    """Register a kind by its name."""
    KINDS[cls.kind] = cls
    return cls
