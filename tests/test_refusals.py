"""What the user can mend is told in one line."""

import errno
import os
import shutil

import pytest
import torch
from kedro.config import MissingConfigException, OmegaConfigLoader
from tests.project import ROOT

from fanogan_pipeline.cli import _as_this_run
from fanogan_pipeline.refusals import plain_line


def test_memory_that_cannot_be_had_is_told_with_what_helps():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    line = plain_line(caught.value)
    assert line.startswith("out of memory (")
    assert "lower the batch_size" in line
    assert "data_prep.max_train or tiling.max_train_tiles" in line  # no batch size makes the training set smaller
    assert "for new pictures, inference.shard_size" in line  # a finished detector's own sizes are what they are
    assert "\n" not in line
    assert plain_line(MemoryError()).startswith("out of memory (no more could be had)")
    assert plain_line(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


@pytest.mark.parametrize("env", ["smoke", "base"])
def test_where_there_is_no_configuration_no_environment_is_blamed(env, tmp_path):
    loader = OmegaConfigLoader(str(tmp_path / "conf"), env, base_env="base", default_run_env="local")
    with pytest.raises(MissingConfigException) as caught:
        loader["parameters"]
    line = f"no configuration at {tmp_path / 'conf'}; name its folder with --conf-source"
    assert plain_line(caught.value) == line


def test_an_environment_that_an_archive_lacks_is_named_without_an_empty_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = shutil.make_archive(str(tmp_path / "conf"), "gztar", ROOT, "conf")
    loader = OmegaConfigLoader(archive, "smok", base_env="base", default_run_env="local")
    with pytest.raises(MissingConfigException) as caught:
        loader["parameters"]
    assert plain_line(caught.value) == "--env: found 'smok', but conf/smok is not there"


def test_commands_are_those_of_the_package_where_there_is_no_project(tmp_path, monkeypatch):
    options = {"conf_source": "conf.tar.gz", "env": None, "params": {}}
    for place, words in ((tmp_path, "fanogan_pipeline"), (ROOT / "src", "kedro run")):
        monkeypatch.chdir(place)
        told = _as_this_run("run 'kedro run --pipelines scoring'", options)
        assert told == f"run '{words} --conf-source conf.tar.gz --pipelines scoring'"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC])
def test_a_place_that_cannot_be_written_is_named(number):
    reason = os.strerror(number)
    line = plain_line(OSError(number, reason, "data/tensorboard"))
    assert line == f"data/tensorboard: {reason}; check the permissions and the space left"


def test_a_full_disk_needs_no_file_to_be_told():
    reason = os.strerror(errno.ENOSPC)
    assert plain_line(OSError(errno.ENOSPC, reason)) == f"{reason}; check the permissions and the space left"


def test_files_that_the_code_looks_for_in_vain_are_no_mistake_of_the_users(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises((IsADirectoryError, FileNotFoundError)) as caught:
            path.read_bytes()
        assert plain_line(caught.value) is None
    assert plain_line(PermissionError(errno.EPERM, "of another process")) is None
