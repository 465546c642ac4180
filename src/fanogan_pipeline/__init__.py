"""Find anomalous images after seeing only normal ones (f-AnoGAN) as a Kedro pipeline."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch loads it: a thread that waits for the others sleeps. By default it spins, and
# where another process wants the same core every small operation then waits for a time slice of both.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
