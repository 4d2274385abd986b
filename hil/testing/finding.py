"""What a check found: one sentence with numbers and times, and whether all is well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check of a run."""

    check: str
    """The expect sentence, or the name of the standard check."""
    ok: bool
    text: str
    """What was seen, when, and what the limit is."""
    at: datetime | None = None
    """Where to look in the run; None when it is about the whole of it."""
    waived: str = ""
    """Why a failure does not count; "" when it does."""

    @property
    def counts(self) -> bool:
        """Whether this makes the run fail."""
        return not self.ok and not self.waived

    def excused(self, reason: str) -> Finding:
        """The same finding, waived for that reason."""
        return replace(self, waived=reason)

    def plain(self) -> dict[str, str | bool | None]:
        """As what JSON can hold."""
        at = None if self.at is None else self.at.isoformat()
        return {"check": self.check, "ok": self.ok, "text": self.text, "at": at, "waived": self.waived}
