"""Find anomalous images after seeing only normal ones (f-AnoGAN) as a Kedro pipeline."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch loads it: how often a thread that waits for the others looks again before it sleeps, here
# for about half a millisecond. A training step has hundreds of such waits, nearly all of them shorter; sleeping at once
# and being woken takes a third of it. OpenMP's own 300,000 gain little more, and cost a step beside another process
# that keeps one of two cores busy 20 times its length instead of three and a half times.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
