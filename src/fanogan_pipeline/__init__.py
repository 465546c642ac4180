"""Find anomalous images after seeing only normal ones (f-AnoGAN) as a Kedro pipeline."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch loads it: how often a thread that waits for the others looks again before it sleeps, here
# for about half a millisecond. A training step has hundreds of such waits, nearly all of them shorter; sleeping at once
# and being woken takes a fifth of it or more. OpenMP's own 300,000 gain little, and make a step 6 to 20 times as long
# beside a process that keeps one of two cores busy, instead of three times (docs/performance.md).
LOOKS_BEFORE_SLEEP = 10_000
os.environ.setdefault("GOMP_SPINCOUNT", str(LOOKS_BEFORE_SLEEP))
