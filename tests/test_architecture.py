"""The dependency rule of the house: a package imports only from floors below it, and there are no import cycles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("energyctl", "drivers", "optimizer", "hil")

CORE = {"energyctl.core"}
BASE = CORE | {"energyctl.store", "energyctl.config", "energyctl.accounting"}
ALLOWED: dict[str, set[str]] = {
    "energyctl.core": set(),
    "drivers": CORE,
    "optimizer": CORE,
    "energyctl.resources": CORE,
    "energyctl.store": CORE,
    "energyctl.config": CORE,
    "energyctl.accounting": CORE,
    "energyctl.field": BASE,
    "energyctl.planning": BASE,
    "energyctl.control": BASE,
    "energyctl.daemon": BASE | {"energyctl.field", "energyctl.planning", "energyctl.control"},
    "hil": BASE | {"energyctl.resources", "energyctl.daemon"},
    "energyctl.cli": BASE | {"energyctl.field", "energyctl.planning", "energyctl.control", "energyctl.daemon"},
}
"""What each room may import of ours besides itself."""


def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> set[str]:
    """Modules of ours that a module imports anywhere in its text, TYPE_CHECKING and functions included."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module.split(".") if node.module else [])])
            if not all(f"{source}.{alias.name}" in known for alias in node.names):
                found.add(source)
            found.update(f"{source}.{alias.name}" for alias in node.names if f"{source}.{alias.name}" in known)
    return {item for item in found if item in known and item != name}


def room(module: str) -> str:
    """The room of the house a module is in."""
    return max((r for r in ALLOWED if module == r or module.startswith(r + ".")), key=len, default=module)


MODULES = modules()
IMPORTS = {name: imports(name, path, set(MODULES)) for name, path in MODULES.items()}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_only_from_the_floors_below(name):
    mine = room(name)
    if mine == "energyctl":
        return
    for target in IMPORTS[name]:
        theirs = room(target)
        assert theirs in (mine, "energyctl") or theirs in ALLOWED[mine], f"{name} must not import {target}"


def test_every_module_lives_in_a_room_of_the_house():
    assert {room(name) for name in MODULES} - set(ALLOWED) == {"energyctl"}


def test_there_are_no_import_cycles():
    state: dict[str, int] = {}

    def visit(name: str, path: list[str]) -> None:
        if state.get(name) == 2:
            return
        assert state.get(name) != 1, "cycle: " + " -> ".join([*path[path.index(name) :], name])
        state[name] = 1
        for target in sorted(IMPORTS[name]):
            # a package's __init__ gathers its own modules, and they may import each other through it only downwards
            visit(target, [*path, name])
        state[name] = 2

    for name in sorted(MODULES):
        visit(name, [])


def test_the_rule_is_able_to_fail(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("from __future__ import annotations\ndef f():\n    from optimizer.solve import solve\n")
    assert imports("energyctl.control.bad", bad, {"optimizer.solve"}) == {"optimizer.solve"}


def test_only_dispatch_and_handback_write_to_a_driver():
    callers = {}
    for name, path in MODULES.items():
        if room(name) in ("drivers", "hil", "optimizer"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr in ("write", "relinquish") and "driver" in owner:
                    callers.setdefault(name, set()).add(node.func.attr)
    assert callers == {
        "energyctl.control.dispatch": {"write"},
        "energyctl.control.handback": {"write", "relinquish"},
    }
