"""Decides: forecasts and flexibility in, a plan out. `optimizer.planner:planner` is what the daemon's child process loads.

One thread: for problems of this size more threads cost more than they give, and sums would depend on their number. It must
be said before numpy is loaded.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
