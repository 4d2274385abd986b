"""What goes wrong between a client and a device: no answers, wrong answers, and bad lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from energyctl.core.units import Ratio, Seconds
from hil.proxy import Line

from .base import Bench, Fault, Target, kind
from .claims import Undo, all_of
from .readings import whole

CODES = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    0x0B: "gateway target device failed to respond",
}
_TCP = ("modbus", "opcua")


@kind
class Silent(Fault):
    """No answers."""

    kind: ClassVar[str] = "silent"
    about: ClassVar[str] = "The device takes requests and answers none."
    target: ClassVar[Target] = "device"
    swallows: ClassVar[bool] = True

    def begin(self, bench: Bench) -> Undo:
        return bench.claims.attribute(self.device(bench).ail, "silent", True)


@kind
class Offline(Fault):
    """Unplugged."""

    kind: ClassVar[str] = "offline"
    about: ClassVar[str] = "The device is unplugged: what is left on its connection answers for it, or nobody does."
    target: ClassVar[Target] = "device"
    swallows: ClassVar[bool] = True

    def begin(self, bench: Bench) -> Undo:
        return bench.claims.attribute(self.device(bench), "online", False)


def _code(text: Any) -> Any:
    number = whole(text)
    if number not in CODES:
        raise ValueError(f"must be one of {', '.join(f'{code} ({name})' for code, name in CODES.items())}")
    return number


@kind
class Exceptional(Fault):
    """An error for every request."""

    kind: ClassVar[str] = "exception"
    about: ClassVar[str] = "Every request is answered with this Modbus exception code, or its protocol's nearest error."
    target: ClassVar[Target] = "device"

    code: Annotated[int, BeforeValidator(_code)] = 4
    """1 to 6 or 0x0B."""

    def begin(self, bench: Bench) -> Undo:
        return bench.claims.attribute(self.device(bench).ail, "exception", self.code)


@kind
class RefusedPoint(Fault):
    """An error for one point."""

    kind: ClassVar[str] = "refused-point"
    about: ClassVar[str] = "Reads and writes of one point are answered with an error, while the others work."
    target: ClassVar[Target] = "point"

    def begin(self, bench: Bench) -> Undo:
        device, name = self.points(bench)[0]
        return bench.claims.member(device.ail.refused, name)


class OnLine(Fault):
    """Base of what is done to the lines in front of servers: one for a connection, or on BACnet one for every device.

    Where several stand on one line, the latest says in which direction all of them apply.
    """

    target: ClassVar[Target] = "link"
    on_line: ClassVar[bool] = True

    def settings(self) -> Mapping[str, object]:
        """Fields of the line's impairment."""
        raise NotImplementedError

    def begin(self, bench: Bench) -> Undo:
        settings = self.settings().items()
        lines = _lines(self, bench)
        return all_of([bench.claims.attribute(line.impair, name, value) for line in lines for name, value in settings])


def _lines(fault: Fault, bench: Bench) -> list[Line]:
    """The lines of a device, or of all devices on a connection, each once."""
    site = bench.site
    devices = [device for device, link in site.link_of.items() if fault.on in (device, link)]
    return list({id(line): line for line in map(bench.twin.line, devices)}.values())


async def _cut(lines: Sequence[Line]) -> None:
    for line in lines:
        await line.reset()


@kind
class Reset(Fault):
    """Cut connections."""

    kind: ClassVar[str] = "reset"
    about: ClassVar[str] = "All connections are cut, once or again and again: every: 30 s."
    target: ClassVar[Target] = "link"
    on_line: ClassVar[bool] = True
    protocols: ClassVar[tuple[str, ...]] = _TCP
    over_tcp: ClassVar[bool] = True

    every: Annotated[Seconds, Field(gt=0)] | None = None
    """Once, when nothing is said."""

    @property
    def lasts_s(self) -> float | None:
        return 0.0 if self.every is None else None

    async def begin(self, bench: Bench) -> Undo | None:
        lines = _lines(self, bench)
        if self.every is not None:
            return bench.every(self.every, lambda: _cut(lines))
        await _cut(lines)
        return None


@kind
class Blackhole(OnLine):
    """A pulled cable."""

    kind: ClassVar[str] = "blackhole"
    about: ClassVar[str] = "Nothing that is sent arrives any more; connections seem to stay."
    swallows: ClassVar[bool] = True

    def settings(self) -> Mapping[str, object]:
        return {"blackhole": True}


@kind
class HalfOpen(OnLine):
    """Dead connections."""

    kind: ClassVar[str] = "half-open"
    about: ClassVar[str] = "Connections that are used now are dead for good, and neither side is told."
    protocols: ClassVar[tuple[str, ...]] = _TCP
    over_tcp: ClassVar[bool] = True
    swallows: ClassVar[bool] = True

    def settings(self) -> Mapping[str, object]:
        return {"half_open": True}


@kind
class RefusedConnection(OnLine):
    """Nobody listens."""

    kind: ClassVar[str] = "refused-connection"
    about: ClassVar[str] = "All connections are cut and new ones are refused."
    protocols: ClassVar[tuple[str, ...]] = _TCP
    over_tcp: ClassVar[bool] = True

    def settings(self) -> Mapping[str, object]:
        return {"refuse": True}

    async def begin(self, bench: Bench) -> Undo:  # type: ignore[override]
        undo = super().begin(bench)
        await _cut(_lines(self, bench))
        return undo


@kind
class Delay(OnLine):
    """A slow line."""

    kind: ClassVar[str] = "delay"
    about: ClassVar[str] = "Everything comes later, in real time: by: 200 ms, and up to jitter: 50 ms more."

    by: Annotated[Seconds, Field(ge=0)]
    """Each way."""
    jitter: Annotated[Seconds, Field(ge=0)] = 0.0
    """Up to so much more."""
    direction: Literal["both", "to_device", "to_client"] = "both"

    def settings(self) -> Mapping[str, object]:
        return {"delay_s": self.by, "jitter_s": self.jitter, "direction": self.direction}


@kind
class Late(OnLine):
    """Replies nobody waits for any more."""

    kind: ClassVar[str] = "late"
    about: ClassVar[str] = "Replies come later than the client waits: by: 3 s, or only a share: 20 % of them."
    swallows: ClassVar[bool] = True

    by: Annotated[Seconds, Field(gt=0)] = 3.0
    """Choose more than the timeout of the connection."""
    share: Annotated[Ratio, Field(gt=0, le=1)] = 1.0
    """Of the replies."""

    def settings(self) -> Mapping[str, object]:
        return {"late_s": self.by, "late": self.share}


class _Share(OnLine):
    share: Annotated[Ratio, Field(gt=0, le=1)] = 0.1
    """Of the frames or datagrams."""
    direction: Literal["both", "to_device", "to_client"] = "both"

    field: ClassVar[str]

    def settings(self) -> Mapping[str, object]:
        return {self.field: self.share, "direction": self.direction}


@kind
class Loss(_Share):
    """Lost messages."""

    kind: ClassVar[str] = "loss"
    about: ClassVar[str] = "A share of what is sent never arrives: share: 10 %."
    swallows: ClassVar[bool] = True
    field: ClassVar[str] = "loss"


@kind
class Duplicated(_Share):
    """Doubled messages."""

    kind: ClassVar[str] = "duplicated"
    about: ClassVar[str] = "A share of what is sent arrives twice: share: 10 %."
    field: ClassVar[str] = "duplicate"


@kind
class Reordered(_Share):
    """Messages in the wrong order."""

    kind: ClassVar[str] = "reordered"
    about: ClassVar[str] = "A share of what is sent arrives after what was sent next: share: 10 %."
    swallows: ClassVar[bool] = True
    field: ClassVar[str] = "reorder"
