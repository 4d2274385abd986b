"""What always holds, whatever a scenario is about: checks whose oracle is the bench's own record.

Each looks at the evidence of a whole run and gives one finding: all is well, with the figures, or what broke the rule, when,
and by how much. A scenario may waive one with a reason, which is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import energy_checks, lease_checks, write_checks
from .evidence import Evidence
from .finding import Finding

Check = Callable[[Evidence], Finding]

CHECKS: Mapping[str, Check] = {
    "limits": write_checks.limits,
    "rates": write_checks.rates,
    "intervals": write_checks.intervals,
    "wear": write_checks.wear,
    "refusals": write_checks.refusals,
    "priority": write_checks.priority,
    "interlocks": write_checks.interlocks,
    "journal": write_checks.journal,
    "lease": lease_checks.lease,
    "ending": lease_checks.ending,
    "energy": energy_checks.energy,
}
"""Every check by the name that findings and `waive` use."""
