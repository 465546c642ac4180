"""The example as a dataset."""

import pytest

from fanogan_pipeline.datasets import ExampleImageDataset
from fanogan_pipeline.errors import InputError


def example(path, **settings):
    return ExampleImageDataset(filepath=str(path), train=2, test=1, defective=1, sides=(48, 52), **settings)


def test_pictures_are_made_where_there_are_none_and_only_there(tmp_path):
    folder = tmp_path / "raw" / "example"
    source = example(folder).load()
    assert source.table.groupby("part").size().to_dict() == {"train": 2, "test": 4}
    assert source.normal_label == "good"
    assert source.table["has_mask"].sum() == 3
    assert source.read_mask(int(source.table.index[source.table["has_mask"]][0])).any()
    assert [path.name for path in folder.parent.iterdir()] == ["example"]
    (folder / "train" / "good" / "000.png").unlink()
    assert len(example(folder).load()) == 5


def test_pictures_are_made_where_they_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for path in (f"file://{tmp_path}/cloth", "~/cloth"):
        assert len(example(path).load()) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cloth", "home"]


def test_other_surfaces_have_other_defects(tmp_path):
    labels = set(example(tmp_path / "metal", surface="metal").load().table["label"])
    assert labels == {"good", "blowhole", "crack", "chip", "fray", "uneven"}


def test_a_broken_off_attempt_leaves_no_folder(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fanogan_pipeline.example.picture_set.write_example", fail)
    with pytest.raises(KeyboardInterrupt):
        example(tmp_path / "example").load()
    assert list(tmp_path.iterdir()) == []


def test_senseless_settings_are_refused(tmp_path):
    with pytest.raises(InputError, match="sides"):
        ExampleImageDataset(filepath=str(tmp_path), sides=(90, 60))
    with pytest.raises(InputError, match=r"'wood', expected one of \('cloth', 'metal'\)"):
        ExampleImageDataset(filepath=str(tmp_path), surface="wood")
