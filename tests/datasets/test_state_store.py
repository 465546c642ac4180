"""Unfinished training: kept whole, one run's own, tidied up."""

from __future__ import annotations

import fcntl
import logging
import os
import threading

import pytest
from dying import context, exit_code, hold_state, save_state_dying
from kedro.io import DatasetError
from stored_forms import example, leftovers
from tests.damage import locks_of_nfs, no_locks

from fanogan_pipeline.datasets import staging
from fanogan_pipeline.datasets.state_store import StateStore, StateStoreDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.training.state import StateSlot


def state(number: int):
    return example("CheckpointDataset", number)


@pytest.fixture
def held_elsewhere(tmp_path):
    """A living process holds the state `wgan-a` in the folder."""
    ready, done = context().Event(), context().Event()
    process = context().Process(target=hold_state, args=(str(tmp_path), "wgan-a", ready, done))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join()


def test_the_last_save_is_what_is_loaded(tmp_path):
    store = StateStore(tmp_path)
    assert store.load("wgan-a") is None
    for number in (1, 2):
        store.save("wgan-a", state(number))
    assert StateStore(tmp_path).load("wgan-a").digest == state(2).digest
    assert store.keys() == ["wgan-a"]
    store.discard("wgan-a")
    store.discard("wgan-a")
    assert store.keys() == []


def test_a_kill_before_any_step_of_a_save_leaves_the_state_before(tmp_path):
    for step in range(50):
        StateStore(tmp_path).save("wgan-a", state(1))
        code = exit_code(save_state_dying, str(tmp_path), "wgan-a", 2, step)
        found = StateStore(tmp_path).load("wgan-a")
        assert found.digest in (state(1).digest, state(2).digest)
        assert leftovers(tmp_path) == []
        if code == 0:
            break
    assert code == 0
    assert step > 3


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_a_state_that_cannot_be_read_counts_as_none_and_is_told(damage, tmp_path, caplog):
    store = StateStore(tmp_path)
    store.save("wgan-a", state(1))
    path = tmp_path / "wgan-a.safetensors"
    path.write_bytes(path.read_bytes()[:-5] if damage is None else damage)
    assert store.load("wgan-a") is None
    assert "wgan-a.safetensors: " in caplog.text
    assert "training starts afresh" in caplog.text


def test_stale_states_go_but_for_the_last_few_and_those_of_the_living(tmp_path, held_elsewhere, caplog):
    store = StateStore(tmp_path)
    for age, key in enumerate(("wgan-d", "wgan-c", "wgan-b", "wgan-e", "encoder-f")):
        store.save(key, state(1))
        os.utime(tmp_path / f"{key}.safetensors", (1000 - age, 1000 - age))
    os.utime(tmp_path / "wgan-a.safetensors", (1, 1))
    with caplog.at_level(logging.INFO):
        store.sweep("wgan-", keep="wgan-e", most=1)
    assert store.keys() == ["encoder-f", "wgan-a", "wgan-d", "wgan-e"]
    assert "wgan-c.safetensors: removed, 1 later unfinished one kept" in caplog.text


def test_states_that_another_machine_is_at_are_neither_taken_nor_removed(tmp_path, held_elsewhere, monkeypatch):
    locks_of_nfs(monkeypatch)
    store = StateStore(tmp_path)
    assert store.unheld("wgan-a") == "wgan-a-2"
    store.sweep("wgan-", keep="", most=0)
    assert store.keys() == ["wgan-a"]
    held_elsewhere.kill()
    held_elsewhere.join()
    store.sweep("wgan-", keep="", most=0)
    assert store.keys() == []


def test_where_nothing_tells_who_lives_states_are_gone_on_with_and_not_removed(tmp_path, held_elsewhere, monkeypatch):
    no_locks(monkeypatch)
    store = StateStore(tmp_path)
    store.sweep("wgan-", keep="", most=0)
    assert store.keys() == ["wgan-a"]
    assert store.unheld("wgan-a") == "wgan-a"


def test_a_state_is_held_while_its_next_is_being_saved(tmp_path, monkeypatch):
    store, flush, tried = StateStore(tmp_path), staging.flush, []
    store.save("wgan-a", state(1))

    def slow(draft) -> None:
        with (tmp_path / "wgan-a.safetensors").open("rb+") as file:
            tried.append(file)
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        flush(draft)

    monkeypatch.setattr(staging, "flush", slow)
    store.save("wgan-a", state(2))
    assert tried


def test_a_state_that_is_gone_on_from_is_held_before_it_is_saved_again(tmp_path):
    store = StateStore(tmp_path)
    store.save("wgan-a", state(1))
    store.release("wgan-a")
    store.load("wgan-a")
    with (tmp_path / "wgan-a.safetensors").open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as another process that sweeps would


def test_overlapping_runs_of_the_same_training_keep_states_of_their_own(tmp_path, held_elsewhere):
    store = StateStore(tmp_path)
    assert store.unheld("wgan-a") == "wgan-a-2"
    store.save("wgan-a-2", state(2))
    assert store.unheld("wgan-a") == "wgan-a-2"  # this very process holds it
    assert store.held("wgan-") == ["wgan-a-2"]
    assert store.held("encoder-") == []
    store.discard("wgan-a-2")
    assert store.keys() == ["wgan-a"]
    held_elsewhere.kill()
    held_elsewhere.join()
    assert store.unheld("wgan-a") == "wgan-a"


def test_the_facts_make_the_key_and_any_other_fact_another(tmp_path):
    one = StateSlot(StateStore(tmp_path), "wgan", {"seed": 1, "device": "cpu"})
    assert one.key == StateSlot(StateStore(tmp_path), "wgan", {"device": "cpu", "seed": 1}).key
    assert one.key.startswith("wgan-")
    others = [{"seed": 2, "device": "cpu"}, {"seed": 1, "device": "cuda"}, {"seed": 1}]
    assert one.key not in {StateSlot(StateStore(tmp_path), "wgan", facts).key for facts in others}


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "x" * 201])
def test_a_key_never_leads_out_of_the_folder(key, tmp_path):
    with pytest.raises(InputError, match="not a key"):
        StateStore(tmp_path).save(key, state(1))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the training state cannot be saved .* goes on from there"):
        StateStore(tmp_path / "file" / "states").save("wgan-a", state(1))


def test_the_catalog_gives_the_store_and_takes_nothing(tmp_path):
    dataset = StateStoreDataset(filepath=str(tmp_path))
    assert isinstance(dataset.load(), StateStore)
    with pytest.raises(DatasetError, match="filled by training itself"):
        dataset.save(state(1))
    with pytest.raises(InputError, match="expected a local folder"):
        StateStoreDataset(filepath="s3://bucket/states")


def test_threads_may_save_at_once(tmp_path):
    store = StateStore(tmp_path)
    threads = [threading.Thread(target=store.save, args=(f"wgan-{k}", state(k))) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.load(f"wgan-{k}").digest for k in range(4)] == [state(k).digest for k in range(4)]


def test_a_stopped_state_is_gone_on_with_though_its_twin_has_finished(tmp_path):
    store = StateStore(tmp_path)
    for key in ("wgan-a-2", "wgan-ab"):
        store.save(key, state(1))
        store.release(key)
    assert store.unheld("wgan-a") == "wgan-a-2"
    store.save("wgan-a", state(2))
    assert store.unheld("wgan-a") == "wgan-a"
    assert store.unheld("wgan-b") == "wgan-b"
