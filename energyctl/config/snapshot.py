"""A copy of a site file and of the files it names that means the same for ever, whatever becomes of the originals.

A file is named by a value in one of the sections `NAMING` that looks like a file name and is a file. It is copied beside the
site file under the hash of its content, and the copy of the site file names that. Not copied but named by their full path are
files that hold a secret, and the tariff's, which are read again whenever they change: prices are data, not configuration. So
the copied site file's text says all that the configuration is, and its hash names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energyctl.core.errors import ConfigError
from energyctl.core.files import sync_folder

from .loader import load_site
from .site import Site
from .yaml_source import MAX_BYTES, Node, YamlPath, parse_yaml, read_yaml

SITE = "site.yaml"
FILES = "files"
NAMING = ("tariff", "resources", "connections", "devices", "secrets")
NOT_COPIED = ("tariff", "secrets")
MAX_FILE_BYTES = 50_000_000
_FILE_NAME = re.compile(r".*\.[A-Za-z][A-Za-z0-9]{0,9}|.*/.*")
_PRIVATE = re.compile(r"_key$")
_COPY = re.compile(rf"{FILES}/([0-9a-f]{{16}})-(.+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration as it was read once. `files` is content by the name the text uses; `origins` the name it had."""

    source: Path
    text: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Names the configuration: SHA-256 of the text, which names every other file by its content."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def data(self) -> Any:
        """The site file's plain data, with copied files by their content."""
        return parse_yaml(self.text, str(self.source)).data

    def write(self, folder: Path) -> Path:
        """Put the copy into `folder`/hash, whole and on disk when this returns; gives its site file. Raises OSError."""
        target = folder / self.hash
        if not (target / SITE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as name:
                _write_all(Path(name) / "copy", {**self.files, SITE: self.text.encode()})
                (Path(name) / "copy").rename(target)
            sync_folder(folder)
        return target / SITE

    def load(self, folder: Path, *, resolve_secrets: bool = False) -> Site:
        """The site it describes, read from a copy in `folder`. Raises ConfigError in terms of the original files."""
        copy = self.write(folder)
        try:
            return load_site(copy, resolve_secrets=resolve_secrets)
        except ConfigError as error:
            raise ConfigError([self._original(line, copy) for line in error.problems]) from None

    def _original(self, line: str, copy: Path) -> str:
        line = line.replace(str(copy), str(self.source))
        for name, origin in self.origins.items():
            line = line.replace(str(copy.parent / name), origin).replace(name, origin)
        return line


def take(path: Path) -> Snapshot:
    """Read a site file and the files it names. Raises ConfigError when one of them cannot be read."""
    document = read_yaml(path)
    text = _text(path)
    if parse_yaml(text, str(path)).data != document.data:
        raise ConfigError(f"{path}: changes while it is read; try again when it is complete")
    base, files, origins = path.resolve().parent, {}, {}
    edits: dict[tuple[int, int], str] = {}
    for where, node in _scalars(document.root, ()):
        name = base / str(node.value)
        if not _names_a_file(where, node.value, name):
            continue
        if where[0] in NOT_COPIED or _PRIVATE.search(str(where[-1])):
            edits[node.span] = str(name)
            continue
        content = _content(name)
        copy = f"{FILES}/{hashlib.sha256(content).hexdigest()[:16]}-{name.name}"
        files[copy], origins[copy], edits[node.span] = content, str(node.value), copy
    for start, end in sorted(edits, reverse=True):
        text = text[:start] + json.dumps(edits[start, end], ensure_ascii=False) + text[end:]
    return Snapshot(path, text, files, origins)


def site_id(site: Path) -> str:
    """The id that a site file gives itself. Raises ConfigError when it cannot be read or has none."""
    data = read_yaml(site).data
    head = data.get("site") if isinstance(data, dict) else None
    found = head.get("id") if isinstance(head, dict) else None
    if not isinstance(found, str):
        raise ConfigError(f"{site}: site.id is missing; see 'energyctl config validate {site}'")
    return found


def plainly(value: Any) -> str:
    """A value of a site file for people; a copied file by its name and what tells its content from another's."""
    match = _COPY.fullmatch(value) if isinstance(value, str) else None
    return f"{match.group(2)} (content {match.group(1)[:8]})" if match else str(value)


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[: MAX_BYTES + 1].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _names_a_file(where: YamlPath, value: Any, path: Path) -> bool:
    if where[0] not in NAMING or not isinstance(value, str) or not _FILE_NAME.fullmatch(value):
        return False
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _scalars(node: Node, path: YamlPath) -> Iterator[tuple[YamlPath, Node]]:
    for key, child in node.children.items():
        if child.children:
            yield from _scalars(child, (*path, key))
        else:
            yield (*path, key), child


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    (folder / FILES).mkdir(parents=True)
    for name, content in files.items():
        with (folder / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder / FILES)
    sync_folder(folder)
