"""Device ids are pinned to what the devices say of themselves: the first answer counts, another one keeps us from writing.

What a device said is remembered with its profile, its address and the epoch that the accepted configuration gives it; when one
of them is different the memory is void, and the device is asked anew. So somebody who replaces a device says so once
(`energyctl config apply SITE --replace ID`). A device that says nothing of itself cannot be told from its like.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from energyctl.config.change import address
from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.seams import Ban
from energyctl.core.files import write_whole
from energyctl.core.points import ProcessImage
from energyctl.field.acquire import DeviceState

log = logging.getLogger(__name__)

RULE = "identity"
ALARM = "another-device"


class _Pin(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    """Profile and address."""
    epoch: int
    identity: str


class Pinned:
    """Watches what the devices say of themselves; a ban on those that are not the ones that were accepted."""

    def __init__(
        self, site: Site, epochs: Mapping[str, int], states: Mapping[str, DeviceState], path: Path, alarms: Alarms
    ) -> None:
        self._states, self._path, self._alarms = states, path, alarms
        self._keys = {device: (_fingerprint(site, device), epochs.get(device, 0)) for device in site.devices}
        self._pins = {name: pin for name, pin in _read(path).items() if self._keys.get(name) == (pin.of, pin.epoch)}
        self._wrong: dict[str, str] = {}

    def look(self, image: ProcessImage, now_s: float) -> None:
        """Pin who answers for the first time; hold the others against their pins."""
        learned = False
        for name in self._keys:
            said = self._states[name].identity if name in self._states else None
            if said:
                learned = self._judge(name, said) or learned
        for name in self._keys:
            self._alarms.set(ALARM, name, self._wrong.get(name), image.time)
        if learned:
            self._save()

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """The devices that are not the ones that were accepted."""
        return Ban(RULE, dict(self._wrong)) if self._wrong else None

    def expected(self, device: str) -> str | None:
        """What a device said of itself when it was accepted; None when that is not known."""
        pin = self._pins.get(device)
        return pin.identity if pin is not None else None

    def _judge(self, name: str, said: str) -> bool:
        """Whether this is the first that is heard of a device."""
        pin = self._pins.get(name)
        if pin is None:
            of, epoch = self._keys[name]
            self._pins[name] = _Pin(of=of, epoch=epoch, identity=said)
            return True
        if pin.identity == said:
            self._wrong.pop(name, None)
        elif name not in self._wrong:
            self._wrong[name] = another(name, said, pin.identity)
            log.error("%s", self._wrong[name])
        return False

    def _save(self) -> None:
        try:
            write_whole(self._path, json.dumps({name: pin.model_dump() for name, pin in self._pins.items()}, indent=1))
        except OSError as error:
            log.error("%s: who the devices are cannot be kept: %s", self._path, error.strerror or error)


def another(device: str, said: str, before: str) -> str:
    """That a device is not the one that was accepted, and what to do."""
    return (
        f"{device} says it is '{said}', but '{before}' was accepted: another device, or new firmware; it is not written to "
        f"until 'energyctl config apply SITE --replace {device}'"
    )


def _read(path: Path) -> dict[str, _Pin]:
    try:
        data = json.loads(path.read_bytes())
        return {str(name): _Pin.model_validate(pin) for name, pin in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, ValidationError, AttributeError) as error:
        log.error("%s: cannot be read, so the devices are taken for whom they say they are: %s", path, error)
        return {}


def _fingerprint(site: Site, device: str) -> str:
    parts = [site.devices[device].profile.profile, *sorted(f"{k}={v}" for k, v in address(site, device).items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
