"""Which points are handed back together, and what happens when the old value is unknown or not taken."""

from energyctl.control.handback import group_of, groups, hand_back
from energyctl.core.driver import Written


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
