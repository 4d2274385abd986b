"""The historian and the journal of one site, in one SQLite file that the daemon alone writes.

SQL and SQLModel stay inside this package; what comes out are the nouns of `energyctl.core`.
"""

from .plans import plan_from_json, plan_to_json
from .records import Batch, Stats
from .store import Store

__all__ = ["Batch", "Stats", "Store", "plan_from_json", "plan_to_json"]
