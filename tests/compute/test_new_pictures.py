"""New pictures over a real cluster: the same bytes as in one process, and nothing finished is done again."""

from __future__ import annotations

import io
import json
import logging
import pickle
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from fsspec.implementations.local import LocalFileSystem
from PIL import Image
from tests.compute import scenes, work
from tests.parts import group

from fanogan_pipeline.compute import new_pictures
from fanogan_pipeline.datasets.decoding import DecodingSettings
from fanogan_pipeline.datasets.folder_reader import FolderFiles
from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.detection import residuals
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.errors import ClusterError, InputError
from fanogan_pipeline.images import ImageSource

pytest.importorskip("distributed")
from tests.compute.dask_cluster import running

COUNT, SIZE, BROKEN = 30, 8, 11


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ImageSource:
    return scenes.picture_folder(tmp_path_factory.mktemp("new") / "pictures", COUNT, BROKEN)


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "tiled"])
def detector(request: pytest.FixtureRequest) -> tuple:
    return scenes.detector(request.param)


@pytest.fixture(scope="module")
def plain_detector() -> tuple:
    return scenes.detector(False)


def measured(source: ImageSource, detector: tuple, place: Path, **engine) -> tuple[bytes, Path]:
    """The table as the bytes of its parquet file, and the folder of the work."""
    compute = group("compute", **{"engine": "dask", "workers": 2, **engine})
    parameters = group("inference", shard_size=SIZE, workers=1)
    table, folder = new_pictures.measure(source, *detector, parameters, compute, place)
    return table.to_parquet(), folder


def in_batches(detector: tuple, size: int) -> tuple:
    """The same detector, which computes so many images at once."""
    judge, models = detector
    judged = replace(judge.detector, settings={**judge.detector.settings, "batch_size": size})
    return replace(judge, detector=judged), models


def watched(source: ImageSource, notes: Path, victim: str = "") -> ImageSource:
    notes.mkdir(exist_ok=True)
    fatal = source.table["image_id"][2 * SIZE + 3]
    return replace(source, files=work.Watched(source.files, str(notes), victim, fatal))


def times_read(notes: Path) -> dict[str, int]:
    return {path.name.removeprefix("read-"): path.stat().st_size for path in notes.glob("read-*")}


def test_new_terms_are_the_same_bytes_on_any_number_of_threads(source, detector, tmp_path, monkeypatch):
    monkeypatch.setattr(new_pictures, "TOGETHER", 3)
    detector = in_batches(detector, 3)  # pieces that leave a rest
    found, before = [], torch.get_num_threads()
    for threads in (1, 4):
        torch.set_num_threads(threads)  # as `training.threads` would
        found.append(measured(source, detector, tmp_path / str(threads), engine="local")[0])
    torch.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.parametrize(("batch", "computed"), [(20, 40), (16, 32), (3, 30)])
def test_no_more_images_are_computed_than_fill_the_last_batch(
    source, plain_detector, tmp_path, monkeypatch, batch, computed
):
    sizes, fill = [], residuals.filled_up

    def counted(x, size):
        sizes.append(size)
        return fill(x, size)

    monkeypatch.setattr(residuals, "filled_up", counted)
    monkeypatch.setattr(new_pictures, "TOGETHER", 8)
    parameters, engine = group("inference", shard_size=COUNT, workers=1), group("compute", engine="local")
    new_pictures.measure(source, *in_batches(plain_detector, batch), parameters, engine, tmp_path)
    assert sum(sizes) == computed


@pytest.fixture
def ctrl_c():
    """SIGINT is Python's; in the background of a shell it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("while_", ["reading", "computing"])
def test_an_interrupt_is_answered_within_a_shard(source, plain_detector, tmp_path, monkeypatch, while_):
    """Ctrl-C reaches the main thread, which waits for the shard; the thread that computes it is told."""
    left, done, original = threading.Event(), {"reading": 0, "computing": 0}, new_pictures.threads

    @contextmanager
    def watched_threads(count):
        with original(1) as pool:
            try:
                yield pool
            finally:
                left.set()

    def counted(kind, do):
        def counting(*arguments):
            done[kind] += 1
            if kind == while_ and done[kind] == 2:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                assert left.wait(60)
            return do(*arguments)

        return counting

    monkeypatch.setattr(new_pictures, "threads", watched_threads)
    monkeypatch.setattr(new_pictures, "TOGETHER", 3)
    monkeypatch.setattr(AnomalyDetector, "terms", counted("computing", AnomalyDetector.terms))
    slow = replace(source, read=counted("reading", source.read))
    parameters, engine = group("inference", shard_size=COUNT, workers=1), group("compute", engine="local")
    with pytest.raises(KeyboardInterrupt):
        new_pictures.measure(slow, *in_batches(plain_detector, 3), parameters, engine, tmp_path)
    assert done == ({"reading": 2, "computing": 0} if while_ == "reading" else {"reading": COUNT, "computing": 2})


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.ones((2, 1, 16, 16), np.float32), r"float32 \[2, 1, 16, 16\]"),
        (np.ones((2, 16, 16), np.uint8), r"uint8 \[2, 16, 16\]"),
        (np.ones((2, 1, 20, 20), np.uint8), r"uint8 \[2, 1, 20, 20\]"),
        (np.ones((0, 1, 16, 16), np.uint8), r"uint8 \[0, 1, 16, 16\]"),
    ],
)
def test_images_that_a_detector_was_not_made_for_are_refused(images, found, plain_detector):
    with pytest.raises(InputError, match=rf"^images: found {found}, expected uint8 \[N, 1, 16, 16\] with N at least 1"):
        plain_detector[0].terms(images)
    if len(images):
        with pytest.raises(InputError, match=rf"^images: found {found}"):
            plain_detector[0].maps(images)


def that_learnt(detector: tuple, decoding: dict[str, float]) -> tuple:
    """The same detector, of pictures whose files were read in this way."""
    judge, models = detector
    geometry = json.loads(judge.detector.geometry) | {"decoding": decoding}
    return replace(judge, detector=replace(judge.detector, geometry=json.dumps(geometry))), models


@pytest.mark.parametrize(
    ("maximum", "learnt", "is_told"), [(65535, [], True), (4095, [], False), (65535, ["sixteen_bit_maximum"], False)]
)
def test_new_pictures_of_twelve_bits_that_are_read_as_sixteen_earn_a_warning(
    plain_detector, tmp_path, caplog, maximum, learnt, is_told
):
    """Unless their detector has learnt from such: then no other value would do."""
    detector = that_learnt(plain_detector, dict.fromkeys(learnt, maximum))
    for row in range(5):
        levels = np.random.default_rng(row).integers(0, 4096, (20, 24)).astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / f"{row}.png")
    Image.new("L", (24, 20), "white").save(tmp_path / "eight.png")
    whole = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[: len(whole) // 2])
    source = ImageFolderDataset(filepath=str(tmp_path), layout="flat", sixteen_bit_maximum=maximum).load()
    for times in (1, 2):  # the second from the parts of the first
        measured(source, detector, tmp_path / "work", engine="local")
        said = "no picture of new_images is brighter than 16 of 255 with sixteen_bit_maximum: 65535"
        assert caplog.text.count(said) == (times if is_told else 0)


def test_new_terms_are_the_same_bytes_on_every_engine(source, detector, cluster, tmp_path):
    local, _ = measured(source, detector, tmp_path / "local", engine="local")
    table = pd.read_parquet(io.BytesIO(local))
    assert table.index[table["reason"] != ""].tolist() == [BROKEN]
    assert table["map_residual"].notna().sum() == COUNT - 1
    found, _ = measured(source, detector, tmp_path / "dask", scheduler=cluster.address)
    assert found == local


def test_only_what_is_missing_is_read_again_by_two_workers(source, plain_detector, tmp_path):
    local, _ = measured(source, plain_detector, tmp_path / "local", engine="local")
    _, folder = measured(watched(source, tmp_path / "first"), plain_detector, tmp_path / "dask")
    parts = sorted((folder / "parts").iterdir())
    for part in parts[::2]:
        part.unlink()
    kept = {part: part.stat().st_mtime_ns for part in parts[1::2]}
    found, again = measured(watched(source, tmp_path / "second"), plain_detector, tmp_path / "dask")
    assert (found, again) == (local, folder)
    assert {part: part.stat().st_mtime_ns for part in kept} == kept
    names = source.table["image_id"]
    assert times_read(tmp_path / "first") == dict.fromkeys(names, 1)
    assert times_read(tmp_path / "second") == {name: 1 for row, name in enumerate(names) if row // SIZE % 2 == 0}


def test_a_killed_worker_costs_its_shard_alone(source, plain_detector, cluster, tmp_path):
    local, _ = measured(source, plain_detector, tmp_path / "local", engine="local")
    deadly = watched(source, tmp_path / "notes", "worker")
    assert measured(deadly, plain_detector, tmp_path / "dask", scheduler=cluster.address)[0] == local
    often = times_read(tmp_path / "notes")
    assert (tmp_path / "notes/killed").exists()
    assert {name for name, times in often.items() if times > 1} == set(
        source.table["image_id"][2 * SIZE : 2 * SIZE + 3]
    )


def test_after_a_killed_scheduler_the_same_command_goes_on(source, plain_detector, cluster, tmp_path):
    notes = tmp_path / "notes"
    with running(tmp_path / "doomed") as doomed:
        deadly = watched(source, notes, str(doomed.processes[0].pid))
        with pytest.raises(ClusterError, match="was lost"):
            measured(deadly, plain_detector, tmp_path / "dask", scheduler=doomed.address)
    kept = sorted((tmp_path / "dask").glob("inference-*/parts/part-*"))
    assert kept
    found, _ = measured(watched(source, notes), plain_detector, tmp_path / "dask", scheduler=cluster.address)
    assert found == measured(source, plain_detector, tmp_path / "local", engine="local")[0]
    finished = [int(part.stem.removeprefix("part-")) for part in kept]
    often = times_read(notes)
    assert all(often[name] == 1 for row, name in enumerate(source.table["image_id"]) if row // SIZE in finished)


def test_pictures_that_workers_do_not_see_are_told_in_one_line(source, plain_detector, cluster, tmp_path):
    elsewhere = FolderFiles(LocalFileSystem(), str(tmp_path / "nowhere"), DecodingSettings())
    with pytest.raises(InputError, match="a worker sees none of") as caught:
        measured(replace(source, files=elsewhere), plain_detector, tmp_path / "dask", scheduler=cluster.address)
    assert "nowhere/000.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_in_memory_are_computed_here_with_a_word(source, plain_detector, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found, _ = measured(
            replace(source, files=None), plain_detector, tmp_path / "dask", scheduler="tcp://127.0.0.1:1"
        )
    assert "they are computed here" in caplog.text
    assert found == measured(source, plain_detector, tmp_path / "local", engine="local")[0]


def test_parts_of_pictures_decoded_otherwise_do_not_count(source, plain_detector, tmp_path):
    _, one = measured(source, plain_detector, tmp_path, engine="local")
    changed = replace(source.files, settings=DecodingSettings(background=200))
    _, other = measured(replace(source, files=changed), plain_detector, tmp_path, engine="local")
    assert one != other


def test_files_travel_small_and_are_the_same_pictures(source):
    travelled = pickle.dumps(source.files)
    assert len(travelled) < 2000
    files, names = pickle.loads(travelled), source.table["image_id"]
    assert all((files.read(name) == source.read(row)).all() for row, name in enumerate(names) if row != BROKEN)


def test_files_of_an_object_store_travel_too():
    pytest.importorskip("s3fs")
    filesystem = fsspec.filesystem("s3", key="a", secret="b", endpoint_url="http://127.0.0.1:1")
    files = FolderFiles(filesystem, "bucket/pictures", DecodingSettings())
    travelled = pickle.loads(pickle.dumps(files))
    assert travelled == files
    assert travelled.filesystem.storage_options == filesystem.storage_options
    assert "b" not in files.facts().values()
