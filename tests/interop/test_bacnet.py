"""BACnet/IP by @bacnet-js/client: discovery, readings, the priority array, notifications, refusals.

Numbers of object types, properties and application tags are those of the standard's enumerations (clauses 20.2.1 and 21).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from .conftest import free_port, peer, points

ANALOG_INPUT, ANALOG_VALUE, DEVICE, MULTI_STATE_VALUE = 0, 2, 8, 19
MODEL_NAME, OBJECT_LIST, OBJECT_NAME, PRESENT_VALUE, PRIORITY_ARRAY = 70, 76, 77, 85, 87
RELINQUISH_DEFAULT, STATUS_FLAGS, UNITS = 104, 111, 117
NULL, UNSIGNED, REAL = 0, 2, 4
CELSIUS, KILOWATTS = 62, 48
ZONE1 = [ANALOG_VALUE, 1]
READINGS = {  # canonical; object, application tag, number, unit
    "heatpump.zone1_temp": (20.5, [ANALOG_INPUT, 1], REAL, 20.5, CELSIUS),
    "heatpump.zone2_temp": (19.25, [ANALOG_INPUT, 2], REAL, 19.25, CELSIUS),
    "heatpump.outdoor_temp": (-3.75, [ANALOG_INPUT, 3], REAL, -3.75, CELSIUS),
    "heatpump.supply_temp": (38.125, [ANALOG_INPUT, 4], REAL, 38.125, CELSIUS),
    "heatpump.power": (4.5, [ANALOG_INPUT, 5], REAL, 4.5, KILOWATTS),
    "heatpump.zone1_setpoint": (21.0, ZONE1, REAL, 21.0, CELSIUS),
    "heatpump.zone2_setpoint": (20.25, [ANALOG_VALUE, 2], REAL, 20.25, CELSIUS),
    "heatpump.mode": (2.0, [MULTI_STATE_VALUE, 1], UNSIGNED, 2, None),
}


@pytest.fixture
async def pump(hall):
    link = hall.links["bms"]
    at = f"{link['host']}:{link['port']}"
    async with peer("bacnet.js", str(free_port())) as client:

        async def ask(do: str, **request):
            return await client.ask(do, at=at, **request)

        async def value(thing, property=PRESENT_VALUE, **more):
            (only,) = await ask("read", object=thing, property=property, **more)
            return only["value"]

        async def write(thing, number, priority=None, kind=REAL, property=PRESENT_VALUE) -> str:
            try:
                await ask("write", object=thing, property=property, type=kind, value=number, priority=priority)
            except RuntimeError as error:
                return str(error)
            return "taken"

        yield SimpleNamespace(ask=ask, value=value, write=write)


async def test_it_is_found_by_its_number(pump):
    (found,) = await pump.ask("whoIs", low=1100, high=1100)
    assert found["deviceId"] == 1100
    assert await pump.value([DEVICE, 1100], MODEL_NAME) == "HP-2Z"
    assert await pump.value([DEVICE, 1100], OBJECT_NAME) == "heatpump"


async def test_others_do_not_answer_to_its_number(pump):
    with pytest.raises(RuntimeError, match="0 of 1"):
        await pump.ask("whoIs", low=1101, high=1200)


async def test_every_reading(hall, pump):
    assert set(READINGS) == points(hall, "heatpump")
    await hall.show({name: value for name, (value, *_) in READINGS.items()})
    objects = {name: thing for name, (_, thing, *_) in READINGS.items()}
    listed = await pump.ask("read", object=[DEVICE, 1100], property=OBJECT_LIST)
    things = [[entry["value"]["type"], entry["value"]["instance"]] for entry in listed]
    assert all(thing in things for thing in objects.values())
    wanted = {name: [{"type": tag, "value": number}] for name, (_, _, tag, number, _) in READINGS.items()}
    one_by_one = {name: await pump.ask("read", object=thing, property=PRESENT_VALUE) for name, thing in objects.items()}
    assert one_by_one == wanted
    together = await pump.ask("readMultiple", objects=list(objects.values()), property=PRESENT_VALUE)
    assert {name: got["values"] for name, got in zip(objects, together, strict=True)} == wanted
    units = {name: unit for name, (*_, unit) in READINGS.items() if unit is not None}
    assert {name: await pump.value(objects[name], UNITS) for name in units} == units
    names = {name: await pump.value(thing, OBJECT_NAME) for name, thing in objects.items()}
    assert names == {name: name.partition(".")[2] for name in objects}


async def test_the_lowest_slot_in_use_holds_and_null_gives_it_up(hall, pump):
    await hall.show({"heatpump.zone1_setpoint": 19.0})
    steps = [(10, 22.0, 22.0), (8, 23.5, 23.5), (12, 25.0, 23.5), (8, None, 22.0), (10, None, 25.0), (12, None, 19.0)]
    for slot, number, effective in steps:
        assert await pump.write(ZONE1, number, slot, NULL if number is None else REAL) == "taken"
        assert await pump.value(ZONE1) == effective
        assert hall.devices["heatpump"].values["zone1_setpoint"] == effective
    assert hall.log("heatpump") == [("zone1_setpoint", number, True) for _, number, _ in steps]


async def test_the_priority_array_shows_who_commands(hall, pump):
    await hall.show({"heatpump.zone1_setpoint": 19.0})
    await pump.write(ZONE1, 22.0, 10)
    await pump.write(ZONE1, 24.0)  # no priority is the lowest, 16
    slots = await pump.ask("read", object=ZONE1, property=PRIORITY_ARRAY)
    assert [slot["value"] for slot in slots] == [None] * 9 + [22.0] + [None] * 5 + [24.0]
    assert [slot["type"] for slot in slots] == [NULL] * 9 + [REAL] + [NULL] * 5 + [REAL]
    assert await pump.value(ZONE1, PRIORITY_ARRAY, index=10) == 22.0
    assert await pump.value(ZONE1, PRIORITY_ARRAY, index=0) == 16
    assert await pump.value(ZONE1, RELINQUISH_DEFAULT) == 19.0


@pytest.mark.parametrize(
    ("thing", "number", "kind", "property", "said"),
    [
        ([ANALOG_INPUT, 1], 20.0, REAL, PRESENT_VALUE, "Class:2 - Code:40"),  # write access denied
        (ZONE1, 40.0, REAL, PRESENT_VALUE, "Class:2 - Code:37"),  # value out of range
        (ZONE1, 30.0, REAL, RELINQUISH_DEFAULT, "Class:2 - Code:40"),
        ([MULTI_STATE_VALUE, 1], 1, UNSIGNED, PRESENT_VALUE, "Class:2 - Code:40"),
        ([ANALOG_VALUE, 99], 20.0, REAL, PRESENT_VALUE, "Class:1 - Code:31"),  # unknown object
    ],
)
async def test_refused_writes(hall, pump, thing, number, kind, property, said):
    before = dict(hall.devices["heatpump"].values)
    assert said in await pump.write(thing, number, 10, kind, property)
    assert hall.devices["heatpump"].values == before
    assert not any(accepted for *_, accepted in hall.log("heatpump"))


async def test_unknown_objects_and_properties_are_errors(pump):
    with pytest.raises(RuntimeError, match="Class:1 - Code:31"):
        await pump.value([ANALOG_INPUT, 99])
    with pytest.raises(RuntimeError, match="Class:2 - Code:32"):
        await pump.value([ANALOG_INPUT, 1], PRIORITY_ARRAY)


@pytest.mark.parametrize("confirmed", [False, True], ids=["unconfirmed", "confirmed"])
async def test_changes_are_notified(hall, pump, confirmed):
    await hall.show({"heatpump.zone1_temp": 20.0, "heatpump.mode": 1.0})
    things = {7: [ANALOG_INPUT, 1], 8: [MULTI_STATE_VALUE, 1], 9: ZONE1}
    for process, thing in things.items():
        await pump.ask("subscribe", object=thing, process=process, confirmed=confirmed, cancel=False)
        (first,) = await pump.ask("notices", count=1, process=process)
        assert (first["device"], first["object"], first["confirmed"]) == (1100, thing, confirmed)
    await hall.show({"heatpump.zone1_temp": 20.5, "heatpump.mode": 2.0})
    await pump.write(ZONE1, 22.5, 10)
    await hall.push()
    notices = {process: await pump.ask("notices", count=1, process=process) for process in things}
    shown = {process: [notice["values"][str(PRESENT_VALUE)] for notice in got] for process, got in notices.items()}
    assert shown == {7: [[20.5]], 8: [[2]], 9: [[22.5]]}
    assert all(str(STATUS_FLAGS) in notice["values"] for got in notices.values() for notice in got)


async def test_a_cancelled_subscription_is_silent(hall, pump):
    thing = [ANALOG_INPUT, 1]
    await pump.ask("subscribe", object=thing, process=7, confirmed=False, cancel=False)
    await pump.ask("notices", count=1, process=7)
    await pump.ask("subscribe", object=thing, process=7, confirmed=False, cancel=True)
    await hall.show({"heatpump.zone1_temp": 23.0})
    with pytest.raises(RuntimeError, match="0 of 1"):
        await pump.ask("notices", count=1, process=7, seconds=1)
