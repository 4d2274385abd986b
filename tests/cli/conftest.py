"""The command line as a function, and a stub of the daemon's control socket that answers what a test tells it to."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from energyctl.cli.main import run

SITE_TEXT = (Path(__file__).parents[2] / "energyctl" / "cli" / "starter.yaml").read_text(encoding="utf-8")


class Result(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which no site has run."""
    for name in ("STATE_DIRECTORY", "ENERGYCTL_SITE", "ENERGYCTL_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*args: object) -> Result:
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE_TEXT, encoding="utf-8")
    return path


def _reading(point: str, value: float | None, unit: str, quality: str = "good", reason: str = "") -> dict[str, Any]:
    at = datetime(2026, 1, 14, 6, 0, tzinfo=UTC).isoformat()
    return {"point": point, "value": value, "unit": unit, "quality": quality, "reason": reason, "time": at}


@pytest.fixture
def reading() -> Callable[..., dict[str, Any]]:
    """A reading as the daemon says it."""
    return _reading


DEVICES = [
    {
        "device": name,
        "profile": profile,
        "link": "plant-room",
        "answers": name != "inverter",
        "mode": "control",
        "identity": None,
        "reads": 12,
        "errors": 0,
        "writes_blocked": None,
    }
    for name, profile in (
        ("charger", "generic/ev-charger@1"),
        ("heatpump", "generic/heat-pump-2zone@1"),
        ("inverter", "sunspec/pv-inverter@1"),
        ("storage", "sunspec/battery@1"),
    )
]


class StubDaemon:
    """Answers each "do" with the result, the list of streamed results, or the (message, exit code) it was given."""

    def __init__(self, path: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {"devices": DEVICES, "status": {}}
        stub = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    request = json.loads(line)
                    stub.requests.append(request)
                    for answer in stub.answers_to(request):
                        self.wfile.write(json.dumps(answer).encode() + b"\n")
                        self.wfile.flush()
                    if request.get("watch_s"):
                        return

        path.parent.mkdir(parents=True, exist_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answers_to(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match self.answers.get(request["do"]):
            case (str(message), int(code)):
                yield {"ok": False, "error": message, "exit_code": code}
            case list(results) if request.get("watch_s"):
                for result in results:
                    yield {"ok": True, "result": result}
                    time.sleep(0.01)
            case result if callable(result):
                yield {"ok": True, "result": result(request)}
            case result:
                yield {"ok": True, "result": result}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def daemon(state: Path) -> Iterator[StubDaemon]:
    stub = StubDaemon(state / "control.sock")
    yield stub
    stub.close()
