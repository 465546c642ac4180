"""One cluster for all tests of clusters: starting a worker takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    pytest.importorskip("distributed")
    from tests.compute.dask_cluster import running

    with running(tmp_path_factory.mktemp("cluster") / "dask") as started:
        yield started
