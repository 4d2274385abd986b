"""What energy cost and how well a site did, from measured or simulated interval series: one place for every report."""

from .cost import Bill, Stock, bill, peak_kw, stock_value
from .kpi import discomfort_kh, self_consumption, self_sufficiency

__all__ = [
    "Bill",
    "Stock",
    "bill",
    "discomfort_kh",
    "peak_kw",
    "self_consumption",
    "self_sufficiency",
    "stock_value",
]
