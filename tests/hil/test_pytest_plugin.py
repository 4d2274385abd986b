"""The pytest plugin as an integrator uses it: scenario files beside her tests, and `hil_run` inside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

LARISSA = Path("sites/larissa").resolve()
SITE = f"""
site: {{id: shed, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4, mode: control}}
connections:
  bus: {{modbus: tcp, host: 10.0.0.5}}
devices:
  meter: {{profile: eastron/sdm630@1, via: bus}}
grid: {{meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}}
resources:
  base: {{kind: base-load, prior: {LARISSA}/measured/base_load_history.csv}}
tariff: {{kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}}
"""
FILES = {
    "pytest.ini": "[pytest]\nhil_site = site/shed.yaml\n",
    "site/shed.yaml": SITE,
    "fails.hil.yaml": 'lasts: 3 min\nstrategy: rules\nexpect: ["grid import never above 0.1 kW"]\n',
    "lacks.hil.yaml": 'events: [{fault: silent, on: "@battery"}]\n',
    "wrong.hil.yaml": "lasts: 3\n",
    "notes.yaml": "no scenario of ours",
    "test_mine.py": """
import pytest
from energyctl.core.errors import ConfigError

async def test_a_scenario_given_as_data(hil_run):
    verdict = hil_run({"lasts": "3 min", "strategy": "rules", "expect": ["grid import never above 60 kW"]}, seed=5)
    assert verdict.passed, verdict
    assert (verdict.seed, verdict.out.is_dir()) == (5, True)
    with pytest.raises(ConfigError, match="unknown key 'last'"):
        hil_run({"last": "3 min"}, site="site/shed.yaml")
""",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("integrator")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-rs", "."]
    command += ["--basetemp", str(folder / "tmp")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


@pytest.mark.parametrize(
    "line",
    [
        r"fails\.hil\.yaml::fails FAILED",
        r"lacks\.hil\.yaml::lacks SKIPPED \(the site has no battery\)",
        r"wrong\.hil\.yaml::wrong FAILED",
        r"test_mine\.py::test_a_scenario_given_as_data PASSED",
        r"2 failed, 1 passed, 1 skipped",
    ],
)
def test_each_file_is_a_test(told, line):
    assert re.search(line, told), told


def test_a_failure_shows_the_findings_and_no_traceback(told):
    shown = told.partition("scenario fails")[2].partition("scenario wrong")[0]
    assert "  grid import never above 0.1 kW\n" in shown
    assert re.search(r"evidence: \S+/fails\n", shown)
    assert "Traceback" not in told
    assert "runner.py" not in told
    assert re.search(r"wrong\.hil\.yaml:1: lasts: '3': a number without a unit; write '3 s'", told)


def test_other_peoples_tests_are_not_slowed_down(tmp_path):
    heavy = {"hil.testing.runner", "hil.scenario", "energyctl.config", "pymodbus", "asyncua", "scipy"}
    (tmp_path / "test_other.py").write_text(
        f"import sys\ndef test_it():\n    assert 'hil.pytest_plugin' in sys.modules\n    assert not {heavy} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed" in done.stdout, done.stdout
