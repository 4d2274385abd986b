"""Who decides a writable point: by the profile alone, as the log of the bench tells it."""

from datetime import timedelta

import pytest

from hil.device import SimDevice
from hil.events import EventLog
from hil.plant.command import Control, controls
from tests.hil.plant_site import DAY, RW, profile

ENABLED = {
    "power": {"unit": "W"},
    "wanted": {
        "unit": "W",
        **RW,
        "command": [{"set": "lease", "to": "lease"}, {"set": "mode", "to": 3}, {"set": "wanted", "to": "value"},
                    {"set": "go", "to": 1}],
    },
    "mode": {"kind": "enum", "choices": {"auto": 1, "remote": 3}, **RW},
    "go": {"kind": "bool", **RW},
    "lease": {"unit": "s", **RW},
}  # fmt: skip
LIMITED = {
    "limit": {"unit": "A", **RW, "command": [{"set": "alive", "to": "lease"}, {"set": "limit", "to": "value"}]},
    "alive": {"unit": "s", **RW},
}
SLOT = {"aim": {"unit": "°C", "release": "relinquish", **RW}}
PLAIN = {"aim": {"unit": "°C", "tolerance": 0.05, **RW}, "kept": {"unit": "°C", "memory": "flash", **RW}}


class Bench:
    """A device of one profile, one of its points, and what the log says of it."""

    def __init__(self, points, name: str, **more) -> None:
        self.log = EventLog()
        self.device = SimDevice("d", profile("thing", points, **more))
        self.control = Control(self.device, name, self.log)
        self.now = DAY

    def after(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.device.time = self.now
        self.control.holds(self.now)

    def write(self, **values: float) -> None:
        self.device.time = self.now
        for name, value in values.items():
            self.device.write(name, value)

    @property
    def told(self) -> list[str]:
        return [str(event.data.get("why", event.kind.value)) for event in self.log.events]


@pytest.mark.parametrize("missing", ["go", "mode"])
def test_a_command_is_in_force_when_all_its_constants_stand(missing: str) -> None:
    bench = Bench(ENABLED, "wanted")
    values = {"lease": 0.0, "mode": 3.0, "wanted": 5.0, "go": 1.0}
    bench.write(**{name: value for name, value in values.items() if name != missing})
    assert bench.control.command(bench.now) is None
    bench.write(**{missing: values[missing]})
    assert bench.control.command(bench.now) == 5.0
    assert bench.told == ["commanded"]
    bench.write(go=0.0)
    assert bench.control.command(bench.now) is None
    assert bench.told == ["commanded", "released"]
    assert [event.subject for event in bench.log.events] == ["d.wanted"] * 2


def test_when_its_timer_runs_out_a_device_switches_the_enable_off_by_itself() -> None:
    bench = Bench(ENABLED, "wanted")
    bench.write(lease=90.0, mode=3.0, wanted=5.0, go=1.0)
    bench.after(60)
    bench.write(lease=90.0)  # a heartbeat: any of the command's points
    bench.after(89)
    assert bench.told == ["commanded"]
    bench.after(1)
    assert bench.told == ["commanded", "lapsed"]
    assert (bench.device.values["go"], bench.device.values["mode"]) == (0.0, 3.0)
    bench.after(3600)
    assert bench.told == ["commanded", "lapsed"]


def test_the_profiles_own_timer_counts_where_a_command_has_no_lease() -> None:
    points = ENABLED | {
        "wanted": {"unit": "W", **RW, "command": [{"set": "wanted", "to": "value"}, {"set": "go", "to": 1}]}
    }
    bench = Bench(points, "wanted", watchdog={"kind": "reversion", "point": "lease"})
    bench.write(lease=30.0, wanted=5.0, go=1.0)
    bench.after(29)
    assert bench.told == ["commanded"]
    bench.after(1)
    assert bench.told == ["commanded", "lapsed"]


def test_a_limit_without_an_enable_goes_back_to_the_devices_own() -> None:
    bench = Bench(LIMITED, "limit")
    assert bench.control.value(bench.now, 32.0) == bench.device.values["limit"] == 32.0
    bench.write(alive=60.0, limit=8.0)
    assert bench.control.value(bench.now, 32.0) == 8.0
    bench.after(60)
    assert bench.device.values["limit"] == 32.0
    bench.write(limit=10.0)
    assert bench.control.value(bench.now, 32.0) == 10.0
    bench.write(limit=32.0)
    assert bench.control.value(bench.now, 32.0) == 32.0
    assert bench.told == ["commanded", "lapsed", "commanded", "released"]


def test_a_slot_is_in_force_until_it_is_relinquished_and_the_own_schedule_goes_on_below() -> None:
    bench = Bench(SLOT, "aim")
    assert bench.control.value(bench.now, 17.0) == 17.0
    bench.device.write("aim", 17.0, effective=17.0)  # the same value, but somebody's
    assert bench.control.value(bench.now, 20.5) == 17.0
    bench.device.relinquish("aim")
    assert bench.device.values["aim"] == 20.5
    assert bench.control.value(bench.now, 20.5) == 20.5
    assert bench.told == ["commanded", "released"]


def test_a_plain_point_keeps_the_last_value_until_what_was_found_comes_back() -> None:
    bench = Bench(PLAIN, "aim")
    bench.control.value(bench.now, 17.0)
    bench.write(aim=21.0)
    for _ in range(3):
        bench.after(86_400)
        assert bench.control.value(bench.now, 20.5) == 21.0
    bench.write(aim=17.04)  # what a driver with a coarse scale read before
    assert bench.control.value(bench.now, 20.5) == 20.5
    assert bench.told == ["commanded", "released"]


def test_a_plain_setpoint_of_nothing_is_obeyed_but_counts_as_released() -> None:
    bench = Bench(PLAIN, "aim")
    assert bench.control.command(bench.now) is None
    bench.write(aim=5.0)
    assert bench.control.command(bench.now) == 5.0
    bench.write(aim=0.0)
    assert bench.control.command(bench.now) == 0.0
    assert bench.told == ["commanded", "released"]


@pytest.mark.parametrize(
    ("points", "name", "values", "told"),
    [
        (ENABLED, "wanted", {"mode": 3.0, "wanted": 5.0, "go": 1.0}, ["commanded", "reboot"]),
        (LIMITED, "limit", {"limit": 8.0}, ["commanded", "reboot"]),
        (PLAIN, "aim", {"aim": 21.0}, ["commanded", "reboot"]),
        (PLAIN, "kept", {"kept": 21.0}, ["commanded"]),
    ],
    ids=["enabled", "limit", "plain", "flash"],
)
def test_a_restart_ends_what_was_kept_in_ram(points, name, values, told) -> None:
    bench = Bench(points, name)
    bench.write(**values)
    bench.after(1)
    bench.device.reboot()
    bench.after(1)
    assert bench.told == told


def test_a_restart_between_two_looks_is_told_even_when_somebody_commands_again() -> None:
    bench = Bench(SLOT, "aim")
    bench.device.write("aim", 21.0, effective=21.0)
    bench.after(1)
    bench.device.reboot()
    bench.device.write("aim", 21.0, effective=21.0)
    bench.after(1)
    assert bench.told == ["commanded", "reboot", "commanded"]


@pytest.mark.parametrize(("points", "name"), [(SLOT, "aim"), (PLAIN, "aim")])
def test_what_a_device_forgets_has_lapsed(points, name) -> None:
    bench = Bench(points, name)
    bench.device.write(name, 21.0, effective=21.0 if points is SLOT else None)
    bench.after(1)
    bench.device.lapse(name)
    bench.after(1)
    assert bench.told == ["commanded", "lapsed"]


def test_there_is_a_control_for_every_point_that_is_no_mere_step_of_another() -> None:
    device = SimDevice("d", profile("thing", ENABLED | PLAIN))
    assert sorted(controls(device, EventLog())) == ["aim", "kept", "wanted"]
