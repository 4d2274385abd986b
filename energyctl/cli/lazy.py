"""Command groups that are imported when they are used: their names and help lines are known without.

A group is named by the module that holds its Typer app, or by an entry point of a plug-in in `energyctl.commands`. So
`energyctl --help` stays fast whatever is installed, and a plug-in that cannot be imported spoils its own commands alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from energyctl.core.errors import EnergyctlError

PLUGINS = "energyctl.commands"

_PLUGIN_HELP = {
    "hil": "Simulate a site on real sockets.",
    "demo": "See what energyctl saves on a winter and a summer day.",
}
"""Help lines of the plug-ins shipped with energyctl; those of others come from their package's summary."""


class LazyCommand(TyperGroup):
    """Stands for a command or group until it is used."""

    def __init__(self, name: str, help_line: str, target: str | EntryPoint) -> None:
        super().__init__(name=name, help=help_line, rich_markup_mode=None)
        self._target = target

    def load(self) -> Any:
        """The real command. Raises EnergyctlError when its module cannot be imported."""
        try:
            found = import_module(self._target).app if isinstance(self._target, str) else self._target.load()
        except (ImportError, AttributeError) as exc:
            raise EnergyctlError(f"the command '{self.name}' cannot be loaded: {exc}") from exc
        command = typer.main.get_command(found) if isinstance(found, typer.Typer) else found
        command.name = self.name
        return command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)


def root(commands: Mapping[str, tuple[str, str]]) -> type[TyperGroup]:
    """A group class of these commands (name → module, help line) and of every installed plug-in's."""

    class Root(TyperGroup):
        def __init__(self, **attrs: Any) -> None:
            super().__init__(**attrs)
            for name, (module, help_line) in commands.items():
                self.add_command(LazyCommand(name, help_line, module))
            for plugin in _plugins(commands):
                self.add_command(plugin)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(self.commands)

    return Root


def _plugins(taken: Mapping[str, object]) -> Iterator[LazyCommand]:
    for entry in sorted(entry_points(group=PLUGINS), key=lambda e: e.name):
        if entry.name not in taken:
            yield LazyCommand(entry.name, _PLUGIN_HELP.get(entry.name) or _summary(entry), entry)


def _summary(entry: EntryPoint) -> str:
    if entry.dist is None:
        return f"From {entry.value}."
    return f"{entry.dist.metadata['Summary'] or 'A plug-in'} ({entry.dist.name})"
