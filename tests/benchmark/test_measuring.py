"""`python -m benchmarks`: what it measures on a device, without Kedro, and what its page says."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks import __main__ as program
from benchmarks import ceiling, page
from benchmarks.children import environment
from benchmarks.machine import Machine
from benchmarks.results import Results, goals
from benchmarks.speed import Rates
from benchmarks.whole import Batch, Stage
from tests.project import ROOT

# All that a GPU is asked, of small networks on the CPU; a module that is None cannot be imported.
WITHOUT_KEDRO = """
import sys
sys.modules.update(kedro=None, kedro_datasets=None, omegaconf=None)

from pathlib import Path
from benchmarks import __main__ as program, machine, page, whole
from benchmarks.cases import CPU, Case
from benchmarks.results import Results
from fanogan_pipeline.networks import NetworkSpec
from tests.parts import encoder_parameters, group, ones, wgan_parameters

spec = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
small = Case("default", spec, wgan_parameters(), encoder_parameters(), group("scoring", batch_size=32), ones(240))
program.case = lambda name, device: small
length = program.Length(1, 0.0, 2, (100,), 0, 0, (8, 64))
found = Results(machine.this_machine(CPU), True, (0.0, 0.0))
program._measure_case(found, "default", length, CPU)
program._measure_search(found, length, CPU)
program._measure_gpu(found, length, CPU)
some = group("benchmark", classes=["1", "8"], methods=["pca"], resamples=2)
assert whole.table_seconds(small, some) > 0
page.write(found, Path(sys.argv[1]))
"""


def test_all_that_a_gpu_is_asked_runs_without_kedro(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    told = {**environment(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KEDRO, path], cwd=ROOT, env=told, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    text = path.read_text()
    for row in ("default, phase 1 |", "default, phase 2 |", "default, scoring |", "phase 1, 6 steps |", "64 |"):
        assert f"| {row} " in text
    assert "| scoring and metrics of 100 images | " in text


def test_a_gpu_that_is_not_there_is_refused_in_one_line(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--device", "cuda", "--page", str(tmp_path / "page.md")])
    with pytest.raises(SystemExit) as refused:
        program.main()
    told = str(refused.value.code)
    assert told.startswith("benchmarks: device: found 'cuda', but PyTorch sees no GPU on ")
    assert "\n" not in told
    assert not list(tmp_path.iterdir())


def results(gpu: str, called: float) -> Results:
    machine = Machine("a processor", 2, 2, 25.0, gpu, "3.11", "2.13", "2026-11-26", "abc")
    rates = Rates("default", "phase 1", 53e6, 9000.0, 1000.0, 90000.0, 9.0, 0.1, 4.8e12, 8000.0, called)
    return Results(machine, False, (0.0, 0.0), [rates], anogan=400.0)


def test_the_page_of_a_gpu_names_it_and_says_nothing_of_the_cpu_alone(tmp_path: Path) -> None:
    found = results("one H100 (85 GB, CUDA 13.0)", 3000.0)
    found.stages, found.batches = [Stage("phase 1, 1,600 steps", 12.34, 0.5)], [Batch(4096, 50_000.0, 1.25)]
    assert "table of ten classes, goal 300 s, is measured with `--table` alone." in "".join(page._goals(found))
    page.write(found, tmp_path / "page.md")
    assert '`make bench BENCH="--device cuda"` measured all this' in (tmp_path / "page.md").read_text()
    found.table = 250.0
    page.write(found, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "PyTorch 2.13, float32, one H100 (85 GB, CUDA 13.0); " in text
    assert '`make bench BENCH="--device cuda --table"` measured all this on 2026-11-26' in text
    assert "| default, phase 1 | 9,000 | 1,000 | 9.0 | 53 | 90,000 | 10% | 8,000 | 3,000 |" in text
    assert "product of 8192x8192 matrices (4800 to" in text
    assert "| phase 1, 1,600 steps | 12.3 | 0.50 |" in text
    assert "| 4,096 | 50,000 | 1.25 |" in text
    assert "is measured with" not in text
    assert "table of all ten classes and every method takes 250 s" in text
    for of_the_cpu in (
        "TensorFlow",
        "share of the ceiling",
        "AnoGAN's search, in default",
        "start",
        "peers",
        "No other package",
        "Scale",
        "The paper's networks run",
        "no GPU",
    ):
        assert of_the_cpu not in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


@pytest.mark.parametrize(("times", "met"), [(0.9, "yes"), (1.1, "no")])
def test_what_a_gpu_reaches_is_held_against_the_goals_for_one(times: float, met: str) -> None:
    found = results("one H100 (85 GB, CUDA 13.0)", 3000.0)
    assert list(goals(found)) == []
    found.stages = [Stage("phase 1", 12 * times, 0.5), Stage("phase 2", 8 * times, 0.5)]
    found.batches = [Batch(4096, 50_000.0, 1.25), Batch(8192, 1e6 / times, 1.0), Batch(16_384, 9e5 / times, 3.0)]
    found.table = 300 * times
    rows = page.goals_table(found).splitlines()[2:]
    assert rows == [
        f"| default, one class from prepared images to metrics | 20 s | {20 * times:.1f} s | {met} |",
        f"| default, scoring: images a second, 8,192 at once | 1,000,000 | {1e6 / times:,.0f} | {met} |",
        f"| the benchmark's table of ten classes | 300 s | {300 * times:.0f} s | {met} |",
    ]


def test_the_page_of_a_cpu_has_its_goals_and_no_gpu(tmp_path: Path) -> None:
    found = results("", math.nan)
    found.peers, found.waiting = {}, {1_000: (2000.4, 1000.0), 300_000: (3000.0, 99.96)}
    page.write(found, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "float32, no GPU; " in text
    assert "| default, phase 1 | 9,000 | 1,000 | 9.0 | 53 | 90,000 | 10% | 8,000 |\n" in text
    assert "| default, phase 1: share of the ceiling | 60% | 10% | no |" in text
    assert "product of 2048x2048 matrices (4800 to" in text
    assert "No other package is installed that runs here" in text
    assert "| 1,000 | 2,000 | 1,000 |\n| 300,000 | 3,000 | 100.0 |" in text
    for of_a_gpu in ("Called", "called", "GPU has", "large batches", "--device"):
        assert of_a_gpu not in text


def test_a_processor_s_speed_is_that_of_the_faster_of_two_ways_to_one_product(monkeypatch):
    monkeypatch.setitem(ceiling.SIDES, "cpu", 96)
    matmul = ceiling.Matmul(torch.device("cpu"))
    plain, convolved = (way() for way in matmul.ways)
    assert torch.allclose(plain, convolved[0, :, :, 0].T, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(ceiling, "speed_of", lambda way, seconds, device: matmul.ways.index(way) + 2 * seconds)
    assert matmul.speed(1.0) == 2.0 * 96**3 * 2
