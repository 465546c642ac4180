"""What the project's speed, memory and start-up are on this machine: `make bench`, which writes docs/performance.md."""

import fanogan_pipeline  # noqa: F401 - before torch: its waiting threads are to behave as in `kedro run`
