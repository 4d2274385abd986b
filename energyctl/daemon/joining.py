"""Who joins the control cycle of a site: rules, people, modes and watchers (see `control.seams`), in the order they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.commissioned import Commissioned, Records
from energyctl.control.drain import Drain
from energyctl.control.estop import EmergencyStop
from energyctl.control.fdd import Rounds
from energyctl.control.modes import Modes
from energyctl.control.overrides import Overrides
from energyctl.control.seams import Seams
from energyctl.control.trials import Trials
from energyctl.core.boot import boot_id
from energyctl.core.clock import Clock
from energyctl.field.acquire import DeviceState

from .clock_trust import ClockTrust
from .paths import StatePaths
from .pinned import Pinned
from .returning import remembered
from .rules import SiteRules
from .starts import Starts


@dataclass(frozen=True)
class Place:
    """What those who join may need."""

    site: Site
    clock: Clock
    alarms: Alarms
    paths: StatePaths
    trust: ClockTrust
    rules: SiteRules
    estop: EmergencyStop
    drain: Drain
    starts: Starts
    overrides: Overrides
    trials: Trials
    records: Records
    identities: Callable[[], Mapping[str, str | None]]
    """What every device says it is now; None while that is not known."""
    pinned: Pinned

    @classmethod
    def of(
        cls,
        site: Site,
        clock: Clock,
        alarms: Alarms,
        paths: StatePaths,
        identities: Callable[[], Mapping[str, str | None]],
        newest: datetime | None,
        states: Mapping[str, DeviceState],
        epochs: Mapping[str, int],
    ) -> Place:
        """With what earlier runs have left in the state directory; `newest` is the time of the newest stored sample,
        `states` how the devices are, `epochs` since which configuration they are who they are.
        """
        boot = "" if clock.virtual else boot_id()
        trust = ClockTrust.of(site, clock, alarms, newest)
        return cls(
            site,
            clock,
            alarms,
            paths,
            trust,
            SiteRules(site, paths.rules, clock, trust, alarms),
            EmergencyStop(paths.estop, clock, alarms),
            Drain(),
            Starts(paths.starts, clock, boot, alarms),
            Overrides(paths.overrides, clock, boot),
            Trials(site),
            Records(paths.commissioned, site, remembered(paths)),
            identities,
            Pinned(site, epochs, states, paths.pins, alarms),
        )

    def succeed(self, site: Site, states: Mapping[str, DeviceState], epochs: Mapping[str, int]) -> Place:
        """The place under another configuration: what does not depend on it goes on."""
        trust = ClockTrust.of(site, self.clock, self.alarms, None)
        trust.succeed(self.trust)
        rules = SiteRules(site, self.paths.rules, self.clock, trust, self.alarms)
        rules.succeed(self.rules)
        records = Records(self.paths.commissioned, site, self.records.site_file)
        pinned = Pinned(site, epochs, states, self.paths.pins, self.alarms)
        return replace(self, site=site, trust=trust, rules=rules, trials=Trials(site), records=records, pinned=pinned)

    def hands_on(self) -> set[str]:
        """The points that people have a hand on now; "*" is everything."""
        held = {"*"} if self.estop.standing is not None else set()
        return held | {one.point for one in self.overrides.standing}


def joined(place: Place) -> Seams:
    """Everybody who has something to say in a site's cycle."""
    return Seams(
        wants=[place.overrides, place.trials, place.rules],
        bans=[
            place.estop,
            Modes(place.site, place.trials),
            place.trials,
            Commissioned(place.site, place.records, place.identities, place.trials),
            place.drain,
            place.starts,
            place.trust,
            place.pinned,
        ],
        watches=[
            place.estop,
            place.starts,
            place.trust,
            place.pinned,
            Rounds(place.site, place.alarms, place.hands_on),
        ],
        calendar=place.trust,
    )
