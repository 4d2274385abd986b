"""Asks devices who they are over connections opened for that alone, before a configuration is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from energyctl.config.site import Site
from energyctl.core.clock import Clock
from energyctl.core.driver import Driver, Identifies
from energyctl.core.errors import EnergyctlError

from .links import Wanted, connections

WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device says it is, or why that is not known; a protocol without such a question gives neither."""

    says: str = ""
    error: str = ""


async def ask_identities(site: Site, devices: Collection[str], clock: Clock) -> Mapping[str, Answer]:
    """The answers of some devices of a site, by id. Never raises."""
    asked = [one for one in connections(site).values() if any(device.id in devices for device in one.devices)]
    found = await asyncio.gather(*(_ask_over(one, devices, clock) for one in asked))
    return {name: answer for answers in found for name, answer in answers.items()}


async def _ask_over(wanted: Wanted, devices: Collection[str], clock: Clock) -> dict[str, Answer]:
    names = [device.id for device in wanted.devices if device.id in devices]
    try:
        async with wanted.driver(clock) as driver:
            return {name: await _ask(driver, name) for name in names}
    except (EnergyctlError, OSError) as error:
        return dict.fromkeys(names, Answer(error=str(error)))


async def _ask(driver: Driver, device: str) -> Answer:
    if not isinstance(driver, Identifies):
        return Answer()
    try:
        return Answer(says=await asyncio.wait_for(driver.identify(device), WITHIN_S))
    except TimeoutError:
        return Answer(error=f"{device}: no answer within {WITHIN_S:g} s")
    except EnergyctlError as error:
        return Answer(error=str(error))
