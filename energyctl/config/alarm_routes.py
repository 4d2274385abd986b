"""The section `alarms` of a site file: who is told of alarms."""

from __future__ import annotations

from urllib.parse import urlsplit

from energyctl.core.severity import Severity

from .options import Secrets
from .problems import Report
from .site import AlarmsSection, SecretReference, Webhook

URL_RULE = "must be an address like https://alerts.example.org/energyctl"


def read_webhook(report: Report, section: AlarmsSection | None, secrets: Secrets) -> Webhook | None:
    """Where alarms are sent, None when nowhere. What is wrong is noted."""
    if section is None or section.webhook is None:
        return None
    hook, path = section.webhook, ("alarms", "webhook")
    secret = None if hook.secret is None else secrets.get((*path, "secret", "secret"), hook.secret.secret)
    if isinstance(hook.url, SecretReference):
        url: str = secrets.get((*path, "url", "secret"), hook.url.secret)
        if secrets.resolve and not _is_address(url):
            report.add((*path, "url"), f"what the secret holds {URL_RULE}")
    else:
        url = hook.url
        if not _is_address(url):
            report.add((*path, "url"), URL_RULE, url)
    return Webhook(url, secret, Severity(hook.min_severity))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
