"""How many cores a run counts, on systems that tell which a process may use and on others."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from fanogan_pipeline import provenance
from fanogan_pipeline.compute.executors import threads
from fanogan_pipeline.cores import cores
from fanogan_pipeline.training import devices


def test_where_no_list_of_cores_is_kept_all_of_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        assert devices.settle_in(0) == 6
    finally:
        torch.set_num_threads(before)
    assert cores() == provenance.machine()["cores"] == 6


def test_cores_that_a_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 2


def test_threads_that_come_after_a_pool_of_single_ones_compute_on_as_many_as_before() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with threads(2) as pool:
            assert pool.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
