"""`python -m hil.testing.defects NAME ...`: the daemon with one planted defect, to show that a check goes red for it.

A defect replaces one thing in the daemon's process and in nothing else: the program knows nothing of this. What it replaces is
named as "module:attribute"; where that has moved planting fails (AttributeError) instead of testing a healthy daemon. With
--supervised the defective daemon runs as the child of the supervising parent, as under `energyctl run`; the defect is planted
in the parent as well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

from energyctl.config.problems import did_you_mean
from energyctl.core.clock import Turn
from energyctl.core.errors import ConfigError, LinkError
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalKind
from energyctl.core.resources import Target
from energyctl.core.units import canonical_unit

Wrap = Callable[[Any], Any]
"""Makes the defective thing of the healthy one."""
_OFTEN = 10**9
_HASTE_S = 0.1
_COOLS = 2
"""The mode point of a heat pump that cools."""
_GOOD_CYCLES = 20


@dataclass(frozen=True)
class Defect:
    """A planted mistake: what it breaks, which check or kind of expectation is to find it, and what it replaces."""

    breaks: str
    found_by: str
    patches: Mapping[str, Wrap]


def _without(*rules: str) -> Mapping[str, Wrap]:
    """The gate without some of its rules."""

    def wrap(table: Mapping[str, Any]) -> dict[str, Any]:
        missing = [rule for rule in rules if rule not in table]
        if missing:
            raise AttributeError(f"the gate has no rule {', '.join(missing)}")
        return {name: rule for name, rule in table.items() if name not in rules}

    return {"energyctl.control.gate:RULES": wrap}


def _always(value: Any) -> Wrap:
    return lambda healthy: value


def _idle(healthy: Any) -> Any:
    """Does nothing, whatever it is asked."""
    return lambda *args, **kwargs: None


def _never(healthy: Any) -> Any:
    async def no(*args: Any) -> bool:
        return False

    return no


def _nothing_handed_back(healthy: Any) -> Any:
    async def release_all(self: Any) -> list[Any]:
        return []

    return release_all


def _swapped_setpoint(healthy: Any) -> Any:
    def command(self: Any, device: str, name: str, value: float, lease_s: float) -> Any:
        sign = -1.0 if canonical_unit(self.points[name].unit) == "kW" else 1.0
        return healthy(self, device, name, sign * value, lease_s)

    return command


def _swapped_reading(healthy: Any) -> Any:
    def judge(sample: Sample, point: Any, *rest: Any) -> Sample:
        judged: Sample = healthy(sample, point, *rest)
        return judged if judged.value is None or point.unit != "kW" else replace(judged, value=-judged.value)

    return judge


def _bad_is_zero(healthy: Any) -> Any:
    def judge(*args: Any) -> Sample:
        judged: Sample = healthy(*args)
        return replace(judged, value=judged.value or 0.0, quality=Quality.GOOD, reason="")

    return judge


def _no_refresh(healthy: Any) -> Any:
    def due(*args: Any) -> Any:
        action = healthy(*args)
        return None if action == "refresh" else action

    return due


def _every_cycle(healthy: Any) -> Any:
    def due(holding: Any, wish: Any, point: Any, watchdog: bool, lease: float, now_s: float) -> Any:
        action = healthy(holding, wish, point, watchdog, lease, now_s)
        if action is not None or now_s < holding.hold_until:
            return action
        return resolve_name("energyctl.control.leases:ActionKind.WRITE")

    return due


def _silent_journal(healthy: Any) -> Any:
    async def commit(self: Any, batch: Any) -> None:
        kept = tuple(entry for entry in batch.journal if entry.kind is not JournalKind.INTENT)
        await healthy(self, replace(batch, journal=kept))

    return commit


def _believed(healthy: Any) -> Any:
    async def read_back(self: Any, device: Any, driver: Any, action: Any) -> None:
        self._effective(action.setpoint, action.setpoint.value)

    return read_back


def _any_device(healthy: Any) -> Any:
    async def identify(self: Any, device: Any, driver: Any, state: Any) -> None:
        state.identity, state.identity_error = "", None

    return identify


def _no_limits_tracked(healthy: Any) -> Any:
    def track(meter_kw: Any, target_kw: Any, limits: Any, *rest: Any, **more: Any) -> Any:
        return healthy(meter_kw, target_kw, replace(limits, import_kw=1e9, export_kw=1e9), *rest, **more)

    return track


def _plan_for_ever(healthy: Any) -> Any:
    def guide(plan: Any, now: Any, *rest: Any) -> Any:
        return healthy(plan, now if plan is None else plan.issued_at, *rest)

    return guide


def _spans_ignored(healthy: Any) -> Any:
    return lambda sample, point, span=None: healthy(sample, point)


def _lost_at_once(healthy: Any) -> Any:
    def failed(self: Any, device: Any, state: Any, error: str) -> None:
        healthy(self, device, state, error)
        state.failures = max(state.failures, resolve_name("energyctl.field.acquire:QUARANTINE_AFTER"))

    return failed


def _taken_for_ours(healthy: Any) -> Any:
    """Every frame gets the transaction id and the unit of the last question before anybody looks at it."""

    def passed(self: Any, question: bytes, received: bytes) -> bytes | None:
        return question[:2] + received[2:6] + question[6:7] + received[7:]

    return passed


def _impatient(healthy: Any) -> Any:
    def init(self: Any, wire: Any, timeout_s: float, *rest: Any, **more: Any) -> None:
        healthy(self, wire, min(timeout_s, _HASTE_S), *rest, **more)

    return init


def _refusal_is_loss(healthy: Any) -> Any:
    async def read(self: Any, device: str, *rest: Any) -> Any:
        answer = await healthy(self, device, *rest)
        if isinstance(answer, list):
            return answer
        raise LinkError(device, answer.reason)

    return read


def _never_again(healthy: Any) -> Any:
    async def connect(self: Any, device: str) -> Any:
        if self._lost:
            raise LinkError(device, "was lost before")
        return await healthy(self, device)

    return connect


def _by_wall_clock(healthy: Any) -> Any:
    async def sleep_until(self: Any, due: float, turn: Turn = Turn.INPUT) -> None:
        wake = self.now() + timedelta(seconds=due - self.monotonic())
        await healthy(self, due, turn)
        while turn is Turn.INPUT and (left := (wake - self.now()).total_seconds()) > 0:
            await healthy(self, self.monotonic() + left, turn)

    return sleep_until


def _nobody_above(healthy: Any) -> Any:
    async def commanded(*args: Any) -> str:
        return ""

    return commanded


def _starts_only(healthy: Any) -> Any:
    """A `subprocess` that starts a daemon, and runs nothing else."""
    return SimpleNamespace(Popen=healthy.Popen, PIPE=healthy.PIPE, run=lambda *args, **kwargs: None)


def _setback(healthy: Any) -> Any:
    def targets(self: Any, *args: Any) -> Any:
        image, site = args[-2:]
        comfort = site.comfort[self.comfort]
        value = comfort.setback_cool if image.value(self.mode) == _COOLS else comfort.setback_heat
        return (Target(self.setpoint, value, "nobody is ever there"),)

    return targets


def _in_fahrenheit(healthy: Any) -> Any:
    def command(self: Any, device: str, name: str, value: float, lease_s: float) -> Any:
        warm = canonical_unit(self.points[name].unit) == "°C"
        return healthy(self, device, name, value * 1.8 + 32 if warm else value, lease_s)

    return command


def _breaks_down(healthy: Any) -> Any:
    def look(self: Any) -> Any:
        if self.cycle > _GOOD_CYCLES:
            raise RuntimeError("a planted defect")
        return healthy(self)

    return look


DEFECTS: Mapping[str, Defect] = {
    "swapped-setpoint": Defect(
        "power setpoints go out with the other sign",
        "journal: no intent names the value that was written",
        {"energyctl.core.profile:Profile.command": _swapped_setpoint},
    ),
    "swapped-reading": Defect(
        "powers are taken in with the other sign",
        "energy: what is stored is not what flowed",
        {"energyctl.field.acquire:judge": _swapped_reading},
    ),
    "no-limits": Defect(
        "the gate knows no limits", "limits, where a site limits more than its resources", _without("limits")
    ),
    "no-rate": Defect("the gate lets any step pass", "rates, where a site limits a step", _without("rate")),
    "no-interval": Defect(
        "points change as often as they like", "intervals, where a change must wait", _without("interval")
    ),
    "no-type": Defect(
        "the gate takes what is no number or no choice",
        "limits or refusals, when somebody asks for it",
        _without("finite", "type"),
    ),
    "no-interlock": Defect("interlocks do not count", "interlocks, while one holds", _without("interlock")),
    "lease-not-renewed": Defect(
        "a device's watchdog is never refreshed",
        "lease: timers run out under a running daemon",
        {"energyctl.control.leases:_due": _no_refresh},
    ),
    "no-hand-back": Defect(
        "a stop leaves every device commanded",
        "lease: points are left commanded when the daemon ends",
        {"energyctl.control.dispatch:Dispatcher.release_all": _nothing_handed_back},
    ),
    "no-journal": Defect(
        "intents are not written down",
        "journal: writes have no line before them",
        {"energyctl.daemon.storing:StoreThread.commit": _silent_journal},
    ),
    "no-read-back": Defect(
        "what was acknowledged counts as in effect",
        "an alarm not-effective that must be raised on a deaf point",
        {
            "energyctl.control.dispatch:Dispatcher._read_back": _believed,
            "energyctl.control.dispatch:Dispatcher.compare": _idle,
            "energyctl.control.dispatch:Dispatcher._was_changed": _never,
        },
    ),
    "no-alarms": Defect(
        "no alarm is ever raised",
        "any alarm that must be raised",
        {"energyctl.control.alarms:Alarms.raise_": _idle},
    ),
    "bad-is-good": Defect(
        "bad samples count as good zeros",
        "an alarm meter-lost that must be raised",
        {"energyctl.field.acquire:judge": _bad_is_zero},
    ),
    "never-stale": Defect(
        "a value is good however old it is",
        "tests of acquisition alone: what a dead device showed is bad at once, long before it is old",
        {"energyctl.field.acquire:aged": _always(lambda sample, *rest: sample)},
    ),
    "no-identity": Defect(
        "any device at an address is taken for the right one",
        "no write to a device with an identity probe after another has taken its place",
        {"energyctl.field.acquire:Acquisition._identify": _any_device},
    ),
    "no-back-off": Defect(
        "a dead device is asked without a pause",
        "the count of what a line carries while its device is dead",
        {"energyctl.field.acquire:back_off": _always(lambda period_s, failures: 0.05)},
    ),
    "fights-rival": Defect(
        "a point that others set is never left alone",
        "wear: a fight",
        {
            "energyctl.control.dispatch:MAX_TRIES": _always(_OFTEN),
            "energyctl.control.dispatch:OVERRULED_ONCE": _always(_OFTEN),
        },
    ),
    "writes-every-cycle": Defect(
        "every value is written in every cycle",
        "wear: values are repeated without need",
        {"energyctl.control.leases:_due": _every_cycle},
    ),
    "no-limits-tracked": Defect(
        "tracking does not know the connection's limits",
        "grid import never above the limit, when the load jumps between two plans",
        {"energyctl.control.setpoints:track": _no_limits_tracked},
    ),
    "plan-dropped": Defect(
        "plans are made and never followed",
        "site is guided by plan",
        {"energyctl.daemon.cycle:Controller.new_plan": _idle},
    ),
    "no-ladder": Defect(
        "an old plan guides for ever",
        "site is guided by rules within some time of the planner's death",
        {"energyctl.daemon.cycle:guide": _plan_for_ever},
    ),
    "wrong-priority": Defect(
        "BACnet writes go to priority 8, the operator's",
        "priority",
        {"drivers.bacnet.driver:BacnetDriver.our_priority": _always(property(lambda self: 8))},
    ),
    "no-plausibility": Defect(
        "a reading is believed whatever it is, and however long it has not moved",
        "alarms implausible and meter-lost that must be raised",
        {
            "energyctl.field.acquire:judge": _spans_ignored,
            "energyctl.field.quality:Stillness.judge": _always(lambda self, sample, *rest: sample),
        },
    ),
    "gives-up": Defect(
        "a device that has not answered once counts as lost and is never asked again",
        "an alarm that must be cleared, or not stand any more, after the fault",
        {
            "energyctl.field.acquire:Acquisition._failed": _lost_at_once,
            "energyctl.field.acquire:back_off": _always(lambda period_s, failures: float(_OFTEN)),
        },
    ),
    "takes-any-answer": Defect(
        "whatever arrives on a Modbus connection is taken for the answer to the last question",
        "an alarm device-lost that must not be raised on a line that doubles; late answers are told by their length as well",
        {
            "drivers.modbus.tcp:TcpWire.passed": _taken_for_ours,
            "drivers.modbus.connection:Connection._give_up_on": _idle,
        },
    ),
    "keeps-connection": Defect(
        "a Modbus connection is kept when nothing comes over it any more",
        "an alarm that must be cleared after a dead connection",
        {"drivers.modbus.connection:Connection._give_up_on": _idle},
    ),
    "no-reconnect": Defect(
        "a Modbus connection that was cut is never opened again",
        "an alarm device-lost that must not stand",
        {"drivers.modbus.connection:Connection.connect": _never_again},
    ),
    "impatient": Defect(
        f"a Modbus answer is waited for {_HASTE_S:g} s, whatever the site file says",
        "alarms that must not be raised on a slow line",
        {"drivers.modbus.connection:Connection.__init__": _impatient},
    ),
    "refusal-is-loss": Defect(
        "a Modbus device that refuses a register counts as one that does not answer",
        "an alarm device-lost that must not be raised",
        {"drivers.modbus.connection:Connection.read": _refusal_is_loss},
    ),
    "polls-by-wall-clock": Defect(
        "devices are polled at wall-clock times",
        "an alarm meter-lost that must not be raised when the clock falls back",
        {"energyctl.core.clock:LockstepClock.sleep_until": _by_wall_clock},
    ),
    "parent-does-nothing": Defect(
        "the supervising parent hands nothing back",
        "devices on local control within some time of the daemon's death",
        {"energyctl.daemon.supervise:subprocess": _starts_only},
    ),
    "forgets-doubt": Defect(
        "a value that was once in effect counts as in effect for ever",
        "points commanded again after a restart of the device, and an alarm overruled",
        {
            "energyctl.control.dispatch:Dispatcher.doubt": _idle,
            "energyctl.control.dispatch:Dispatcher.compare": _idle,
            "energyctl.control.dispatch:Dispatcher._was_changed": _never,
        },
    ),
    "ignores-priorities": Defect(
        "who commands a BACnet point from above is not looked at",
        "no write while an operator has the point, and an alarm overridden",
        {"energyctl.control.dispatch:Dispatcher._commanded": _nobody_above},
    ),
    "guesses-silently": Defect(
        "prices that stand in for missing ones are not told",
        "an alarm price-missing that must stand",
        {"energyctl.daemon.jobs:stand_ins": _idle},
    ),
    "always-setback": Defect(
        "rooms are kept as if nobody were ever in",
        "discomfort",
        {"energyctl.resources.zone:Zone.follow": _setback, "energyctl.resources.zone:Zone.rule": _setback},
    ),
    "in-fahrenheit": Defect(
        "temperatures go out in °F",
        "refusals: devices are asked for what they cannot do",
        {"energyctl.core.profile:Profile.command": _in_fahrenheit},
    ),
    "breaks-down": Defect(
        f"every cycle after the {_GOOD_CYCLES}th fails",
        "ending: the daemon does not end well",
        {"energyctl.daemon.cycle:Controller._look": _breaks_down},
    ),
}
"""Every defect by name."""


def plant(name: str) -> Callable[[], None]:
    """Put a defect into this process. Returns how to take it out. Raises ConfigError, AttributeError when its place is gone."""
    if name not in DEFECTS:
        raise ConfigError(f"no defect '{name}'{did_you_mean(name, DEFECTS, 'there are')}")
    places = [(*_place(target), wrap) for target, wrap in DEFECTS[name].patches.items()]
    healthy = [(holder, attribute, _own(holder, attribute)) for holder, attribute, _ in places]
    for holder, attribute, wrap in places:
        setattr(holder, attribute, wrap(_own(holder, attribute)))

    def take_out() -> None:
        for holder, attribute, value in healthy:
            setattr(holder, attribute, value)

    return take_out


@contextmanager
def planted(name: str) -> Iterator[None]:
    """A defect in this process for as long as the context lasts."""
    take_out = plant(name)
    try:
        yield
    finally:
        take_out()


def _place(target: str) -> tuple[Any, str]:
    """Who holds the attribute "module:path.attribute", and its last name."""
    module, _, path = target.partition(":")
    holder, _, attribute = path.rpartition(".")
    return resolve_name(f"{module}:{holder}" if holder else module), attribute


def _own(holder: Any, attribute: str) -> Any:
    """What the holder itself has there. Raises AttributeError."""
    if attribute not in vars(holder):
        raise AttributeError(f"{holder!r} has no '{attribute}' of its own any more: the defect has lost its place")
    return vars(holder)[attribute]


def daemon_command(defect: str | None, supervised: bool = False) -> list[str]:
    """The command of a daemon, to which a site and options are added; with a parent that hands back after a crash if asked.

    Raises ConfigError for a defect that there is not.
    """
    if defect is None:
        return [sys.executable, *(["-c", _RUN, "run"] if supervised else ["-m", "energyctl.daemon"])]
    if defect not in DEFECTS:
        raise ConfigError(f"no defect '{defect}'{did_you_mean(defect, DEFECTS, 'there are')}")
    return [sys.executable, "-m", "hil.testing.defects", *(["--supervised"] if supervised else []), defect]


_RUN = "from energyctl.cli.main import main; main()"
"""The command-line program, whichever way it is installed."""


def main(arguments: Sequence[str]) -> int:
    """Entry of `python -m hil.testing.defects`."""
    from energyctl.daemon.main import main as daemon
    from energyctl.daemon.supervise import supervise

    parser = argparse.ArgumentParser(
        prog="python -m hil.testing.defects",
        description="Run the daemon with a planted defect.",
        epilog="\n".join(f"{name}: {defect.breaks}; found by {defect.found_by}" for name, defect in DEFECTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--supervised", action="store_true", help="under the supervising parent")
    parser.add_argument("defect", choices=DEFECTS, metavar="NAME")
    options, rest = parser.parse_known_args(arguments)
    plant(options.defect)
    if options.supervised:
        return supervise(rest, ("-m", "hil.testing.defects", options.defect))
    return daemon(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
