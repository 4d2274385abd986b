"""Secrets, and the options of connections and devices as drivers get them.

Rule: a secret is written as {secret: NAME}, NAME stands under `secrets` with where it comes from, and the secret itself
never appears in a message or a repr.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energyctl.core.driver import Scalar
from energyctl.core.errors import ConfigError
from energyctl.core.units import parse_quantity

from .problems import Report, did_you_mean, is_secret
from .site import SecretSpec, check_id
from .yaml_source import YamlPath

MAX_SECRET_BYTES = 10_000
HIDDEN = "***"
_CREDENTIALS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_FILE = re.compile(r"(^|_)(certificate|file)$|_key$")
_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")


class Secret(str):
    """A resolved secret: usable as text, shown as ***."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"


def sweep(report: Report) -> None:
    """Note what must stand nowhere in a site file: a secret in clear, a number too large for a computer."""
    for path, value in _scalars(report.document.data, ()):
        if path[0] != "secrets" and is_secret(path[-1]) and not _is_reference(report, path):
            how = (
                f"write '{path[-1]}: {{secret: NAME}}' and 'NAME: {{env: VARIABLE}}' or '{{file: PATH}}' under secrets:"
            )
            report.add(path, f"a secret must not stand in a site file; {how}")
        elif isinstance(value, str) and _CREDENTIALS.search(value):
            report.add(
                path, "a password must not stand in an address; use the options user and password: {secret: NAME}"
            )
        elif (
            isinstance(value, str) and (number := _NUMBER.fullmatch(value)) and not math.isfinite(float(number.group()))
        ):
            report.add(path, "a number too large to be meant", value)


def _scalars(data: Any, path: YamlPath) -> Iterator[tuple[YamlPath, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _scalars(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _scalars(value, (*path, index))
    elif path:
        yield path, data


def _is_reference(report: Report, path: YamlPath) -> bool:
    owner = report.document.data
    for key in path[:-1]:
        owner = owner[key]
    return path[-1] == "secret" and owner.keys() == {"secret"}


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets a site names; read only when `resolve` is set."""

    report: Report
    specs: Mapping[str, SecretSpec]
    base_dir: Path
    resolve: bool

    def get(self, path: YamlPath, name: Any) -> Secret:
        """The secret called `name`, or *** in its stead when it is not to be resolved or cannot be."""
        if not isinstance(name, str) or name not in self.specs:
            known = self.report.section("secrets")
            if not isinstance(name, str) or name not in known:
                self.report.add(path, f"the section secrets has no '{name}'{did_you_mean(name, known)}")
            return Secret(HIDDEN)
        if not self.resolve:
            return Secret(HIDDEN)
        try:
            secret = self._read(self.specs[name])
        except ConfigError as exc:
            self.report.add(("secrets", name), f"{exc}; {'.'.join(map(str, path[:-1]))} needs it")
            return Secret(HIDDEN)
        self.report.hidden.add(secret)
        return Secret(secret)

    def _read(self, spec: SecretSpec) -> str:
        if spec.env is not None:
            secret, where = os.environ.get(spec.env, ""), f"environment variable {spec.env}"
        else:
            path = self.base_dir / (spec.file or "")
            secret, where = _first_line(path), f"file {path}"
        if not secret:
            raise ConfigError(f"{where} is empty or not set")
        return secret


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(MAX_SECRET_BYTES).strip()
    except (OSError, ValueError) as exc:
        raise ConfigError(f"file {path} cannot be read ({getattr(exc, 'strerror', None) or 'not text'})") from None


def ids(report: Report, section: str, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of a section whose keys are ids and whose values are sections; others are noted and left out."""
    for key in report.mapping((section,), f"ids with {what}") if section in report.document.data else {}:
        try:
            check_id(key)
        except ValueError as exc:
            report.add((section, key), str(exc), key)
        yield key, report.mapping((section, key), what)


def read_secrets(report: Report, base_dir: Path, resolve: bool) -> Secrets:
    """The section `secrets`."""
    found = {
        name: report.validate(("secrets", name), SecretSpec, data)
        for name, data in ids(report, "secrets", "{env: NAME_OF_VARIABLE} or {file: PATH}")
    }
    return Secrets(report, {name: spec for name, spec in found.items() if spec is not None}, base_dir, resolve)


def read_options(report: Report, path: YamlPath, raw: Mapping[str, Any], secrets: Secrets) -> dict[str, Scalar]:
    """Options as a driver gets them: durations in seconds, secrets resolved, file names from the site file's folder.

    An option is a file name when it is called certificate, file or ..._certificate, ..._file, ..._key.
    """
    options: dict[str, Scalar] = {}
    for key, value in raw.items():
        place = (*path, key)
        if isinstance(value, dict) and value.keys() == {"secret"}:
            options[key] = secrets.get((*place, "secret"), value["secret"])
        elif isinstance(value, dict | list):
            report.add(place, "must be a single value, or {secret: NAME}")
        elif value is None:
            report.add(place, "has no value")
        elif isinstance(value, str) and _FILE.search(key):
            options[key] = str(secrets.base_dir / value)
        else:
            options[key] = _duration(value)
    return options


def _duration(value: Scalar) -> Scalar:
    """'1 s' and '200 ms' as seconds; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return parse_quantity(value, "s")
    except ValueError:
        return value
