"""Find anomalous images after seeing only normal ones (f-AnoGAN) as a Kedro pipeline."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch loads it: how often a thread that waits for the others looks again before it sleeps. By
# default it spins for milliseconds, and where another process wants the same core every small operation then waits for
# a time slice of both; a thread that sleeps at once is woken hundreds of times a training step, a third of its time.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
