"""The simulated site: reads what its devices were commanded, moves the physics on, shows readings with noise.

Within a step of at most a minute everything is constant. Order: what is given (sun, load), what was commanded (air handler,
car, heat pump, roof), last the battery, which sees what the others leave at the connection; the meter is the sum.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from energyctl.config import Site
from energyctl.core.comfort import WeekSchedule
from energyctl.core.errors import ConfigError
from hil.device import SimDevice
from hil.measured import Measured, Weather

from . import devices as own
from .airing import ahu_power, co2_step, fan_speed
from .battery import battery_step
from .building import ZoneFlows, ZoneInputs, ZoneState, gains, zone_step
from .ev import EvState, come_and_go, ev_step, missing_kwh, present
from .generation import available_kw, pv_power
from .heat_pump import HeatPumpFlow, gathered, heat_pump_step, thermostat
from .params import PlantParams
from .readings import Truth, show_all
from .sensors import Sensors
from .trace import Powers, Recorder, States, TraceRow

LONGEST_S = 60.0


class Course(Protocol):
    """What a plant has to know of a scenario (see `hil.scenario`): when, what happens outside, which parameters."""

    @property
    def seed(self) -> int: ...

    @property
    def plant(self) -> PlantParams: ...

    def start(self, timezone: str) -> datetime: ...

    def series(self, folder: Path, timezone: str) -> Measured: ...


class Plant:
    """A site's building and devices. `start` replaces the scenario's: then the scenario's day repeats, by clock time.

    Raises ConfigError when the site has two devices of a kind that the building has one of, or its data cannot be read.
    """

    def __init__(self, scenario: Course, site: Site, start: datetime | None = None) -> None:
        self._p = scenario.plant
        self._zone = ZoneInfo(site.timezone)
        self.measured = scenario.series(site.path.parent, site.timezone)
        self.time = scenario.start(site.timezone) if start is None else start
        self.devices = {device.id: SimDevice(device.id, device.profile) for device in site.devices.values()}
        self._by_role = _roles(self.devices)
        self._sensors = Sensors(self._p.sensors, scenario.seed + 2)
        self._recorder = Recorder()
        self._own = own.OwnSchedule(self._p.heat_pump, self._p.mode)
        self._open = WeekSchedule(self._p.ahu.hours)
        self._in_use = [WeekSchedule(zone.occupied) for zone in self._p.zones]
        self.zones = [
            ZoneState(air, mass) for air, mass in zip(self._p.initial_air_c, self._p.initial_mass_c, strict=True)
        ]
        self._integrals = [0.0] * len(self.zones)
        self.battery_kwh = self._p.battery.initial_soc * self._p.battery.capacity_kwh
        self.ev = EvState(present(self._p.ev, self._local()))
        self._co2 = self._p.ahu.initial_ppm
        self._imported, self._exported, self._pv_kwh = 1250.0, 310.0, 4200.0
        self.powers = Powers(base_kw=0.0)
        self.heat = HeatPumpFlow(0.0, (0.0, 0.0), 1.0, 20.0)
        self.flows: list[ZoneFlows] = []
        self.battery_loss_kw = 0.0
        self._prepare()

    @property
    def trace(self) -> list[TraceRow]:
        """The truth so far, a row a minute."""
        return self._recorder.rows

    def step(self, to: datetime) -> None:
        """Move on to an instant and show what the sensors read then. An instant that is not ahead changes nothing."""
        if to <= self.time:
            return
        while self.time < to:
            self._piece(min(LONGEST_S, (to - self.time).total_seconds()))
        self._show()

    def _local(self) -> datetime:
        return self.time.astimezone(self._zone)

    def _prepare(self) -> None:
        """What the devices show before the first step: own limits open, nothing commanded, first readings."""
        battery, pv = self._p.battery, self._p.pv
        own.show(self._by_role.get("inverter"), {"rated_power": pv.rated_kw, "power_limit": 1.0})
        own.show(self._by_role.get("battery"), {"capacity": battery.capacity_kwh})
        own.show(self._by_role.get("charger"), {"current_limit": self._p.ev.own_limit_a})
        minute = self.measured.minute(self.time)
        weather = self.measured.weather(minute)
        given = available_kw(self._p.pv, weather) if "inverter" in self._by_role else 0.0
        base = self.measured.load_kw[minute]
        self.powers = Powers(base_kw=base, pv_kw=-given, pv_available_kw=given)
        self._own_setpoints()
        self._show()

    def _piece(self, seconds: float) -> None:
        hours, local = seconds / 3600, self._local()
        minute = self.measured.minute(self.time)
        weather, base = self.measured.weather(minute), self.measured.load_kw[minute]
        in_use = [schedule.covers(local) for schedule in self._in_use]
        ahu = self._airing(local, in_use, hours)
        car = self._charge(local, hours)
        hp = self._heat(weather, base, in_use, seconds)
        available, pv = self._sun(weather)
        battery = self._battery(base + ahu + car + hp + pv, hours)
        self.powers = Powers(
            base_kw=base, pv_kw=pv, battery_kw=battery, ev_kw=car, hp_kw=hp, ahu_kw=ahu, pv_available_kw=available
        )
        self._count(hours)
        self._recorder.add(self.time, seconds, self.powers, self._states(weather))
        self.time += timedelta(seconds=seconds)

    def _flush(self) -> bool:
        ahu = self._by_role.get("ahu")
        return ahu is not None and bool(ahu.values["flush"])

    def _airing(self, local: datetime, in_use: list[bool], hours: float) -> float:
        if "ahu" not in self._by_role:
            return 0.0
        open_now, flush = self._open.covers(local), self._flush()
        self._co2 = co2_step(self._p.ahu, self._co2, sum(in_use) / len(in_use), open_now, flush, hours)
        return ahu_power(self._p.ahu, open_now, flush)

    def _charge(self, local: datetime, hours: float) -> float:
        charger = self._by_role.get("charger")
        self.ev = come_and_go(self._p.ev, self.ev, local)
        limit = own.charge_limit(charger, self._p.ev.own_limit_a, self.time)
        if charger is None:
            return 0.0
        self.ev, power = ev_step(self._p.ev, self.ev, limit, hours)
        return power

    def _own_setpoints(self) -> tuple[float, ...]:
        """The setpoints in force; the heat pump's own schedule where nobody commands them."""
        device, scheduled = self._by_role.get("heat_pump"), self._own.setpoints(self._local())
        names = [f"zone{zone}_setpoint" for zone in range(1, len(scheduled) + 1)]
        own.show(device, dict(zip(names, scheduled, strict=True)))
        return scheduled if device is None else tuple(device.values[name] for name in names)

    def _heat(self, weather: Weather, base: float, in_use: list[bool], seconds: float) -> float:
        setpoints, demands = self._own_setpoints(), []
        sign = 1.0 if self._p.mode == "heat" else -1.0
        for i, (zone, state) in enumerate(zip(self._p.zones, self.zones, strict=True)):
            error = sign * (setpoints[i] - state.air_c)
            demand, self._integrals[i] = thermostat(
                self._p.heat_pump, zone.emitter_kw, error, self._integrals[i], seconds
            )
            demands.append(demand if "heat_pump" in self._by_role else 0.0)
        most = gathered(self._p.heat_pump, self.heat.power_kw, seconds)
        self.heat = heat_pump_step(self._p.heat_pump, self._p.mode, weather, demands, most)
        self._warm(weather, base, in_use, seconds / 3600)
        return self.heat.power_kw if "heat_pump" in self._by_role else 0.0

    def _warm(self, weather: Weather, base: float, in_use: list[bool], hours: float) -> None:
        open_now, flush = self._open.covers(self._local()), self._flush()
        air = [state.air_c for state in self.zones]
        self.flows = []
        for i, (zone, state) in enumerate(zip(self._p.zones, self.zones, strict=True)):
            sun, people = gains(zone, weather.ghi_w_m2, base, in_use[i])
            vent = (zone.vent_kw_k if open_now else 0.0) + (zone.flush_kw_k if flush else 0.0)
            inputs = ZoneInputs(weather.temp_c, sun, people, self.heat.heat_kw[i], vent)
            self.flows.append(zone_step(zone, state, air[1 - i], self._p.wall_kw_k, inputs, hours))

    def _sun(self, weather: Weather) -> tuple[float, float]:
        inverter = self._by_role.get("inverter")
        limit = own.pv_limit(inverter, self.time)
        available = available_kw(self._p.pv, weather) if inverter is not None else 0.0
        return available, pv_power(self._p.pv, available, limit)

    def _battery(self, others_kw: float, hours: float) -> float:
        device, params = self._by_role.get("battery"), self._p.battery
        if device is None:
            return 0.0
        wanted = own.battery_setpoint(device, self.time)
        if wanted is None:
            reserve = params.own_reserve * params.capacity_kwh
            wanted = own.self_consumption(others_kw, self.battery_kwh, reserve, hours)
        self.battery_kwh, flow = battery_step(params, self.battery_kwh, wanted, hours)
        self.battery_loss_kw = flow.loss_kw
        return flow.power_kw

    def _count(self, hours: float) -> None:
        grid = self.powers.grid_kw
        self._imported += max(0.0, grid) * hours
        self._exported += max(0.0, -grid) * hours
        self._pv_kwh -= self.powers.pv_kw * hours

    def _states(self, weather: Weather) -> States:
        pump = self._by_role.get("heat_pump")
        setpoints = [pump.values[f"zone{i}_setpoint"] if pump else float("nan") for i in (1, 2)]
        return States(
            soc=self.battery_kwh / self._p.battery.capacity_kwh,
            battery_kwh=self.battery_kwh,
            ev_connected=self.ev.visit is not None,
            ev_charged_kwh=self.ev.charged_kwh,
            ev_missing_kwh=missing_kwh(self._p.ev, self.ev),
            ev_unserved_kwh=self.ev.unserved_kwh,
            zone1_c=self.zones[0].air_c,
            zone2_c=self.zones[1].air_c,
            zone1_setpoint_c=setpoints[0],
            zone2_setpoint_c=setpoints[1],
            outdoor_c=weather.temp_c,
            ghi_w_m2=weather.ghi_w_m2,
            flush=self._flush(),
        )

    def _show(self) -> None:
        for device in self.devices.values():
            device.time = self.time
        truth = Truth(
            weather=self.measured.weather(self.measured.minute(self.time)),
            powers=self.powers,
            soc=self.battery_kwh / self._p.battery.capacity_kwh,
            car_there=self.ev.visit is not None,
            charged_kwh=self.ev.charged_kwh,
            air_c=tuple(zone.air_c for zone in self.zones),
            supply_c=self.heat.supply_c,
            cooling=self._p.mode == "cool",
            co2_ppm=self._co2,
            fan=fan_speed(self._open.covers(self._local()), self._flush()),
            imported_kwh=self._imported,
            exported_kwh=self._exported,
            pv_kwh=self._pv_kwh,
        )
        show_all(self._by_role, truth, self._sensors)


def _roles(devices: dict[str, SimDevice]) -> dict[str, SimDevice]:
    found: dict[str, SimDevice] = {}
    for device in devices.values():
        role = own.role_of(device.profile)
        if role in found:
            raise ConfigError(f"devices.{device.id}: the simulated building has one {role}, {found[role].id} already")
        if role is not None:
            found[role] = device
    return found
