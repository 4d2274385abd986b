"""Records of commissioning: who found what on a device and when, signed; and the ban on devices that have no valid one.

A record says which device it is of: profile and its contents, address, and what the device says it is. When one of these
changes, the record counts no more. A device may be written to when its own record and that of the grid meter are in order.

Signature: HMAC-SHA256 over the record, with a key that is made once and lies beside it, readable by the daemon's user alone.
It shows that the record was made by this installation and not changed since: not by a slip of an editor, a bad disk, or a
copy from another device or building. It does not stop root or the daemon's own user, who can read the key and sign anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from energyctl.config.options import Secret
from energyctl.config.site import Site
from energyctl.core.errors import StoreError
from energyctl.core.findings import Finding
from energyctl.core.points import Access, ProcessImage

from .seams import Ban
from .trials import Trials

RULE = "commissioned"
KEY_BYTES = 32
NOT_A_PLACE = ("timeout", "subscribe", "priority")
"""Options of a connection that do not say where a device is."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pins(_Model):
    """What a device of a site file is told by, besides what it says itself."""

    profile: str
    profile_sha256: str
    address: str


class Record(_Model):
    """The result of commissioning one device."""

    site: str
    device: str
    who: str
    at: datetime
    site_file_sha256: str
    pins: Pins
    identity: str
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What keeps the device from being controlled."""
        return tuple(one for one in self.findings if one.verdict == "wrong")


def pins(site: Site, device: str) -> Pins:
    """Profile, its contents as one number, and address in one line; secrets are left out."""
    link = next(link for link in site.links if link.id == site.link_of[device])
    profile, options = site.devices[device].profile, {**link.options, **site.devices[device].options}
    told = [f"{k}={v}" for k, v in sorted(options.items()) if k not in NOT_A_PLACE and not isinstance(v, Secret)]
    contents = hashlib.sha256(profile.model_dump_json().encode()).hexdigest()
    return Pins(profile=profile.profile, profile_sha256=contents, address=" ".join([link.protocol, *told]))


class Records:
    """The records of a site, one file per device in a folder, and the key beside them."""

    def __init__(self, folder: Path, site: Site, site_file: Path | None = None) -> None:
        self._folder, self._site = folder, site
        self.site_file = site_file or site.path
        """What a person would name; the site itself may come from an accepted copy."""
        self._pins = {device: pins(site, device) for device in site.devices}
        self._known: dict[str, tuple[tuple[int, int], Record | None]] = {}

    @property
    def _key_file(self) -> Path:
        return self._folder / "key"

    def keep(self, device: str, identity: str, who: str, at: datetime, findings: tuple[Finding, ...]) -> Path:
        """Sign what was found on a device and put it in place of its last record. Raises StoreError."""
        path = self._path(device)
        try:
            record = Record(
                site=self._site.id,
                device=device,
                who=who,
                at=at,
                site_file_sha256=hashlib.sha256(self._site.path.read_bytes()).hexdigest(),
                pins=self._pins[device],
                identity=identity,
                findings=findings,
            )
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            body = record.model_dump(mode="json")
            text = json.dumps({"record": body, "signature": _sign(self._key(), body)}, indent=2, ensure_ascii=False)
            fresh = path.with_suffix(".new")
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: the record cannot be written: {error.strerror}") from error
        return path

    def get(self, device: str) -> Record | None:
        """The record of a device; None when it is not as it was signed. Raises FileNotFoundError when there is none."""
        path = self._path(device)
        status = path.stat()
        stamp = status.st_mtime_ns, status.st_size
        known = self._known.get(device)
        if known is None or known[0] != stamp:
            known = self._known[device] = stamp, self._read(path)
        return known[1]

    def why_not(self, device: str, identity: str | None) -> str | None:
        """Why a device does not count as commissioned; None when it does. An `identity` that is not known is not compared."""
        again = f"run 'energyctl commission {self.site_file} --device {device}'"
        try:
            record = self.get(device)
        except OSError:
            return f"{device} is not commissioned; {again}"
        if record is None or (record.site, record.device) != (self._site.id, device):
            return f"the record {self._path(device)} is not as it was signed; {again}"
        if record.wrong:
            first = record.wrong[0]
            return f"{device} did not pass commissioning ({first.point}: {first.text}); put it right and {again}"
        changed = _changed(record, self._pins[device], identity)
        return f"{device} was commissioned {changed}; {again}" if changed else None

    def _path(self, device: str) -> Path:
        return self._folder / f"{device}.json"

    def _read(self, path: Path) -> Record | None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            good = hmac.compare_digest(
                str(document["signature"]), _sign(self._key_file.read_text(), document["record"])
            )
            return Record.model_validate(document["record"]) if good else None
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None

    def _key(self) -> str:
        try:
            return self._key_file.read_text()
        except FileNotFoundError:
            key = secrets.token_hex(KEY_BYTES)
            with os.fdopen(os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(key)
            return key


def _sign(key: str, body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.new(key.encode(), canonical.encode(), hashlib.sha256).hexdigest()


def _changed(record: Record, now: Pins, identity: str | None) -> str:
    """What has changed since, as the end of a sentence; "" when nothing has."""
    then = record.pins
    if then.profile != now.profile:
        return f"as {then.profile}, not {now.profile}"
    if then.profile_sha256 != now.profile_sha256:
        return f"with another content of profile {now.profile}"
    if then.address != now.address:
        return f"at {then.address}, not at {now.address}"
    if identity is not None and identity != record.identity:
        return f"when it said it was '{record.identity}'; now it says '{identity}'"
    return ""


class Commissioned:
    """Keeps from us the devices in control that no valid record speaks for; where the site file wants that."""

    def __init__(
        self, site: Site, records: Records, identities: Callable[[], Mapping[str, str | None]], trials: Trials
    ) -> None:
        self._records, self._identities, self._trials = records, identities, trials
        self._meter = site.meter.partition(".")[0]
        self._asked = [
            device.id
            for device in site.devices.values()
            if site.safety.require_commissioning
            and site.modes[device.id] == "control"
            and any(point.access is Access.READ_WRITE for point in device.points.values())
        ]

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """See `seams.Bans`."""
        if not self._asked:
            return None
        identities = self._identities()
        why = {one: self._records.why_not(one, identities.get(one)) for one in [*self._asked, self._meter]}
        reasons = {one: reason for one in self._asked if (reason := why[one] or why[self._meter])}
        return Ban(RULE, self._trials.spared(reasons, now_s)) if reasons else None
