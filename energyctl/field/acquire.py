"""Acquisition: every device is polled by a loop of its own, so that a dead one delays nobody.

The rules: a point is read when it is due (fast points every control period, slow ones every 15 periods and at least a
minute apart), all points of a device that are due in one go. A device that does not answer gives bad samples at once,
with the reason, is not written to, and is asked for all of them again after a wait that doubles up to `BACK_OFF_CAP_S`;
after three failures in a row it is quarantined: it counts as lost. A driver that fails in a way it should not counts as a
device that does not answer: whatever one device sends, the others are not disturbed. Before a device may be written to it
must say it is who its profile says it is; that is asked again whenever it comes back, and once in a slow period. `latest`
always holds a sample for every point.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from energyctl.core.clock import Clock, Turn
from energyctl.core.driver import Device, Driver, Identifies, Subscribes
from energyctl.core.errors import DeviceRefused, LinkError
from energyctl.core.points import Point, ProcessImage, Sample

from .quality import Span, Stillness, aged, judge

log = logging.getLogger(__name__)

BACK_OFF_CAP_S = 10.0
QUARANTINE_AFTER = 3
SWITCHED_OFF = "switched off (mode 'off' in the site file)"


@dataclass
class DeviceState:
    """What acquisition knows of a device besides its samples."""

    failures: int = 0
    last_error: str = ""
    identity: str | None = None
    identity_error: str | None = None
    """Why it may not be written to as far as its identity goes; None when that is in order."""
    identified_s: float = 0.0
    """When it was last asked who it is, on `Clock.monotonic()`."""
    reads: int = 0
    errors: int = 0
    off: bool = False
    """Switched off by the site file: it is never asked."""

    @property
    def quarantined(self) -> bool:
        """Whether it has failed too often in a row to be taken for a passing trouble."""
        return self.failures >= QUARANTINE_AFTER


@dataclass
class Schedule:
    """When each point of a device is due, on `Clock.monotonic()`."""

    periods: Mapping[str, float]
    due: dict[str, float] = field(default_factory=dict)

    def at(self, now_s: float) -> list[str]:
        """The points due by now, in a fixed order."""
        return [point for point in self.periods if self.due.get(point, 0.0) <= now_s + 1e-6]

    def read(self, points: Iterable[str], now_s: float) -> None:
        """These points were read now; missed polls are skipped, not made up for."""
        for point in points:
            period = self.periods[point]
            due = self.due.get(point, now_s) + period
            self.due[point] = due if due > now_s else now_s + period

    @property
    def next(self) -> float:
        """When the next point is due."""
        return min((self.due.get(point, 0.0) for point in self.periods), default=float("inf"))


def slow_period(period_s: float) -> float:
    """Seconds between polls of slow points."""
    return max(60.0, 15 * period_s)


def back_off(period_s: float, failures: int) -> float:
    """Seconds to wait after so many failures in a row; however long a device is away, it is asked again."""
    return float(min(period_s * 2 ** min(failures, 30), max(BACK_OFF_CAP_S, period_s)))


def poll_periods(device: Device, period_s: float) -> dict[str, float]:
    """Seconds between polls of every point of a device."""
    slow = slow_period(period_s)
    specs = device.profile.points
    return {f"{device.id}.{name}": period_s if spec.poll == "fast" else slow for name, spec in specs.items()}


class Acquisition:
    """Polls devices and keeps the latest sample of every point. `fresh` collects what has come in since it was taken."""

    def __init__(self, clock: Clock, period_s: float, spans: Mapping[str, Span] | None = None) -> None:
        self._clock = clock
        self._spans = spans or {}
        self._stillness = Stillness()
        self._taken_s: dict[str, float] = {}
        self._period_s = period_s
        self._points: dict[str, Point] = {}
        self._poll_s: dict[str, float] = {}
        self._fresh: dict[str, Sample] = {}
        self.latest: dict[str, Sample] = {}
        self.states: dict[str, DeviceState] = {}

    def add(self, device: Device, off: bool = False) -> None:
        """Make a device known; until it answers, its points are bad with reason "not read yet". One that is `off` stays so."""
        now = self._clock.now()
        self.states[device.id] = DeviceState(off=off)
        self._points.update(device.points)
        self._poll_s.update(poll_periods(device, self._period_s))
        for point in device.points:
            self.latest[point] = Sample.bad(point, now, SWITCHED_OFF if off else "not read yet")
            self._taken_s[point] = self._clock.monotonic()

    def refit(self, period_s: float, spans: Mapping[str, Span]) -> None:
        """The site is another one from now on; what is known of the devices that stay is kept."""
        self._period_s, self._spans = period_s, spans

    def ask_again(self, device: Device) -> None:
        """A device is to be reached anew and has to say again who it is; what it showed last is kept."""
        self.states[device.id] = DeviceState()
        self._poll_s.update(poll_periods(device, self._period_s))

    def remove(self, device: str) -> None:
        """Forget a device."""
        self.states.pop(device, None)
        for point in [point for point in self._points if point.partition(".")[0] == device]:
            for known in (self._points, self.latest, self._poll_s, self._taken_s, self._fresh):
                known.pop(point, None)

    def take(self, samples: Iterable[Sample]) -> None:
        """Take in samples, from a poll, a subscription or a read-back."""
        now_s = self._clock.monotonic()
        for sample in samples:
            point = self._points.get(sample.point)
            if point is not None:
                judged = judge(sample, point, self._spans.get(sample.point))
                judged = self._stillness.judge(judged, point, now_s)
                self._fresh[sample.point] = self.latest[sample.point] = judged
                self._taken_s[sample.point] = now_s

    def fresh(self) -> tuple[Sample, ...]:
        """What has come in since the last call, ordered by point: the newest sample of each."""
        taken = tuple(self._fresh[point] for point in sorted(self._fresh))
        self._fresh.clear()
        return taken

    def image(self, cycle: int, derived: Iterable[Sample] = ()) -> ProcessImage:
        """The process image of this instant: the latest of everything, aged, plus `derived` samples."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        samples = {
            point: aged(sample, now_s - self._taken_s[point], self._poll_s[point])
            for point, sample in self.latest.items()
        }
        samples.update({sample.point: sample for sample in derived})
        return ProcessImage(now, cycle, samples)

    async def poll(self, device: Device, driver: Driver, subscribe: bool = False, jitter: bool = True) -> None:
        """Poll a device for ever."""
        schedule = Schedule(poll_periods(device, self._period_s))
        state = self.states[device.id]
        wait = random.Random(device.id)
        with self._clock.busy():
            if jitter:
                # as if read a little while ago: read now, and from then on not in step with the other devices
                start = self._clock.monotonic() - wait.uniform(0, min(1.0, self._period_s))
                schedule.due = dict.fromkeys(schedule.periods, start)
            if subscribe and isinstance(driver, Subscribes):
                await self._subscribe(device, driver, schedule)
            while True:
                await self._clock.sleep_until(max(schedule.next, self._clock.monotonic()), Turn.INPUT)
                due = schedule.at(self._clock.monotonic())
                answered = await self._read(device, driver, due, state)
                schedule.read(due, self._clock.monotonic())
                if not answered:
                    pause = back_off(self._period_s, state.failures) * (wait.uniform(0.8, 1.0) if jitter else 1.0)
                    schedule.due = dict.fromkeys(schedule.periods, self._clock.monotonic() + pause)

    async def _subscribe(self, device: Device, driver: Subscribes, schedule: Schedule) -> None:
        """Be told of the fast points' changes; they are still polled like slow ones, in case the subscription dies."""
        fast = [point for point, period in schedule.periods.items() if period <= self._period_s]
        try:
            await driver.subscribe(fast, lambda sample: self.take([sample]))
        except (LinkError, DeviceRefused) as error:
            log.warning("%s: no subscription, polling instead: %s", device.id, error)
            return
        slower = dict.fromkeys(fast, slow_period(self._period_s))
        schedule.periods = {**schedule.periods, **slower}
        self._poll_s.update(slower)

    async def _read(self, device: Device, driver: Driver, due: Sequence[str], state: DeviceState) -> bool:
        try:
            again_s = slow_period(self._period_s)
            if state.identity is None or self._clock.monotonic() - state.identified_s >= again_s:
                await self._identify(device, driver, state)
            samples = await driver.read(due)
        except LinkError as error:
            self._failed(device, state, str(error))
            return False
        except Exception as error:  # a driver is a plug-in: whatever it raises costs this device only
            log.debug("the driver of %s failed", device.id, exc_info=True)
            self._failed(device, state, f"{device.id}: the driver failed: {type(error).__name__}: {error}")
            return False
        state.reads += 1
        if state.failures:
            log.info("%s answers again after %d failed polls", device.id, state.failures)
        state.failures, state.last_error = 0, ""
        self.take(samples)
        return True

    async def _identify(self, device: Device, driver: Driver, state: DeviceState) -> None:
        """Ask a device who it is, for people to see; where the profile has a probe, hold the answer against it."""
        probe, said = device.profile.identity, ""
        state.identified_s = self._clock.monotonic()
        state.identity_error = None
        if isinstance(driver, Identifies):
            try:
                said = await driver.identify(device.id)
            except DeviceRefused as error:
                if probe is not None:
                    state.identity_error = f"{device.id} does not say who it is: {error}"
        state.identity = said
        if probe is not None and state.identity_error is None and not probe.fits(said):
            state.identity_error = f"{device.id} says it is '{said}', the profile expects '{probe.contains}'"
            log.error("%s; it will not be written to", state.identity_error)

    def _failed(self, device: Device, state: DeviceState, error: str) -> None:
        state.failures += 1
        state.errors += 1
        state.last_error = error
        state.identity = None
        if state.failures in (1, QUARANTINE_AFTER):
            log.warning("%s does not answer (%d in a row): %s", device.id, state.failures, error)
        now = self._clock.now()
        self.take(Sample.bad(point, now, error) for point in device.points)

    @property
    def settled(self) -> bool:
        """Whether every device that is asked has either answered or failed to."""
        return all(state.off or state.reads or state.errors for state in self.states.values())

    def identities(self) -> dict[str, str | None]:
        """What every device says it is; None while that is not known."""
        return {name: state.identity for name, state in self.states.items()}

    def blocked(self) -> dict[str, str]:
        """Devices that may not be written to, and why."""
        reasons = {}
        for name, state in self.states.items():
            if state.off:
                reasons[name] = f"{name} is {SWITCHED_OFF}"
            elif state.failures:
                reasons[name] = f"{name} does not answer: {state.last_error}"
            elif state.identity is None:
                reasons[name] = f"{name} has not been reached yet"
            elif state.identity_error:
                reasons[name] = state.identity_error
        return reasons
