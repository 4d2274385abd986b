"""What a configuration would change, as a document that commands print: lines, devices, points, and who the devices are."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from energyctl.config.change import Change, compare, differences
from energyctl.config.site import Site
from energyctl.config.snapshot import Snapshot
from energyctl.config.yaml_source import read_yaml

from .asking import Answer


def planned(
    snapshot: Snapshot, old: Site | None, held: Collection[str] = (), *, resolve_secrets: bool = True
) -> tuple[Site, dict[str, Any]]:
    """The site of a snapshot that nobody has accepted yet, and the plan from `old` to it. Raises ConfigError."""
    with tempfile.TemporaryDirectory(prefix="energyctl-") as folder:
        new = snapshot.load(Path(folder), resolve_secrets=resolve_secrets)
        return new, plan_document(old, new, held)


def plan_document(old: Site | None, new: Site, held: Collection[str] = ()) -> dict[str, Any]:
    """The plan from `old` (None: nothing has been accepted yet) to `new`. `held`: the points that are ours now."""
    change = compare(old, new) if old is not None else Change(tuple(sorted(new.devices)), (), {}, (), ())
    leaving = {*change.left, *(name for name in new.devices if new.modes[name] != "control")}
    return {
        "site": new.id,
        "lines": _lines(old, new) if old is not None else [],
        "new": list(change.new),
        "gone": list(change.gone),
        "replaced": dict(change.replaced),
        "reconnected": list(change.reconnected),
        "kept": list(change.kept),
        "handed_back": sorted(point for point in held if point.partition(".")[0] in leaving),
        "stay_held": sorted(point for point in held if point.partition(".")[0] not in leaving),
        "identities": {},
    }


def _lines(old: Site, new: Site) -> list[str]:
    return [str(line) for line in differences(read_yaml(old.path).data, read_yaml(new.path).data)]


def with_identities(
    document: dict[str, Any], answers: Mapping[str, Answer], expected: Mapping[str, str | None]
) -> dict[str, Any]:
    """The plan with what the devices say of themselves; who says something else than before is named as replaced."""
    identities = {}
    for name, answer in sorted(answers.items()):
        before = expected.get(name)
        identities[name] = {"says": answer.says, "error": answer.error, "expected": before}
        if before and answer.says and before != answer.says and name not in document["new"]:
            document["replaced"].setdefault(name, f"says it is '{answer.says}', it was '{before}'")
    return {**document, "identities": identities}
