"""Folders of unfinished work: what a living run holds stays, whatever other runs do in between."""

from __future__ import annotations

import pandas as pd

from fanogan_pipeline.compute.folders import held
from fanogan_pipeline.hooks import StateHooks


def saved_scores(folder) -> pd.DataFrame:
    scores = pd.DataFrame({"score": [0.5]})
    scores.attrs["parts"] = str(folder)
    return scores


def test_parts_stay_while_another_run_is_at_the_same_pictures(tmp_path):
    with held(tmp_path, "inference", ["the", "same"]) as folder:
        (folder / "part-000000.parquet").write_bytes(b"finished")
        StateHooks().after_dataset_saved("new_scores", saved_scores(folder))
        assert (folder / "part-000000.parquet").exists()
    StateHooks().after_dataset_saved("new_scores", saved_scores(folder))
    assert not folder.exists()
