"""The device profiles that are installed, as a mapping that reads a file only when its profile is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable

from energyctl.core.errors import ConfigError
from energyctl.core.profile import Profile

from .problems import Report
from .yaml_source import parse_yaml

_NAME = re.compile(r"^profile:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


class ProfileFiles(Mapping[str, Profile]):
    """Profiles by name ("maker/model@version"). The name stands in the file, at the beginning of a line."""

    def __init__(self, files: Iterable[Traversable]) -> None:
        self._profiles: dict[str, Profile] = {}
        self._files: dict[str, Traversable] = {}
        for file in files:
            match = _NAME.search(file.read_text("utf-8"))
            if match is None:
                raise ConfigError(f"{file}:1: profile: is missing; write e.g. 'profile: maker/model@1'")
            other = self._files.setdefault(match.group(1), file)
            if other is not file:
                raise ConfigError(f"{file}: profile '{match.group(1)}' is also in {other}; give one another name")

    def __getitem__(self, name: str) -> Profile:
        if name not in self._profiles:
            self._profiles[name] = read_profile(self._files[name])
        return self._profiles[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_profile(file: Traversable) -> Profile:
    """Read one profile. Raises ConfigError with every mistake, by file and line."""
    report = Report(parse_yaml(file.read_text("utf-8"), str(file)))
    profile = report.validate((), Profile, report.document.data)
    report.raise_if_any()
    assert profile is not None
    return profile
