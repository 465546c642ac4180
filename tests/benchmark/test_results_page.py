"""docs/results.md from stored tables, of an earlier version too."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from benchmarks.table import (
    DATA,
    PAGE,
    README,
    TAIL,
    Results,
    beaten,
    beginning,
    chance_error,
    chosen,
    made_by,
    opening,
    promise,
    timed_on,
)
from scipy import stats

from fanogan_pipeline.detection.scoring import MIXES


def results(mixes: list[str]) -> Results:
    """Of one cell in which the first mix was chosen and each is a hundredth better than the one before."""
    auroc = {f"f_anogan: {mix}": 0.9 + place / 100 for place, mix in enumerate(mixes)}
    rows = {"f_anogan": 0.9, **auroc, "f_anogan: image_residual": 0.99, "pca": 0.98}
    table = pd.DataFrame({"method": list(rows), "auroc": list(rows.values()), "normal_class": "1", "seed": 0})
    table["detail"] = table["method"].map({"f_anogan": mixes[0]}).fillna("")
    return Results("base", "MNIST", (), table, pd.DataFrame(), pd.DataFrame(), {})


@pytest.mark.parametrize("count", [len(MIXES), len(MIXES) - 1], ids=["today's", "before a mix was added"])
def test_the_best_in_hindsight_is_the_best_of_the_mixes_that_a_cell_has(count: int) -> None:
    mixes = list(MIXES)[:count]
    best = f"0.9{count - 1}00"
    assert chosen(results(mixes)).splitlines()[-1] == f"| 1 | 0 | {mixes[0]} | 0.9000 | {mixes[-1]} | {best} |"


def compared(rows: list[tuple]) -> Results:
    names = ["normal_class", "seed", "method", "difference", "p_value"]
    comparisons = pd.DataFrame(rows, columns=names).assign(p_holm=1.0)
    return Results("base", "MNIST", (), pd.DataFrame(), pd.DataFrame(), comparisons, {})


def test_a_pair_is_won_or_lost_only_where_every_seed_says_so() -> None:
    told = beaten(
        compared(
            [
                ("1", 0, "pca", 0.1, 1e-6),
                ("1", 1, "pca", 0.2, 1e-6),
                ("2", 0, "pca", -0.1, 1e-6),
                ("2", 1, "pca", 0.2, 1e-6),
                ("1", 0, "vae", -0.1, 1e-6),
                ("1", 1, "vae", -0.2, 1e-6),
            ]
        )
    )
    assert told.startswith("Of 3 pairs of a class and another method f-AnoGAN wins 1 and loses 1 at every seed ")
    assert told.endswith("over all 6 comparisons): it loses to VAE on 1 (0.1500 ahead).")


def test_what_is_won_is_corrected_over_the_comparisons_that_are_counted() -> None:
    own = [("1", 0, "f_anogan_izi", 0.0, 1.0)] * 98
    told = beaten(compared([*own, ("1", 0, "pca", 0.1, 0.02), ("2", 0, "pca", 0.1, 0.02)]))
    assert told.startswith("Of 2 pairs of a class and another method f-AnoGAN wins 2 and loses 0 (")


def cells(seeds: int, classes: int = 10) -> pd.DataFrame:
    """Rows of two methods of MNIST's sizes."""
    rows = [(str(name), seed, method) for name in range(classes) for seed in range(seeds) for method in ("a", "b")]
    found = pd.DataFrame(rows, columns=["normal_class", "seed", "method"])
    return found.assign(promised_1=5 / 600, n_calibration=599, n_normal=1000)


def test_methods_that_exceed_their_promise_by_more_than_chance_explains_are_named() -> None:
    rows = {"method": ["f_anogan", "vae", "pca", "f_anogan: neighbours"], "false_alarms_1": [0.012, 0.010, 0.005, 0.5]}
    summary = pd.DataFrame(rows).assign(promised_1=5 / 600)
    found = Results("base", "MNIST", (), cells(seeds=2), summary, pd.DataFrame(), {})
    assert promise(found) == (
        "More false alarms than promised by over two of chance's standard errors (0.12 points each): f-AnoGAN."
    )


def test_chance_alone_moves_the_mean_of_false_alarms_as_calibration_and_test_images_make_it() -> None:
    alone = stats.betabinom(1000, 5, 595).std() / 1000
    assert chance_error(cells(seeds=1, classes=1)) == pytest.approx(alone)
    assert chance_error(cells(seeds=1)) == pytest.approx(alone / 10**0.5)
    rate = stats.beta(5, 595)
    of_test_images = (rate.mean() - rate.moment(2)) / 1000
    assert chance_error(cells(seeds=2, classes=1)) ** 2 == pytest.approx(rate.var() / 2 + of_test_images)


def test_pages_hold_what_the_program_writes() -> None:
    page, readme = PAGE.read_text(), README.read_text()
    assert page.endswith(TAIL)
    means = re.findall(r"^\| \*\*f-AnoGAN\*\* .* \| [*]*([\d.]+)[*]* \|$", page, re.MULTILINE)
    made = []  # of the means without the classes of design, the last column
    for (environment, (name, design)), mean in zip(DATA.items(), means, strict=True):
        rows = [(str(label), 1.0 if str(label) in design else float(mean)) for label in range(10)]
        table = pd.DataFrame(rows, columns=["normal_class", "auroc"]).assign(method="f_anogan")
        made.append(Results(environment, name, design, table, pd.DataFrame(), pd.DataFrame(), {}))
    assert page.startswith(beginning(made))
    assert opening(made) in readme


def test_seconds_of_a_gpu_are_not_called_a_cpu_thread_s() -> None:
    on_cpu, old, on_gpu = {"device": "cpu"}, {}, {"device": "NVIDIA H100", "cuda": "13.0", "cudnn": 91002}
    assert timed_on(on_cpu) == timed_on(old) == "one CPU thread"
    assert timed_on(on_gpu) == "one process on the NVIDIA H100"
    table = pd.DataFrame({"method": ["f_anogan"]})
    made = [Results("base", "MNIST", (), table, table, table, manifest) for manifest in (on_gpu, on_gpu)]
    assert "Seconds are of one process on the NVIDIA H100, a class and a seed." in beginning(made)


def test_the_page_says_what_the_control_is_where_there_is_one() -> None:
    for methods, is_told in ((["f_anogan", "pca"], False), (["f_anogan", "f_anogan_untrained"], True)):
        table = pd.DataFrame({"method": methods})
        told = beginning([Results("base", "MNIST", (), table, table, table, {})])
        assert ("*untrained* is f-AnoGAN after one update of each network" in told) == is_told


def test_the_page_names_the_parameters_and_changes_that_a_commit_does_not_hold() -> None:
    manifest = {
        "run": {"pipelines": "benchmark", "params": {"benchmark": {"seeds": [0, 1]}}},
        "git": {"commit": "0123456789abcdef", "is_clean": False},
        "started": "2026-11-26T12:00:00",
        "packages": {"torch": "2.13.0"},
    }
    assert made_by(manifest, "fashion") == (
        "`kedro run --env fashion --pipelines benchmark --config told.yml` with "
        '`run: {"params": {"benchmark": {"seeds": [0, 1]}}}` in told.yml '
        "on 2026-11-26, commit 0123456789 with changes, torch 2.13.0"
    )
    manifest |= {"run": {}, "git": {"commit": "0123456789abcdef", "is_clean": True}}
    assert made_by(manifest, "base").startswith("`kedro run --pipelines benchmark` on 2026-11-26, commit 0123456789, ")
