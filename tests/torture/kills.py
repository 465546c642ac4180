"""Kills at random moments, and what a run that starts afterwards finds: `python -m tests.torture.kills --kills 200`.

Half of the kills hit a process that saves, half one that trains. `--stock` has Kedro's own datasets saved
instead and shows that the script finds what is torn where something is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.torture import victims

ROOT = Path(__file__).resolve().parents[2]


def children() -> Any:
    """Processes come from a server that has imported everything once."""
    sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests/datasets")) if path not in sys.path]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.torture.victims", "kedro_datasets.pandas", "kedro_datasets.json"])
    return context


def kill_one(target: Callable[..., None], arguments: tuple[Any, ...], delay: float) -> list[Any]:
    """Start a process, kill it `delay` seconds after it is at work; whatever it has reported."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = children().Process(target=_reporting, args=(target, arguments, writer))
    process.start()
    writer.close()
    assert reader.recv() == victims.AT_WORK
    time.sleep(delay)
    alive = process.is_alive()
    process.kill()
    process.join()
    assert alive, f"the victim had ended by itself with {process.exitcode}"
    return _drained(reader)


def let_run(target: Callable[..., None], arguments: tuple[Any, ...]) -> tuple[int | None, list[Any]]:
    """Start a process and wait for its end: its exit status (-9 where it was killed) and what it has reported."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = children().Process(target=_reporting, args=(target, arguments, writer))
    process.start()
    writer.close()
    reports = _drained(reader)
    process.join()
    return process.exitcode, reports


def _reporting(target: Callable[..., None], arguments: tuple[Any, ...], writer: Connection) -> None:
    target(*arguments, writer.send)


def _drained(reader: Connection) -> list[Any]:
    found = []
    try:
        while True:
            found.append(reader.recv())
    except (EOFError, OSError):
        return found


class SavingVictim:
    """Versions of several datasets; `check` is the run after the kill."""

    span = 0.6  # seconds that it lives at most, once it is at work

    def __init__(self, folder: Path, kinds: dict[str, str]) -> None:
        self.folder, self.kinds, self.next = folder, kinds, 0
        self.good: dict[str, list[str]] = {form: [] for form in kinds}
        self.seen: dict[str, set[str]] = {form: set() for form in kinds}

    def kill(self, delay: float) -> list[Any]:
        return kill_one(victims.save_for_ever, (self.kinds, self.folder, self.next), delay)

    def check(self, reported: list[Any], tally: Counter) -> None:
        safe = dict(reported)
        for form in self.kinds:
            before = self._newest(form)
            self._check_form(form, tally)
            tally["lost"] += self._newest(form) < max(safe.get(form, -1), before)
        self.next = 1 + max(int(version) for seen in self.seen.values() for version in (*seen, "-1"))
        tally["saves"] += len(reported)

    def _newest(self, form: str) -> int:
        return int(max(self.good[form], default="-1"))

    def _check_form(self, form: str, tally: Counter) -> None:
        dataset = victims.stored(form, self.kinds, self.folder)
        listed = sorted(path.name for path in Path(dataset._filepath).glob("[0-9]*"))
        for version in listed:
            if version in self.seen[form]:
                continue
            self.seen[form].add(version)
            try:
                found = victims.stored(form, self.kinds, self.folder, load=version).load()
            except Exception:
                tally["torn"] += 1
                continue
            verdict = "good" if _same(form, found, victims.content(form, int(version))) else self._blame(form, found)
            tally[verdict] += 1
            if verdict == "good":
                self.good[form].append(version)

    def _blame(self, form: str, found: Any) -> str:
        """Content of another save is a mixture, anything else half a save."""
        return "mixed" if any(_same(form, found, victims.content(form, n)) for n in range(self.next + 20)) else "torn"


class TrainingVictim:
    """Training states; every one must be the very state that an undisturbed training has at that step."""

    span = 2.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: dict[tuple[str, int], str] = {}
        self.digests = self._undisturbed(folder / "undisturbed")
        self.place = folder / "states"

    def _undisturbed(self, folder: Path) -> dict[str, str]:
        def note(report: tuple[str, int]) -> None:
            self.states[report] = victims.slot(folder, report[0], note).load().digest

        return victims.train(folder, note)

    def kill(self, delay: float) -> list[Any]:
        return kill_one(victims.train_for_ever, (self.place,), delay)

    def check(self, reported: list[Any], tally: Counter) -> None:
        finished = [fact for name, fact in reported if name == "digests"]
        tally["good"] += sum(digests == self.digests for digests in finished)
        tally["mixed"] += sum(digests != self.digests for digests in finished)
        since = len(reported) - 1 - next((k for k, (name, _) in enumerate(reversed(reported)) if name == "digests"), -1)
        last = dict(reported[since:] if finished else reported)
        for phase in ("wgan", "encoder"):
            state = victims.slot(self.place, phase, print).load()
            if state is None:
                tally["lost"] += last.get(phase, -1) >= 0 and not finished
                continue
            step = int(state.header["step"])
            tally["lost"] += step < last.get(phase, -1)
            tally["good" if state.digest == self.states.get((phase, step)) else "torn"] += 1
        tally["states"] += len(reported)


def _same(form: str, found: Any, expected: Any) -> bool:
    from tests.datasets.stored_forms import same

    if form == "CSVDataset":
        return found.astype(str).equals(expected.astype(str))
    return same(form, found, expected)


def torture(folder: Path, kills: int, stock: bool = False, seed: int = 0, enough: int | None = None) -> Counter:
    """Kill that many times and count what was found afterwards.

    Args:
        folder: an empty one.
        kills: how many.
        stock: save with Kedro's own datasets (which have no training states).
        seed: of the moments, as far as a machine keeps time.
        enough: stop when so many torn ones are found.

    Returns:
        Counts of `kills`, `good`, `torn`, `mixed`, `lost`, and of the `saves` and `states` that came back.
    """
    rng, tally = random.Random(seed), Counter()
    kinds = victims.STOCK if stock else victims.OURS
    all_victims: list[Any] = [SavingVictim(folder / "saved", kinds)]
    if not stock:
        all_victims.append(TrainingVictim(folder))
    for number in range(kills):
        victim = all_victims[number % len(all_victims)]
        victim.check(victim.kill(rng.uniform(0, victim.span)), tally)
        tally["kills"] += 1
        if (number + 1) % 20 == 0:
            print(f"{number + 1} kills: {_words(tally)}", flush=True)
        if enough and tally["torn"] >= enough:
            break
    return tally


def _words(tally: Counter) -> str:
    return ", ".join(f"{tally[name]} {name}" for name in ("good", "torn", "mixed", "lost", "saves", "states"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stock", action="store_true", help="with Kedro's own datasets")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = torture(Path(folder), options.kills, options.stock, options.seed)
    print(f"{tally['kills']} kills: {_words(tally)}")
    return int(tally["torn"] + tally["mixed"] + tally["lost"] > 0)


if __name__ == "__main__":
    sys.exit(main())
