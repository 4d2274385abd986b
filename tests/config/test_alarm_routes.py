"""The section `alarms`: who is told, and what is wrong with how it is written."""

import pytest

from energyctl.config import load_site
from energyctl.core.errors import ConfigError
from energyctl.core.severity import Severity

HOOK = """
secrets: {hook: {env: HOOK}, address: {env: ADDRESS}}
alarms: {webhook: {%s}}
"""


@pytest.fixture
def site(site_dir, town_hall):
    def write(text):
        path = site_dir / "site.yaml"
        path.write_text(town_hall + HOOK % text)
        return path

    return write


def test_no_section_is_nobody_told(site_dir, town_hall):
    path = site_dir / "site.yaml"
    path.write_text(town_hall)
    assert load_site(path).webhook is None


def test_where_alarms_are_sent(site, monkeypatch):
    monkeypatch.setenv("HOOK", "k3y")
    path = site("url: 'https://alerts.example.org/x', secret: {secret: hook}, min_severity: critical")
    hook = load_site(path, resolve_secrets=True).webhook
    assert (hook.url, hook.secret, hook.min_severity) == ("https://alerts.example.org/x", "k3y", Severity.CRITICAL)
    assert "k3y" not in repr(hook)
    assert load_site(path).webhook.secret == "***"


def test_an_address_that_holds_a_token_is_a_secret(site, monkeypatch):
    monkeypatch.setenv("ADDRESS", "https://hooks.example.org/T0K3N")
    path = site("url: {secret: address}")
    assert load_site(path).webhook.url == "***"
    hook = load_site(path, resolve_secrets=True).webhook
    assert hook.url == "https://hooks.example.org/T0K3N" and "T0K3N" not in repr(hook)
    assert (hook.secret, hook.min_severity) == (None, Severity.WARNING)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("url: 'ftp://example.org'", "'ftp://example.org': must be an address like https://"),
        ("url: 'alerts.example.org'", "must be an address like https://"),
        ("url: 'http://[::1'", "must be an address like https://"),
        ("url: 'https://me:pw@example.org'", "a password must not stand in an address"),
        ("secret: {secret: hook}", "alarms.webhook.url: is missing"),
        ("url: 'https://example.org', secret: k3y", "a secret must not stand in a site file"),
        (
            "url: 'https://example.org', secret: {secret: hoook}",
            "the section secrets has no 'hoook'; did you mean 'hook'?",
        ),
        ("url: 'https://example.org', min_severity: worst", "must be 'info', 'warning' or 'critical'"),
        ("url: 'https://example.org', severity: info", "unknown key 'severity'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(site, town_hall, text, words):
    line = len(town_hall.splitlines()) + 3
    with pytest.raises(ConfigError) as error:
        load_site(site(text))
    assert any(words in problem and f":{line}:" in problem for problem in error.value.problems), error.value.problems


def test_a_secret_that_holds_no_address_is_said_without_showing_it(site, monkeypatch):
    monkeypatch.setenv("ADDRESS", "T0K3N")
    with pytest.raises(ConfigError) as error:
        load_site(site("url: {secret: address}"), resolve_secrets=True)
    assert "what the secret holds must be an address" in str(error.value) and "T0K3N" not in str(error.value)
