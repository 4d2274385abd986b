"""Every kind of alarm there is: what it means, what to do, how much it matters, how long its condition must last.

Commands, the status and the webhook all speak of alarms by this table. An alarm `follows` from others: while one of those
stands on the same device (or, for a cause in `OF_THE_SITE`, anywhere), it is kept and journaled like any other, but
nobody is told of it; it is what the other one looks like from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from energyctl.core.severity import Severity


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """A kind of alarm. Its condition must last `delay_s` without a break before the alarm is raised [s]."""

    name: str
    severity: Severity
    meaning: str
    what_to_do: str
    delay_s: float = 0.0
    follows: tuple[str, ...] = ()


_I, _W, _C = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_MIN, _H = 60.0, 3600.0

OF_THE_SITE = frozenset({"estop"})
"""Alarms that explain others wherever those are."""
_AWAY = ("device-lost", "wrong-device")
_HANDS_ON = ("estop", "overridden", "overruled")
_SENSED = (*_AWAY, "meter-lost", "implausible", "estop")

_TABLE = (
    AlarmKind(
        "device-lost",
        _C,
        "A device has not answered three times in a row. Its values are bad and nothing is written to it.",
        "Look at its power, its cable and its address. 'energyctl device list' shows what its connection says.",
    ),
    AlarmKind(
        "wrong-device",
        _C,
        "Another device answers than its profile says, or none says who it is. Nothing is written to it.",
        "Have two devices been swapped, or one replaced? Put the right profile and address into the site file.",
    ),
    AlarmKind(
        "another-device",
        _C,
        "A device says it is another one than it was when the site was set up. Nothing is written to it.",
        "Was it replaced, or were two swapped? The text says how to accept the new one.",
    ),
    AlarmKind(
        "another-device",
        _C,
        "A device says it is another one than was accepted, or has new firmware. Nothing is written to it.",
        "If that is meant: 'energyctl config apply SITE --replace ID'. If not, look for swapped cables or addresses.",
    ),
    AlarmKind(
        "config-not-taken",
        _W,
        "The site file is not what is in force: it is wrong, or an id in it means another device.",
        "The text says why. 'energyctl config plan SITE' shows what it would change.",
    ),
    AlarmKind(
        "meter-lost",
        _C,
        "The power at the grid connection is not known, so its limits cannot be kept; the battery rests.",
        "Look at the grid meter first: power, cable, and whether what it shows moves.",
        follows=(*_AWAY, "implausible"),
    ),
    AlarmKind(
        "implausible",
        _W,
        "A reading cannot be: it is beyond what the connection or the equipment can do. It is shown and not believed.",
        "Look for a wrong unit, sign or register, or a sensor that has failed.",
    ),
    AlarmKind(
        "limit-exceeded",
        _C,
        "The power at the grid connection is over its limit and nothing that we control is left to move.",
        "Switch something off. If this comes again the limit or the equipment does not fit the load.",
        follows=("estop",),
    ),
    AlarmKind(
        "fallback",
        _W,
        "No fresh plan guides the site: the last one, the simple rules, or nothing does.",
        "The text says why. 'energyctl plan make' tries again now.",
        follows=("estop",),
    ),
    AlarmKind(
        "no-plan",
        _W,
        "The planner could not make a plan; the last one stays in place while it is young enough.",
        "The text says what was missing, mostly a measurement or a price.",
    ),
    AlarmKind(
        "price-missing",
        _W,
        "Prices do not reach to the end of the plan; those of a like day stand in.",
        "Bring the tariff's file up to date.",
    ),
    AlarmKind(
        "carbon-missing",
        _I,
        "The grid's carbon intensity does not reach to the end of the plan; that of a like day stands in.",
        "Bring the tariff's carbon file up to date.",
    ),
    AlarmKind(
        "not-effective",
        _W,
        "A device was told a value twice and it is not in effect; it is left alone for a while.",
        "Does the device follow remote control? Look for a local switch, a limit inside it, a wrong register.",
        follows=(*_AWAY, "estop"),
    ),
    AlarmKind(
        "overruled",
        _W,
        "A value of ours was changed by somebody else, or the device has restarted. We do not fight over it.",
        "Find the other controller or the person, and agree on whose the point is.",
        follows=_AWAY,
    ),
    AlarmKind(
        "overridden",
        _I,
        "A higher priority commands a point, so nothing is written to it.",
        "Nothing, if somebody meant it. Otherwise have the operator release the point.",
    ),
    AlarmKind(
        "not-released",
        _C,
        "A point could not be handed back to its device and may still hold our last value.",
        "It is tried again. If the device is at hand, look at what it does; else run 'energyctl handback SITE'.",
        follows=_AWAY,
    ),
    AlarmKind(
        "not-restored",
        _W,
        "A point was released, but not put back to what was found there: somebody else has set it meanwhile.",
        "The text says what it shows. Agree with whoever has set it, or set it by hand.",
    ),
    AlarmKind(
        "interlock",
        _W,
        "A condition of the site file keeps a point from us; it was handed back.",
        "The text says which condition. It ends by itself when the condition does.",
    ),
    AlarmKind(
        "fault",
        _C,
        "A part of this program failed. The others go on without it.",
        "Report it with the log around that time.",
    ),
    AlarmKind(
        "clock",
        _C,
        "The wall clock is wrong or was set. Nothing that goes by the calendar is done until it can be trusted again.",
        "Does a time service (chrony, systemd-timesyncd) run and reach its servers? A clock that is right needs nothing else.",
    ),
    AlarmKind(
        "frost",
        _C,
        "Rooms or a tank are about to freeze; their setpoint is raised until they are well above.",
        "Look for a window that stands open, or for heating that does not work.",
    ),
    AlarmKind(
        "legionella",
        _C,
        "A hot water tank has not been hot enough for long enough in time: legionella may grow in it.",
        "Does its heater reach the temperature? Until it has, let hot water run only where nobody breathes its mist.",
    ),
    AlarmKind(
        "heat-wave",
        _I,
        "It has been very hot for days; rooms are cooled by night where the site file says how.",
        "Close the shading before the sun is on it, and keep the windows closed by day.",
    ),
    AlarmKind(
        "store-failing",
        _C,
        "Measurements and the journal cannot be written. No new points are taken over until they can.",
        "Is the disk full or broken? 'df -h' on the state folder.",
    ),
    AlarmKind(
        "webhook-failing",
        _W,
        "Alarms cannot be delivered to the webhook; they are tried again and then given up, which is counted.",
        "Is its address right and its server up? The text says what it answers.",
    ),
    AlarmKind(
        "estop",
        _C,
        "The emergency stop stands: nothing is written by anybody, and everything was handed back.",
        "Find out who pressed it and why; 'energyctl estop clear' ends it.",
    ),
    AlarmKind(
        "overrides-not-kept",
        _W,
        "What was set by hand could not be written to disk, so a restart would forget it.",
        "Is the disk full or broken? 'df -h' on the state folder.",
    ),
    AlarmKind(
        "clock",
        _W,
        "The wall clock is not to be trusted; nothing is done by the calendar until it is.",
        "Does this machine reach its time server? 'timedatectl' says.",
    ),
    AlarmKind(
        "crash-loop",
        _C,
        "The daemon has ended badly again and again; it only watches now and writes nothing.",
        "Read its log, and report what it says.",
    ),
    AlarmKind(
        "legionella",
        _W,
        "The hot water has not been hot enough for long enough since longer than the site file allows.",
        "Heat the tank by hand to the temperature that the text names, and find out why it was not reached.",
        follows=("device-lost", "wrong-device"),
    ),
    AlarmKind(
        "frozen-sensor",
        _W,
        "A reading that naturally moves has stayed the very same for hours.",
        "Look at the sensor and at whatever passes its value on; a gateway may repeat the last one.",
        follows=_SENSED,
    ),
    AlarmKind(
        "reading-gaps",
        _I,
        "A point has no value for more than a fifth of the time, though its device answers.",
        "A weak line, a busy device, a register that is refused now and then: 'energyctl device list' counts errors.",
        follows=_SENSED,
    ),
    AlarmKind(
        "pv-silent",
        _W,
        "The roof gives nothing while the sun is high and no limit holds it down.",
        "Look at the inverter's display: a tripped breaker, a switch, an isolation fault.",
        delay_s=30 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "pv-at-night",
        _W,
        "The roof is said to give power while the sun is well below the horizon.",
        "A wrong sign, a wrong register, a wrong clock or place, or a battery behind the same inverter.",
        delay_s=10 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "pv-above-peak",
        _W,
        "The roof gives more than the peak power that the site file states.",
        "Is 'peak' of the site file right, or does the meter of the roof see something else too?",
        delay_s=5 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "pv-consumes",
        _W,
        "The roof is measured to consume while it should give: its sign or its current transformer is the wrong way round.",
        "Turn the transformer round, or set the sign in the profile.",
        delay_s=5 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "soc-drift",
        _W,
        "The battery's charge does not move with the power that goes in and out.",
        "A battery that needs a full charge to calibrate, a capacity that has shrunk, or a wrong 'capacity' or sign.",
        delay_s=5 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "poor-round-trip",
        _W,
        "Over five full charges the battery gave back clearly less than its stated efficiency promises.",
        "Ask its maker: worn cells, a failing fan, or much standby power. Is 'efficiency' right?",
        follows=_SENSED,
    ),
    AlarmKind(
        "ev-not-following",
        _W,
        "A car draws more than 1 A more than the charger was told to allow.",
        "Does the charger take the limit? Its own app or another controller may set it too.",
        delay_s=2 * _MIN,
        follows=(*_SENSED, *_HANDS_ON, "not-effective"),
    ),
    AlarmKind(
        "short-cycling",
        _W,
        "The heat pump has started more than six times within an hour, which wears it out.",
        "Too little water or too small a buffer, a hysteresis that is too narrow, or it is too large for the load.",
        follows=_SENSED,
    ),
    AlarmKind(
        "setpoint-not-followed",
        _W,
        "A room is off its setpoint by more than 1 K although the plant works as hard as it can.",
        "An open window, a closed valve, a sensor in the wrong place, or a plant that is too small for this weather.",
        delay_s=30 * _MIN,
        follows=(*_SENSED, *_HANDS_ON),
    ),
    AlarmKind(
        "heating-and-cooling",
        _W,
        "One zone is heated and its neighbour cooled at the same time.",
        "Look at the zones' setpoints: the heating one must lie below the cooling one next door, with a gap.",
        delay_s=10 * _MIN,
        follows=(*_SENSED, *_HANDS_ON),
    ),
    AlarmKind(
        "negative-base-load",
        _W,
        "What the grid meter sees is less than what the equipment is measured to take: one of the meters is wrong.",
        "Compare the meters on site. A transformer that is the wrong way round shows twice its power here.",
        delay_s=10 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "reversed-phase",
        _W,
        "A phase of the grid meter exports although nothing on the site generates: its transformer is the wrong way round.",
        "Turn the transformer of this phase round.",
        delay_s=15 * _MIN,
        follows=_SENSED,
    ),
    AlarmKind(
        "energy-mismatch",
        _W,
        "A meter's energy counter and its power do not agree by more than 2 % of an hour's energy.",
        "Look at transformer ratio and units: the two registers may be scaled differently.",
        follows=_SENSED,
    ),
    AlarmKind(
        "counter-backwards",
        _W,
        "An energy counter has gone back: it was reset, or the meter was replaced. A counter that starts again is not told.",
        "If the meter was replaced write down both readings; the energy in between is not counted.",
        follows=_SENSED,
    ),
    AlarmKind(
        "night-load-up",
        _I,
        "For three nights the building has used clearly more than it used to between one and five o'clock.",
        "Something stays on: ventilation, lights, a pump, frost protection.",
        follows=_SENSED,
    ),
)

KINDS: Mapping[str, AlarmKind] = {kind.name: kind for kind in _TABLE}
"""By name."""


def kind_of(name: str) -> AlarmKind:
    """The kind of an alarm by its name; a plug-in's own kind, which is not in the table, is a warning."""
    return KINDS.get(name) or AlarmKind(name, Severity.WARNING, "A plug-in's own alarm.", "Ask its maker.")
