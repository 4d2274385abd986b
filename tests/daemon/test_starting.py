"""Which ids have to be said to mean another device."""

from __future__ import annotations

import pytest

from energyctl.config.change import Change
from energyctl.core.errors import ConfigError
from energyctl.daemon.starting import consent

TWO = {"meter": "unit 1 -> 2", "pv": "unit 2 -> 1"}


@pytest.mark.parametrize(
    ("replaced", "said", "meant"),
    [
        ({}, (), set()),
        ({}, ("meter",), {"meter"}),  # the same address, but another device all the same
        (TWO, ("meter", "pv"), {"meter", "pv"}),
        (TWO, ("*",), {"meter", "pv"}),
        (TWO, ("*", "bat"), {"meter", "pv", "bat"}),
    ],
)
def test_what_is_said_is_meant(replaced, said, meant):
    assert consent(Change((), (), replaced, (), ()), said) == meant


@pytest.mark.parametrize(
    ("replaced", "said", "words"),
    [
        (TWO, (), ["meter: another device", "pv: another device", "--replace meter --replace pv"]),
        (TWO, ("meter",), ["pv: another device behind the same id: unit 2 -> 1"]),
        (dict.fromkeys("abcd", "port 1 -> 2"), (), ["--replace '*'"]),
    ],
)
def test_what_is_not_said_is_asked_for(replaced, said, words):
    with pytest.raises(ConfigError) as error:
        consent(Change((), (), replaced, (), ()), said)
    assert all(word in str(error.value) for word in words)
