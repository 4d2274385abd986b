"""`python -m hil.testing.defects NAME ...`: the daemon with one planted defect, to show that a check goes red for it.

A defect replaces one thing in the daemon's process and in nothing else: the program knows nothing of this. What it replaces is
named as "module:attribute"; where that has moved planting fails (AttributeError) instead of testing a healthy daemon. With
--supervised the defective daemon runs as the child of the usual supervising parent, as under `energyctl run`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalKind
from energyctl.core.units import canonical_unit

Wrap = Callable[[Any], Any]
"""Makes the defective thing of the healthy one."""
_OFTEN = 10**9


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
        "an alarm meter-lost that must be raised when polling hangs",
        {"energyctl.field.acquire:aged": _always(lambda sample, *rest: sample)},
    ),
    "no-identity": Defect(
        "any device at an address is taken for the right one",
        "no write to a device after another has taken its place",
        {"energyctl.field.acquire:Acquisition._identify": _any_device},
    ),
    "no-back-off": Defect(
        "a dead device is asked without a pause",
        "the count of what a line carries while its device is dead",
        {"energyctl.field.acquire:back_off": _always(lambda period_s, failures: 0.05)},
    ),
    "fights-rival": Defect(
        "a point that others set is never left alone",
        "wear, and no write to the point during the rival",
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
    if options.supervised:
        return supervise(rest, ("-m", "hil.testing.defects", options.defect))
    plant(options.defect)
    return daemon(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
