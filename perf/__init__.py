"""Time and memory of our metrics and kernels beside named peers, on one machine in one run."""

import os

from ltbench.benchmark.processor import avoid_slow_sort

# As in every process of ours; all sides profit.
avoid_slow_sort()

# One thread for every side; here, because NumPy and torch read them when they are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
