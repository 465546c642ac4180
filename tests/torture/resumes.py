"""Both phases killed at random steps and gone on with: `python -m tests.torture.resumes --kills 10` of each.

The models must come out bit by bit as those of a training that nothing has disturbed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.torture import victims
from tests.torture.kills import let_run

EVERY = 4  # steps between two states
KILLED = -9


def resumed(folder: Path, phase: str, step: int) -> tuple[dict[str, str], int]:
    """Digests of a training that was killed before this step and gone on with; the step of its first state then."""
    status, _ = let_run(victims.train_to_death, (folder, phase, step, EVERY))
    assert status == KILLED
    status, reports = let_run(victims.train_to_the_end, (folder, EVERY))
    assert status == 0
    first = next(number for name, number in reports if name == phase)
    return reports[-1][1], first


def torture(folder: Path, kills: int, seed: int = 0) -> list[str]:
    """Kill each phase at so many random steps; what went wrong, a line each."""
    rng = random.Random(seed)
    whole = let_run(victims.train_to_the_end, (folder / "undisturbed", EVERY))[1][-1][1]
    wrong = []
    for phase in ("wgan", "encoder"):
        for step in sorted(rng.sample(range(1, victims.STEPS), kills)):
            digests, first = resumed(folder / f"{phase}-{step}", phase, step)
            expected = min(victims.STEPS, (step // EVERY + 1) * EVERY)
            if digests != whole or first != expected:
                wrong.append(f"{phase} killed before step {step}: {digests}, first state {first}, expected {expected}")
            print(
                f"{phase} killed before step {step}: {'as undisturbed' if digests == whole else 'DIFFERS'}", flush=True
            )
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each phase")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = torture(Path(folder), options.kills, options.seed)
    print("\n".join(wrong) or f"{2 * options.kills} resumed trainings, every one as undisturbed")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
