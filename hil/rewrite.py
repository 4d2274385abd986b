"""A copy of a YAML file with something changed: comments stay, and the names of files in it still name the same files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def rewritten(source: Path, target: Path, change: Callable[[Any], None], folders: Sequence[Path]) -> Path:
    """Write `source` to `target` after `change` has worked on its data in place. Returns `target`.

    Texts that name a file, seen from one of the `folders`, are made absolute first; the first folder that has it wins.
    """
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    data = yaml.load(source.read_text(encoding="utf-8"))
    absolute(data, folders)
    change(data)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)
    return target


def absolute(node: Any, folders: Sequence[Path]) -> None:
    """Make every text that names an existing file, seen from one of the folders, an absolute path, in place."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        if not isinstance(value, str):
            absolute(value, folders)
        elif ("/" in value or "." in value) and len(value) < 250:
            found = next((folder / value for folder in folders if (folder / value).is_file()), None)
            if found is not None:
                node[key] = str(found.resolve())


def merge(data: Any, patch: Any) -> None:
    """Merge `patch` over `data` in place: mappings key by key, null takes a key out, anything else replaces."""
    for key, value in patch.items():
        if value is None:
            data.pop(key, None)
        elif isinstance(value, dict) and isinstance(data.get(key), dict):
            merge(data[key], value)
        else:
            data[key] = value
