"""The torture in small; `make torture` has it in full."""

from __future__ import annotations

from tests.torture import kills, resumes


def test_kills_at_random_moments_tear_mix_and_lose_nothing(tmp_path):
    tally = kills.torture(tmp_path, 12)
    assert (tally["torn"], tally["mixed"], tally["lost"]) == (0, 0, 0)
    assert tally["saves"] > 0
    assert tally["states"] > 0


def test_the_same_kills_tear_what_stock_datasets_save(tmp_path):
    assert kills.torture(tmp_path, 60, stock=True, enough=1)["torn"] == 1


def test_a_training_killed_at_a_random_step_ends_as_undisturbed(tmp_path):
    assert resumes.torture(tmp_path, 1) == []
