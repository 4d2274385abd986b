"""Which points are handed back together, and what happens when the old value is unknown or not taken."""

from dataclasses import replace

import pytest

from energyctl.control.handback import group_of, groups, hand_back
from energyctl.core.driver import Written
from energyctl.core.errors import DeviceRefused, LinkTimeout
from energyctl.core.profile import IdentityProbe


def test_a_command_is_one_group_and_the_rest_stand_alone(devices):
    bat = devices["bat"]
    assert [g.touched for g in groups(bat, ["bat.set", "bat.timer", "bat.enable", "hp.set"])] == [
        ("timer", "set", "enable")
    ]
    # killed between the ownership of the parts: what is ours is still released, one by one
    assert [g.touched for g in groups(bat, ["bat.timer", "bat.set"])] == [("timer",), ("set",)]


async def test_an_unknown_old_value_is_said_not_guessed(driver, devices):
    result = await hand_back(devices["bat"], driver, group_of(devices["bat"], "set"), {})
    assert not result.ok and "could not be read" in result.detail and driver.log == []


async def test_a_restore_that_does_not_take_is_not_called_done(driver, devices):
    driver.ignored = {"bat.set"}
    driver.values["bat.set"] = 12.0
    result = await hand_back(
        devices["bat"], driver, group_of(devices["bat"], "set"), {"bat.set": 7.0, "bat.enable": 0.0, "bat.timer": 0.0}
    )
    assert not result.ok and result.detail == "not restored: bat.set is 12.0 instead of 7"


def asked(driver, devices, says):
    """The battery with a profile that knows its name, and a driver that can ask for it."""

    async def identify(device):
        if isinstance(says, Exception):
            raise says
        return says

    driver.identify = identify
    probe = IdentityProbe(contains="Battery 3")
    return replace(devices["bat"], profile=devices["bat"].profile.model_copy(update={"identity": probe}))


@pytest.mark.parametrize(
    ("says", "detail"),
    [
        ("ACME Inverter", "not touched: bat says it is 'ACME Inverter', the profile expects 'Battery 3'"),
        ("", "not touched: bat says it is '', the profile expects 'Battery 3'"),
        (
            DeviceRefused("bat", "identity", "illegal address"),
            "not touched: bat does not say who it is: identity: bat refused: illegal address",
        ),
        (LinkTimeout("bat", "no answer"), "bat: no answer; its own timer will end our command"),
    ],
)
async def test_a_device_that_is_another_one_by_now_is_not_touched(driver, devices, says, detail):
    bat = asked(driver, devices, says)
    result = await hand_back(bat, driver, group_of(bat, "set"), {"bat.set": 7.0, "bat.enable": 0.0}, [12.0])
    assert not result.ok and result.detail == detail and driver.log == []


async def test_a_device_that_is_itself_is_handed_back(driver, devices):
    bat = asked(driver, devices, "Acme BATTERY 3 v2")
    result = await hand_back(bat, driver, group_of(bat, "set"), {"bat.set": 7.0, "bat.enable": 0.0}, [12.0])
    assert result.ok and driver.log == [("bat.enable", 0.0), ("bat.set", 7.0)]


async def test_all_that_somebody_else_has_set_is_left_and_nothing_is_written(driver, devices):
    driver.values |= {"bat.set": 20.0}
    result = await hand_back(devices["bat"], driver, group_of(devices["bat"], "set"), {"bat.set": 7.0}, [12.0, 12.3])
    assert result.ok and driver.log == []
    assert result.detail == (
        "released, not restored: bat.set shows 20 kW, which is neither ours (12 or 12.3) nor what was found (7), "
        "so somebody else has set it"
    )


async def test_a_slot_that_still_holds_us_is_not_called_released(driver, devices):
    async def stubborn(point):
        return Written()

    driver.slots = {"hp.set": {10: 22.0}}
    driver.relinquish = stubborn
    result = await hand_back(devices["hp"], driver, group_of(devices["hp"], "set"), {})
    assert not result.ok and result.detail == "slot 10 still holds 22"


async def test_a_driver_that_breaks_does_not_keep_the_others_from_being_handed_back(driver, devices):
    async def broken(command):
        raise ZeroDivisionError("division by zero")

    driver.write = broken
    result = await hand_back(devices["bat"], driver, group_of(devices["bat"], "set"), {"bat.set": 7.0})
    assert not result.ok
    assert result.detail == "the driver failed: ZeroDivisionError: division by zero; its own timer will end our command"
