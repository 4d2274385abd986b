"""`energyctl init`: a commented site file to begin with; never over an existing one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from energyctl.core.errors import ConfigError

from .groups import group
from .output import print_json
from .where import JsonOption

app = group()


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("site.yaml"), json: JsonOption = False
) -> None:
    """Write a commented site file to begin with.

    \b
    Example:
      energyctl init my-building.yaml
    """
    text = files("energyctl.cli").joinpath("starter.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already and is left as it is; name another file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    if json:
        print_json({"written": str(path)})
    else:
        typer.echo(f"{path} written. Put your devices in, then: energyctl config validate {path}")
