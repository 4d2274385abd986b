"""Whatever is in a site file, the answer is a Site or a ConfigError."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energyctl.config import load_site
from energyctl.config.yaml_source import parse_yaml
from energyctl.core.errors import ConfigError

FUZZ = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TOWN_HALL = (Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml").read_text("utf-8")
YAMLISH = st.text(st.sampled_from("ab:1 \n\t-[]{},&*!|>'\"#?%@`~\\\x00\x85\u2028é°"), max_size=60)
WORDS = st.sampled_from(
    [
        "",
        "meter.power",
        "storage.soc",
        "5 kW",
        "-1 °C",
        "1e999 kW",
        ".",
        "..",
        "a.b.c",
        "\x00",
        "../../x",
        "nan",
        "kW",
        "zone",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
KEYS = st.sampled_from(["secret", "kind", "id", "min", "via", "password", "x", "", "0"]) | st.text(max_size=4)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


def outcome(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", errors="surrogatepass")
    try:
        load_site(path)
    except ConfigError as exc:
        assert exc.problems
        assert all(problem and "\n" not in problem.strip() for problem in exc.problems)


def paths(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from paths(data[key], (*above, key))


PATHS = list(paths(parse_yaml(TOWN_HALL, "f").data))


@FUZZ
@given(text=YAMLISH)
def test_any_text(site_dir: Path, text: str) -> None:
    outcome(site_dir / "site.yaml", text)


@FUZZ
@given(at=st.integers(0, len(TOWN_HALL)), cut=st.integers(0, 30), text=YAMLISH)
def test_the_town_hall_with_a_piece_replaced(site_dir: Path, at: int, cut: int, text: str) -> None:
    outcome(site_dir / "site.yaml", TOWN_HALL[:at] + text + TOWN_HALL[at + cut :])


@FUZZ
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_the_town_hall_with_values_replaced(site_dir: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data: Any = parse_yaml(TOWN_HALL, "f").data
    for path, value in changes:
        data = replaced(data, path, value)
    outcome(site_dir / "site.yaml", json.dumps(data, indent=1))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    inside = path[0] in data if isinstance(data, dict) else isinstance(data, list) and path[0] in range(len(data))
    if not inside:
        return data
    changed = dict(data) if isinstance(data, dict) else list(data)
    changed[path[0]] = replaced(data[path[0]], path[1:], value)
    return changed
