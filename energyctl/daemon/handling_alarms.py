"""What can be asked of a running daemon about its alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from energyctl.control.alarms import Alarm, Alarms
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.store import Batch

from .alarm_desk import AlarmDesk
from .server import Handler
from .storing import StoreThread

MOST_NOTE = 1000


class AlarmHandlers:
    """Lists alarms and takes acknowledgements; `cycle` gives the number of the cycle, for the journal."""

    def __init__(self, alarms: Alarms, desk: AlarmDesk, store: StoreThread, cycle: Callable[[], int]) -> None:
        self._alarms, self._desk, self._store, self._cycle = alarms, desk, store, cycle

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {"alarms": self.alarms, "acknowledge": self.acknowledge}

    async def alarms(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The standing alarms, oldest first."""
        return [alarm.as_json() for alarm in self._alarms.standing]

    async def acknowledge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Acknowledge the alarm "name" of "subject" with a "note"; on disk when this answers."""
        name, subject = str(request["name"]), str(request["subject"])
        note = str(request.get("note") or "")[:MOST_NOTE]
        alarm = await self._desk.acknowledge(name, subject, str(request["user"]), note)
        await self._store.commit(Batch(journal=(_line(alarm, self._cycle()),)))
        return alarm.as_json()


def _line(alarm: Alarm, cycle: int) -> JournalEntry:
    at = alarm.acknowledged_at or alarm.raised_at
    return JournalEntry(
        cycle,
        at,
        JournalKind.NOTE,
        alarm.subject,
        source=alarm.acknowledged_by,
        reason=alarm.note,
        detail=f"{alarm.name}: acknowledged",
    )
