"""Standard checks of who is in command: no lease lapses under a living daemon, and none outlives a dead one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from hil.events import Event, Happened

from .evidence import Evidence, Span
from .finding import Finding
from .ledger import Ledger
from .when import spell
from .write_checks import Wrong, finding

PARENT_S = 15.0
"""What a parent or a service manager needs on top of the lease to hand back for a daemon that is gone."""
_CUTS_OFF = ("device", "link", "point", "readings")
"""What is done to these may keep the daemon from refreshing a device, or from handing it back, or takes the point itself."""


def lease(evidence: Evidence) -> Finding:
    """While a daemon runs, no timer of a device runs out on a command; once it is gone, everything is local within the lease
    and what its parent needs. Devices that cannot be reached then are excused.
    """
    gone = [e for e in evidence.events if e.kind is Happened.DAEMON and e.text in ("killed", "hung", "ended")]
    unjudged: list[str] = []
    wrong = [*_lapses(evidence), *(item for event in gone for item in _left(event, evidence, unjudged))]
    fine = f"no timer ran out under a running daemon; {len(gone)} times it was gone, and all was local in time"
    return finding("lease", wrong, "; ".join([fine, *unjudged]), evidence)


def _lapses(evidence: Evidence) -> Iterable[Wrong]:
    lease, alive = timedelta(seconds=evidence.lease_s), evidence.alive()
    for event in evidence.events:
        if event.kind is not Happened.LOCAL or event.data.get("why") != "lapsed":
            continue
        running = any(span.start <= event.time - lease and event.time <= span.end for span in alive)
        if running and not _cut_off(event.subject, Span(event.time - lease, event.time), evidence):
            yield Wrong(
                event.time, f"{event.subject} fell back to its own rule: nobody renewed it for {spell(lease.seconds)}"
            )


def _left(gone: Event, evidence: Evidence, unjudged: list[str]) -> Iterable[Wrong]:
    """What is still commanded when it must not be any more."""
    crashed = gone.text in ("killed", "hung")
    allowed = timedelta(seconds=(evidence.lease_s + PARENT_S if crashed else 0.0) + evidence.slack_s)
    until = gone.time + allowed
    back = [e.time for e in evidence.events if e.kind is Happened.DAEMON and e.text in ("started", "resumed")]
    if any(gone.time < time <= until for time in back):
        return
    ledger = Ledger(evidence)
    for point in evidence.commanded_points():
        if not _held(point, until, evidence) or ledger.given_back(point, until):
            continue
        if not evidence.ours(point) or _cut_off(point, Span(gone.time, until), evidence):
            continue
        if crashed and until > evidence.end:
            ran = spell((evidence.end - gone.time).total_seconds())
            unjudged.append(f"{point} was still commanded when the run ended {ran} after the daemon was {gone.text}")
            continue
        text = f"{point} was still commanded {spell(allowed.total_seconds())} after the daemon was {gone.text}"
        yield Wrong(gone.time, text if crashed else f"{point} was left commanded when the daemon ended")


def _held(point: str, time: datetime, evidence: Evidence) -> bool:
    """Whether the last that the bench tells of a point by then is that somebody commands it."""
    told = (Happened.COMMANDED, Happened.LOCAL)
    events = [e for e in evidence.events if e.kind in told and e.subject == point and e.time <= time]
    return bool(events) and events[-1].kind is Happened.COMMANDED


def ending(evidence: Evidence) -> Finding:
    """The daemon ends with code 0, unless the bench killed it or kept it from handing back."""
    ended = [e for e in evidence.events if e.kind is Happened.DAEMON and e.text == "ended"]
    ours = [e.time for e in evidence.events if e.kind is Happened.DAEMON and e.text in ("killed", "hung")]
    cut_off = [t.name for t in evidence.troubles if t.target in _CUTS_OFF and t.span.end >= evidence.end]
    wrong = [
        Wrong(event.time, f"the daemon ended with code {event.data['code']}")
        for event in ended
        if event.data.get("code", 0) != 0 and not cut_off and not any(time <= event.time for time in ours)
    ]
    return finding("ending", wrong, f"the daemon ended {len(ended)} times, as it should", evidence)


def _cut_off(point: str, span: Span, evidence: Evidence) -> bool:
    """Whether somebody kept the daemon from the point, or commands it himself, in a span."""
    return any(
        trouble.target in _CUTS_OFF and trouble.span.start <= span.end and span.start <= trouble.span.end
        for trouble in evidence.troubled(point, evidence.slack_s)
    )
