"""Scenarios in pytest: files called `*.hil.yaml` are tests, and `hil_run` runs a scenario inside a test.

A scenario file beside the tests is collected as one test. It runs on its own `site:`, or on the one that the option `hil_site`
of the pytest configuration names, relative to that configuration's folder. It fails with what was found, is skipped on a
site that lacks what it is about, and keeps its evidence when it fails.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.testing.verdict import Verdict

SUFFIX = ".hil.yaml"
T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`hil_site = site.yaml`."""
    parser.addini("hil_site", "the site file that *.hil.yaml scenarios run on when they name none", type="string")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """A scenario file is a test file."""
    return ScenarioFile.from_parent(parent, path=file_path) if file_path.name.endswith(SUFFIX) else None


class ScenarioFile(pytest.File):
    """One scenario."""

    def collect(self) -> Iterator[pytest.Item]:
        yield ScenarioItem.from_parent(self, name=self.path.name.removesuffix(SUFFIX))


class NotPassed(Exception):
    """A scenario that did not pass; its text is all there is to say."""


class ScenarioItem(pytest.Item):
    """Runs it."""

    def runtest(self) -> None:
        from hil.scenario import load

        own = load(self.path).site is not None
        verdict = _run(self.path, None if own else _site(self.config), None)
        if verdict.status == "not-applicable":
            pytest.skip(verdict.reason)
        if not verdict.passed:
            raise NotPassed(str(verdict))
        self.add_report_section("call", "findings", "\n".join(verdict.lines()))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from energyctl.core.errors import EnergyctlError

        if isinstance(excinfo.value, NotPassed | EnergyctlError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"scenario {self.name}"


class HilRun(Protocol):
    """What the fixture `hil_run` gives."""

    def __call__(
        self, scenario: Mapping[str, Any] | str | Path, site: str | Path | None = None, *, seed: int | None = None
    ) -> Verdict: ...


@pytest.fixture
def hil_run(request: pytest.FixtureRequest, tmp_path: Path) -> HilRun:
    """Runs a scenario (a file, the name of one that ships, or its content) on a site and returns the verdict.

    `site` is relative to the test file; without one, the scenario's own or the option `hil_site` is meant. Write
    `assert verdict.passed, verdict`. Raises ConfigError for mistakes in the files.
    """

    def run(
        scenario: Mapping[str, Any] | str | Path, site: str | Path | None = None, *, seed: int | None = None
    ) -> Verdict:
        folder = request.path.parent
        file = _written(scenario, folder, tmp_path) if isinstance(scenario, Mapping) else _found(scenario, folder)
        return _run(file, _site(request.config) if site is None else folder / site, seed, tmp_path)

    return run


def _run(file: Path | str, site: Path | None, seed: int | None, folder: Path | None = None) -> Verdict:
    """Run and judge; below `folder` all evidence is kept, without one only that of what did not pass."""
    from energyctl.core.errors import ConfigError
    from hil.scenario import load, site_of
    from hil.testing.runner import Case, run_all

    scenario = load(file)
    site = site or site_of(scenario)
    if site is None:
        raise ConfigError(
            f"{file}: is for any site; say which: 'site:' in the file, or hil_site in pytest's configuration"
        )
    out = Path(tempfile.mkdtemp(prefix="hil-", dir=folder))
    verdict = _waited(run_all([Case(site, scenario, seed)], out, keep=folder is not None))[0]
    if verdict.out is None:
        shutil.rmtree(out, ignore_errors=True)
    return verdict


def _waited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also from within an asynchronous test."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def _site(config: pytest.Config) -> Path | None:
    name = config.getini("hil_site")
    return (config.inipath.parent if config.inipath else config.rootpath) / name if name else None


def _written(content: Mapping[str, Any], folder: Path, tmp_path: Path) -> Path:
    """A scenario given as data becomes a file, in which files are named as seen from the test."""
    from ruamel.yaml import YAML

    from hil.rewrite import absolute

    data = deepcopy(dict(content))
    absolute(data, [folder])
    path = Path(tempfile.mkdtemp(prefix="given-", dir=tmp_path)) / "scenario.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(data, file)
    return path


def _found(name: str | Path, folder: Path) -> str | Path:
    """A file beside the test, or else the name of a scenario that ships."""
    return folder / name if (folder / name).is_file() else name
