"""What happens to the daemon itself, and to what it is given. It is found as whoever listens on its control socket."""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from energyctl.config import Site
from energyctl.config.yaml_source import read_yaml
from energyctl.core.errors import DaemonDown
from energyctl.core.units import Seconds
from energyctl.daemon.paths import address, state_dir
from hil.events import Happened
from hil.rewrite import rewritten

from .base import Bench, Fault, Needs, Target, kind
from .claims import Undo

_LEAST_PRICES = 2


def daemon_of(bench: Bench) -> int:
    """The process id of the site's daemon. Raises DaemonDown when none runs."""
    if bench.pid is not None:
        return bench.pid
    places = [state_dir(bench.site.id, folder).socket for folder in dict.fromkeys((bench.state, None))]
    for path in places:
        with suppress(OSError):
            return _listener(path)
    looked = " or ".join(map(str, places))
    raise DaemonDown(f"no daemon of site '{bench.site.id}' is running (no answer at {looked})")


def _listener(path: Path) -> int:
    """The process that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking, address(path) as name:
        asking.connect(name)
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _send(bench: Bench, pid: int, number: signal.Signals, text: str) -> None:
    os.kill(pid, number)
    bench.world.log.add(bench.world.time, Happened.DAEMON, "daemon", text, pid=pid)


class OnDaemon(Fault):
    """Base of what is done to the daemon's process."""

    target: ClassVar[Target] = "daemon"
    needs: ClassVar[Needs] = "live"


@kind
class DaemonKilled(OnDaemon):
    """A crash."""

    kind: ClassVar[str] = "daemon-killed"
    about: ClassVar[str] = "The daemon is killed (SIGKILL) and has no chance to hand anything back."

    @property
    def lasts_s(self) -> float | None:
        return 0.0

    def begin(self, bench: Bench) -> None:
        _send(bench, daemon_of(bench), signal.SIGKILL, "killed")


@kind
class DaemonStopped(OnDaemon):
    """An ordinary stop."""

    kind: ClassVar[str] = "daemon-stopped"
    about: ClassVar[str] = "The daemon is told to stop (SIGTERM) and hands its devices back."

    @property
    def lasts_s(self) -> float | None:
        return 0.0

    def begin(self, bench: Bench) -> None:
        _send(bench, daemon_of(bench), signal.SIGTERM, "stopped")


@kind
class DaemonHung(OnDaemon):
    """A daemon that does nothing."""

    kind: ClassVar[str] = "daemon-hung"
    about: ClassVar[str] = (
        "The daemon does nothing (SIGSTOP) and then goes on, unless its parent has killed it by then."
    )

    def begin(self, bench: Bench) -> Undo:
        pid = daemon_of(bench)
        _send(bench, pid, signal.SIGSTOP, "hung")

        def resume() -> None:
            with suppress(ProcessLookupError):
                _send(bench, pid, signal.SIGCONT, "resumed")

        return resume


@kind
class ClockJump(Fault):
    """A wall clock that is wrong."""

    kind: ClassVar[str] = "clock-jump"
    about: ClassVar[str] = "The daemon's wall clock jumps: by: 1 h, or by: -20 min; it is right again when this ends."
    target: ClassVar[Target] = "daemon"
    needs: ClassVar[Needs] = "lockstep"

    by: Seconds
    """Ahead, or back with a minus."""

    def begin(self, bench: Bench) -> Undo:
        clock = bench.wall_clock
        return bench.claims.lay("wall clock", self.by, lambda jumps: setattr(clock, "off_s", sum(jumps)))


@kind
class PriceMissing(Fault):
    """A price file that ends."""

    kind: ClassVar[str] = "price-missing"
    about: ClassVar[str] = "The day-ahead prices end so long after the start of the run: after: 6 h."
    target: ClassVar[Target] = "site"
    needs: ClassVar[Needs] = "start"

    after: Annotated[Seconds, Field(ge=0)] = 0.0
    """The last price that is there is of the interval that begins before."""

    def check(self, site: Site) -> None:
        super().check(site)
        if "file" not in (read_yaml(site.path).data.get("tariff") or {}):
            raise self.wrong("on", "the site's tariff has no price file")

    def prepare(self, site_file: Path, start: datetime) -> None:
        def change(data: Any) -> None:
            cut = site_file.with_name(f"{site_file.stem}-prices.csv")
            _cut(Path(data["tariff"]["file"]), cut, start + timedelta(seconds=self.after), self)
            data["tariff"]["file"] = str(cut)

        rewritten(site_file, site_file, change, [site_file.parent])

    def begin(self, bench: Bench) -> None:
        return None


def _cut(prices: Path, cut: Path, end: datetime, fault: Fault) -> None:
    """Copy a price file without the rows from `end` on. Raises ConfigError when none to speak of are left."""
    lines = [line for line in prices.read_text("utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    at = lines[0].split(",").index("time_utc")
    kept = [line for line in lines[1:] if datetime.fromisoformat(line.split(",")[at].strip()) < end]
    if len(kept) < _LEAST_PRICES:
        raise fault.wrong("after", f"no prices would be left of {prices}, which begin at {lines[1].split(',')[at]}")
    cut.write_text("\n".join([lines[0], *kept]) + "\n")
