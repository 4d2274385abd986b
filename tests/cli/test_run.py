"""run and handback: what they hand on, and what becomes of their exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from energyctl.control.handback import Group, HandedBack
from energyctl.daemon import main as daemon_main
from energyctl.daemon import returning, supervise


@pytest.mark.parametrize(
    ("options", "supervised", "arguments"),
    [
        ([], True, ["--strategy", "plan"]),
        (["--strategy", "rules"], True, ["--strategy", "rules"]),
        (["--state", "/x", "--no-supervise"], False, ["--strategy", "plan", "--state", "/x"]),
    ],
)
@pytest.mark.parametrize("code", [0, 1, 70])
def test_run_hands_on(cli, monkeypatch, options, supervised, arguments, code):
    called: list[tuple[bool, list[str]]] = []
    monkeypatch.setattr(supervise, "supervise", lambda args: called.append((True, list(args))) or code)
    monkeypatch.setattr(daemon_main, "main", lambda args: called.append((False, list(args))) or code)
    assert cli("run", "site.yaml", *options).code == code
    assert called == [(supervised, ["site.yaml", *arguments])]


@pytest.mark.parametrize("supervise", ["--supervise", "--no-supervise"])
def test_run_with_a_wrong_site_file_says_so_plainly(tmp_path, supervise):
    path = tmp_path / "site.yaml"
    path.write_text("site: {id: x}\nsite: {id: y}\n")
    program = [sys.executable, "-c", "from energyctl.cli.main import main; main()"]
    done = subprocess.run([*program, "run", str(path), supervise], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(path) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("oks", "code", "words"),
    [([], 0, "nothing to give back"), ([True, True], 0, "yes"), ([True, False], 1, "NO")],
)
def test_handback(cli, monkeypatch, oks, code, words):
    async def hand_back(site: object, state: object) -> list[HandedBack]:
        return [HandedBack(Group("bat", f"p{n}", (f"p{n}",)), ok, "detail") for n, ok in enumerate(oks)]

    monkeypatch.setattr(returning, "handback", hand_back)
    result = cli("handback", "site.yaml")
    assert result.code == code and words in result.out
    as_json = cli("handback", "site.yaml", "--json")
    assert as_json.code == code and [one["ok"] for one in as_json.json] == oks


def test_handback_of_a_site_that_never_ran(cli, site):
    result = cli("handback", site)
    assert (result.code, result.out) == (0, "nothing to give back\n")
