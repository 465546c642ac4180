"""Saves are whole or absent, and a run reads its own."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import warnings
from bisect import bisect_left
from pathlib import Path

import pytest
from dying import context, exit_code, save_dying_at_step, save_dying_in_file, save_many
from kedro.io import DataCatalog, DatasetError, Version
from stored_forms import FORMS, OPTIONS, PLACES, dataset, example, leftovers, refusal, same
from tests.damage import locks_of_nfs, no_file_above, no_locks

from fanogan_pipeline.datasets.staging import PREFIX, sweep, whole_file, whole_version

KILLED = -9
OURS = "fanogan_pipeline.datasets.JSONDataset"
STOCK = "kedro_datasets.json.JSONDataset"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("root", ["local", "memory"])
def test_versions_come_back_as_they_were_saved(form, root, tmp_path):
    folder = tmp_path if root == "local" else f"memory://{tmp_path}"
    assert not dataset(form, folder).exists()
    for number in (1, 2):
        dataset(form, folder, f"v{number}").save(example(form, number))
    newest = dataset(form, folder, "v3")
    assert newest.exists()
    assert newest.list_versions(full_path=False) == ["v2", "v1"]
    assert same(form, newest.load(), example(form, 2))
    assert same(form, dataset(form, folder, load="v1").load(), example(form, 1))
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("form", [form for form in FORMS if form != "FigureFolderDataset"])
@pytest.mark.parametrize("root", ["local", "memory"])
def test_unversioned_datasets_are_replaced(form, root, tmp_path):
    folder = tmp_path if root == "local" else f"memory://{tmp_path}"
    config = {"type": f"fanogan_pipeline.datasets.{form}", "filepath": f"{folder}/{PLACES[form]}"}
    config |= OPTIONS.get(form, {})
    catalog = DataCatalog.from_config({"it": config})
    assert not catalog.exists("it")
    with pytest.raises(DatasetError) as caught:
        catalog.load("it")
    assert f"{PLACES[form]}: no such file; run the pipeline that writes it first" in refusal(caught.value)
    for number in (1, 2):
        catalog.save("it", example(form, number))
        assert same(form, catalog.load("it"), example(form, number))
    assert catalog.exists("it")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("form", ["JSONDataset", "FigureFolderDataset"])
def test_a_kill_before_any_step_of_a_save_leaves_the_version_before(form, tmp_path):
    dataset(form, tmp_path, "v1").save(example(form, 1))
    for step in range(100):
        code = exit_code(save_dying_at_step, form, str(tmp_path), "v2", 2, step)
        after = dataset(form, tmp_path, "v3")
        saved = "v2" in after.list_versions(full_path=False)
        assert same(form, after.load(), example(form, 2 if saved else 1))
        assert leftovers(tmp_path) == []  # the load has swept
        if saved:
            break
        assert code == KILLED
    assert step > 4  # so many points were tried, or the steps are not those the save takes


def test_a_kill_in_the_middle_of_a_file_tears_the_stock_dataset_and_not_ours(tmp_path):
    from kedro_datasets.json import JSONDataset as Stock

    for type_name, kind in ((OURS, "ours"), (STOCK, "stock")):
        path = str(tmp_path / kind)
        assert exit_code(save_dying_in_file, type_name, path, "v1", 1) == -signal.SIGXFSZ
    assert not dataset_at(tmp_path / "ours").exists()
    torn = Stock(filepath=str(tmp_path / "stock"), version=Version(None, None))
    assert torn.exists()
    with pytest.raises(DatasetError):
        torn.load()


def test_a_failing_writer_leaves_nothing(tmp_path, monkeypatch):
    stored = dataset("ReportDataset", tmp_path, "v1")
    stored.save("<html>1</html>")

    def fail(self, path: Path, data: object) -> None:
        path.write_text("half")
        raise RuntimeError("the writer broke")

    monkeypatch.setattr(type(stored), "_write", fail)
    with pytest.raises(DatasetError, match="the writer broke"):
        dataset("ReportDataset", tmp_path, "v2").save("<html>2</html>")
    assert stored.list_versions(full_path=False) == ["v1"]
    assert sorted(os.listdir(tmp_path / "report.html")) == ["v1"]
    assert dataset("ReportDataset", tmp_path).load() == "<html>1</html>"


@pytest.mark.parametrize("form", ["JSONDataset", "CheckpointDataset", "ParquetDataset", "ImageSetDataset"])
def test_no_space_left_is_told_in_one_line(form, tmp_path, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dataset(form, tmp_path, "v1").save(example(form, 1))
    monkeypatch.setattr("fanogan_pipeline.datasets.staging.flush", full)
    with pytest.raises(DatasetError) as caught:
        dataset(form, tmp_path, "v2").save(example(form, 2))
    assert "v2" in refusal(caught.value)
    assert "No space left on device" in refusal(caught.value)
    assert dataset(form, tmp_path).list_versions(full_path=False) == ["v1"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("form", ["JSONDataset", "CheckpointDataset", "ParquetDataset", "ImageSetDataset"])
def test_a_file_that_the_system_cuts_off_is_not_saved(form, tmp_path):
    dataset(form, tmp_path, "v1").save(example(form, 1))
    with no_file_above(1024), pytest.raises(DatasetError) as caught:
        dataset(form, tmp_path, "v2").save(example(form, 2, n=500))
    assert "not saved" in refusal(caught.value)
    assert same(form, dataset(form, tmp_path).load(), example(form, 1))
    assert leftovers(tmp_path) == []


def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount a small disk here: {mounted.stderr.decode().strip()}")
    try:
        dataset("CheckpointDataset", disk, "v1").save(example("CheckpointDataset", 1))
        with pytest.raises(DatasetError) as caught:
            dataset("CheckpointDataset", disk, "v2").save(example("CheckpointDataset", 2, n=100_000))
        assert "No space left on device" in refusal(caught.value)
        after = dataset("CheckpointDataset", disk, "v3")
        assert same("CheckpointDataset", after.load(), example("CheckpointDataset", 1))
        assert leftovers(disk) == []
        after.save(example("CheckpointDataset", 3))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("root", ["local", "memory"])
def test_a_save_after_the_clock_was_set_back_says_which_version_later_runs_read(root, tmp_path, caplog):
    form, folder = "JSONDataset", tmp_path if root == "local" else f"memory://{tmp_path}"
    dataset(form, folder, "2022").save({"by": "the right clock"})
    assert caplog.messages == []
    stored = dataset(form, folder, "2021")
    stored.is_kept_up = True
    for step in range(2):
        stored.save({"by": "the wrong clock", "step": step})
    (told,) = caplog.messages
    assert "later runs read version 2022 and not 2021 of this run" in told
    assert f"--load-versions {stored._filepath.stem}:2021" in told
    assert dataset(form, folder).load() == {"by": "the right clock"}


def test_a_save_ends_well_where_nobody_can_tell_what_else_is_there(tmp_path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    stored = dataset("JSONDataset", tmp_path, "v1")
    monkeypatch.setattr(stored._fs, "ls", refused)
    stored.save({"number": 1})
    assert stored.load() == {"number": 1}


def test_a_run_reads_its_own_and_keeps_to_what_it_read(tmp_path):
    form = "JSONDataset"
    dataset(form, tmp_path, "2020").save({"by": "before"})
    older, newer = dataset(form, tmp_path, "2021"), dataset(form, tmp_path, "2022")
    assert older.load() == {"by": "before"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        newer.save({"by": "newer"})
        assert older.load() == {"by": "before"}  # the same all through the run
        older.save({"by": "older"})
    assert older.load() == {"by": "older"}
    assert newer.load() == {"by": "newer"}
    assert dataset(form, tmp_path, "2021").load() == {"by": "older"}  # another process of the same run
    assert dataset(form, tmp_path, "2023").load() == {"by": "newer"}


@pytest.mark.parametrize("root", ["local", "memory"])
def test_only_a_file_that_is_kept_up_is_saved_again_by_its_run(root, tmp_path):
    folder = tmp_path if root == "local" else f"memory://{tmp_path}"
    ours = dataset("JSONDataset", folder, "v1")
    ours.save({"number": 1})
    with pytest.raises(DatasetError):
        ours.save({"number": 2})
    assert ours.load() == {"number": 1}
    ours.is_kept_up = True
    ours.save({"number": 2})
    assert ours.load() == {"number": 2}
    assert ours.list_versions(full_path=False) == ["v1"]
    assert leftovers(tmp_path) == []


def test_a_draft_of_a_file_that_was_kept_up_is_swept(tmp_path):
    target = tmp_path / "v1/data.json"
    with whole_version(target) as draft:
        draft.write_text("1")
    with whole_file(target, tmp_path) as draft:
        assert draft.parent.parent == tmp_path  # where `sweep` looks when a version is saved or loaded
        draft.write_text("2")
        assert target.read_text() == "1"
    assert target.read_text() == "2"
    assert leftovers(tmp_path) == []


def test_versions_that_kedro_names_itself(tmp_path):
    stored = dataset("JSONDataset", tmp_path)
    stored.save({"number": 1})
    assert stored.load() == {"number": 1}
    assert stored.resolve_load_version() == stored.resolve_save_version()


def test_two_runs_of_the_same_moment_do_not_mix(tmp_path):
    form = "JSONDataset"
    first, second = dataset(form, tmp_path, "v1"), dataset(form, tmp_path, "v1")
    first.save({"by": "first"})
    with pytest.raises(DatasetError, match="must not exist"):
        second.save({"by": "second"})
    target = tmp_path / "numbers.json" / "v2" / "numbers.json"
    late = whole_version(target)
    late.__enter__().write_text("late")
    with whole_version(target) as early:
        early.write_text("early")
    with pytest.raises(FileExistsError):
        late.__exit__(None, None, None)
    assert target.read_text() == "early"
    assert leftovers(tmp_path) == []


def test_overlapping_processes_disturb_nothing(tmp_path):
    form, children = "ParquetDataset", []
    for k in range(2):
        versions = [f"{2 * number + k:04}" for number in range(12)]
        children.append(context().Process(target=save_many, args=(form, str(tmp_path), versions)))
        children[-1].start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    versions = dataset(form, tmp_path).list_versions(full_path=False)
    assert len(versions) == 24
    for version in versions:
        assert same(form, dataset(form, tmp_path, load=version).load(), example(form, int(version)))


def test_drafts_of_the_living_stay_and_those_of_the_dead_go(tmp_path):
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / "partial-x").write_text("half")
    target = tmp_path / "x"
    with whole_file(target) as draft:
        draft.write_text("whole")
        assert not dead.exists()
        sweep(tmp_path)
        assert draft.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_draft_that_another_machine_is_at_stays_and_its_lock_is_not_stored(tmp_path, monkeypatch):
    locks_of_nfs(monkeypatch)
    target = tmp_path / "v1/data.json"
    with whole_version(target) as draft:
        draft.write_text("whole")
        sweep(tmp_path)
    assert target.read_text() == "whole"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target]


@pytest.mark.parametrize("name", [f"{PREFIX}x", f"{PREFIX}x/.lock"], ids=["draft", "lock"])
def test_a_sweep_follows_no_link(name, tmp_path):
    link, outside = tmp_path / "place" / name, tmp_path / "outside"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    if name == f"{PREFIX}x":
        outside.mkdir()
    before = sorted(tmp_path.rglob("*"))
    sweep(tmp_path / "place")
    assert sorted(tmp_path.rglob("*")) == before


def test_where_there_are_no_locks_data_are_saved_all_the_same(tmp_path, monkeypatch):
    no_locks(monkeypatch)
    stored = dataset("JSONDataset", tmp_path, "v1")
    stored.save({"number": 1})
    assert stored.load() == {"number": 1}
    assert leftovers(tmp_path) == []


def test_a_draft_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    flock, drafts = fcntl.flock, []

    def overtaken(file: int, how: int) -> None:
        if not drafts:
            drafts.extend(tmp_path.iterdir())
            sweep(tmp_path)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with whole_file(tmp_path / "x") as draft:
        assert not drafts[0].exists()
        draft.write_text("whole")
    assert (tmp_path / "x").read_text() == "whole"


def test_a_draft_that_cannot_be_removed_is_not_said_to_be(tmp_path, monkeypatch, caplog):
    def busy(*_: object, **__: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    caplog.set_level("INFO")
    for removed in (False, True):
        (tmp_path / f"{PREFIX}dead").mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            if not removed:
                patch.setattr(os, "rmdir", busy)
            sweep(tmp_path)
        assert (leftovers(tmp_path) == []) == removed
        assert ("removed the draft" in caplog.text) == removed


def test_an_unknown_pinned_version_lists_those_there_are(tmp_path):
    config = {"numbers": {"type": OURS, "filepath": str(tmp_path / "numbers.json"), "versioned": True}}
    for number in range(3):
        dataset_at(tmp_path / "numbers.json", f"v{number}").save({"number": number})
    catalog = DataCatalog.from_config(config, load_versions={"numbers": "v7"})
    assert not catalog.exists("numbers")
    with pytest.raises(DatasetError) as caught:
        catalog.load("numbers")
    assert "numbers.json: found no version v7, expected one of: v2, v1, v0" in refusal(caught.value)
    assert DataCatalog.from_config(config, load_versions={"numbers": "v1"}).load("numbers") == {"number": 1}


def test_nothing_there_yet_is_told_plainly(tmp_path):
    with pytest.raises(DatasetError) as caught:
        dataset("JSONDataset", tmp_path).load()
    assert "found no version of it; run the pipeline that writes it first" in refusal(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_damage_after_the_fact_names_the_way_out(form, tmp_path):
    for number in (1, 2):
        dataset(form, tmp_path, f"v{number}").save(example(form, number))
    broken = tmp_path / PLACES[form] / "v2" / PLACES[form]
    broken = broken / "second.png" if broken.is_dir() else broken
    broken.write_bytes(b"\xff" + broken.read_bytes()[:30])
    with pytest.raises(DatasetError) as caught:
        dataset(form, tmp_path).load()
    name = Path(PLACES[form]).stem
    line = refusal(caught.value)
    assert line.startswith(str(tmp_path / PLACES[form] / "v2" / PLACES[form]))
    assert f"delete {tmp_path / PLACES[form] / 'v2'}, or read another with --load-versions {name}:v1" in line


@pytest.mark.parametrize("form", [form for form in FORMS if form != "FigureFolderDataset"])
def test_a_whole_file_that_cannot_be_opened_is_kept(form, tmp_path):
    """A real failing read, without privileges: this process may open no more files."""
    dataset(form, tmp_path, "v1").save(example(form, 1))
    stored = dataset(form, tmp_path)
    stored.load()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(DatasetError) as caught:
            stored.load()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    line = refusal(caught.value)
    assert line.startswith(f"{tmp_path / PLACES[form] / 'v1' / PLACES[form]}: cannot be read (Too many open files)")
    assert "delete" not in line
    assert same(form, stored.load(), example(form, 1))


def looped(version: Path) -> None:
    version.symlink_to(version.name)


def locked(version: Path) -> None:
    version.mkdir()
    version.chmod(0)


@pytest.mark.parametrize("hide", [looped, locked])
@pytest.mark.parametrize("form", ["ParquetDataset", "FigureFolderDataset"])
def test_a_newest_version_that_cannot_be_looked_at_is_not_passed_over(form, hide, tmp_path):
    if hide is locked and os.geteuid() == 0:
        pytest.skip("root may look at everything")
    dataset(form, tmp_path, "v1").save(example(form, 1))
    hide(tmp_path / PLACES[form] / "v2")
    stored = dataset(form, tmp_path)
    for ask in (stored.load, stored.exists):
        with pytest.raises(DatasetError) as caught:
            ask()
        line = refusal(caught.value)
        assert line.startswith(f"{tmp_path / PLACES[form] / 'v2' / PLACES[form]}: cannot be read (")
        assert "it may well be whole; keep it and check permissions" in line
        assert "--load-versions" in line
    assert same(form, dataset(form, tmp_path, load="v1").load(), example(form, 1))
    with pytest.raises(DatasetError) as caught:
        dataset(form, tmp_path, load="v0").load()
    assert "found no version v0, expected one of: v1" in refusal(caught.value)
    stored.save(example(form, 3))  # what a run writes itself it reads
    assert same(form, stored.load(), example(form, 3))


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 9 GiB"), TimeoutError("no answer")])
def test_a_read_that_fails_for_want_of_memory_or_an_answer_keeps_the_file(error, tmp_path, monkeypatch):
    stored = dataset("CheckpointDataset", tmp_path, "v1")
    stored.save(example("CheckpointDataset", 1))

    def fail(self, path: str) -> None:
        raise error

    monkeypatch.setattr(type(stored), "_read", fail)
    with pytest.raises(DatasetError) as caught:
        stored.load()
    assert f"cannot be read ({error}), yet it may well be whole; keep it" in refusal(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_too_large_to_be_read_is_not_saved_and_what_was_saved_is_kept(form, tmp_path):
    data = example(form, 1)
    dataset(form, tmp_path, "v1").save(data)

    def is_read(most: int) -> bool:
        try:
            return same(form, dataset(form, tmp_path, max_bytes=most).load(), data)
        except DatasetError as error:
            assert refusal(error).endswith("see max_bytes in the catalog")  # noqa: PT017
            return False

    least = bisect_left(range(1 << 20), True, key=is_read)
    dataset(form, tmp_path, "v2", max_bytes=least).save(data)
    assert is_read(least)
    with pytest.raises(DatasetError) as caught:
        dataset(form, tmp_path, "v3", max_bytes=least - 1).save(data)
    assert f"not saved, holds {least:,} bytes, expected at most {least - 1:,}" in refusal(caught.value)
    assert dataset(form, tmp_path).list_versions(full_path=False) == ["v2", "v1"]
    assert leftovers(tmp_path) == []


def test_a_file_where_the_folder_of_versions_should_be(tmp_path):
    (tmp_path / "numbers.json").write_text("{}")
    stored = dataset("JSONDataset", tmp_path, "v1")
    assert not stored.exists()
    with pytest.raises(DatasetError) as caught:
        stored.save({})
    assert "not saved" in refusal(caught.value)
    assert (tmp_path / "numbers.json").read_text() == "{}"


def test_folders_with_strange_names_and_hidden_or_half_versions(tmp_path):
    folder = tmp_path / "a [draft]* copy"
    dataset("JSONDataset", folder, "v1").save({"number": 1})
    (folder / "numbers.json" / "v2").mkdir()
    hidden = folder / "numbers.json" / ".v3"
    hidden.mkdir()
    (hidden / "numbers.json").write_text("{}")
    (folder / "numbers.json" / "v4" / "numbers.json").mkdir(parents=True)  # a folder where the file should be
    assert dataset("JSONDataset", folder).list_versions(full_path=False) == ["v1"]


def test_the_catalog_can_write_down_what_it_holds(tmp_path):
    config = {form: {"type": f"fanogan_pipeline.datasets.{form}", "filepath": str(tmp_path / form)} for form in FORMS}
    for form, entry in config.items():
        entry |= {"versioned": True} | OPTIONS.get(form, {})
    written = DataCatalog.from_config(config)
    for form in FORMS:
        assert written[form]._init_config()["filepath"] == config[form]["filepath"]


def test_a_pinned_version_that_hides_what_the_run_writes_is_warned_of(tmp_path, caplog):
    dataset("JSONDataset", tmp_path, "v1").save({"number": 1})
    pinned = dataset("JSONDataset", tmp_path, "v2", load="v1")
    pinned.save({"number": 2})
    assert pinned.load() == {"number": 1}
    assert "this run wrote version v2, yet --load-versions makes it read v1" in caplog.text


@pytest.mark.parametrize(("whole", "target"), [(whole_file, "numbers"), (whole_version, "v1/numbers")])
def test_the_disk_holds_what_is_moved_into_place_and_then_its_name(whole, target, tmp_path, monkeypatch):
    done, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def checked(move):
        def moved(source, target) -> None:
            assert {path.stat().st_ino for path in (Path(source), *Path(source).rglob("*"))} <= set(done)
            done.append("moved")
            move(source, target)

        return moved

    monkeypatch.setattr(os, "fsync", noted)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, checked(getattr(os, name)))
    with whole(tmp_path / target) as draft:
        if whole is whole_version:  # which may be a folder
            draft.mkdir()
            draft /= "one.png"
        draft.write_text("1")
    assert done[-2:] == ["moved", tmp_path.stat().st_ino]


def dataset_at(path: Path, save: str | None = None):
    from fanogan_pipeline.datasets import JSONDataset

    return JSONDataset(filepath=str(path), version=Version(None, save))
