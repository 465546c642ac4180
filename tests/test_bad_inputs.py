"""The table of bad inputs: each gets one clear line and an exit status, and changes nothing under data/."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog, MemoryDataset
from tests import damage
from tests.compute.scenes import image_set
from tests.damage import VERSION
from tests.in_process import copy_of, run_here, stored_files
from tests.parts import group

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.foresight import ForesightHooks
from fanogan_pipeline.parameters import plain

FOLDER = "fanogan_pipeline.datasets.ImageFolderDataset"
IDX = "fanogan_pipeline.datasets.IdxImageDataset"


@dataclass(frozen=True)
class Row:
    """One bad input.

    Attributes:
        arguments: of `kedro run`.
        expected: what the line must hold: the file or parameter, what was found, what was expected.
        prepare: makes the bad file; gets the project and an empty folder outside it.
    """

    arguments: tuple[str, ...]
    expected: tuple[str, ...]
    prepare: Callable[[Path, Path], None] = lambda project, folder: None


def parameter(setting: str, *expected: str, pipelines: str = "data_prep") -> Row:
    return Row(("--pipelines", pipelines, "--params", setting), expected)


def local(name: str, content: str, *expected: str) -> Row:
    """A file of the user's own configuration."""

    def prepare(project: Path, folder: Path) -> None:
        (project / f"conf/local/{name}.yml").write_text(content)

    return Row(("--pipelines", "data_prep"), expected, prepare)


def raw(make: Callable[[Path], object], type_name: str, *expected: str, more: str = "", **options: object) -> Row:
    """Raw pictures in a folder of the user's."""

    def prepare(project: Path, folder: Path) -> None:
        make(folder)
        entry = {"raw_images": {"type": type_name, "filepath": str(folder), **options}}
        (project / "conf/local/catalog.yml").write_text(yaml.safe_dump(entry))

    arguments = ("--pipelines", "data_prep", *(("--params", more) if more else ()))
    return Row(arguments, expected, prepare)


def idx(*expected: str, more: str = "", **files: bytes | None) -> Row:
    return raw(lambda folder: damage.idx_folder(folder, **files), IDX, *expected, more=more)


def folder_with(name: str, data: bytes, *expected: str, **options: object) -> Row:
    return raw(lambda folder: damage.picture_folder(folder, (name, data)), FOLDER, name, *expected, **options)


def defects_with(name: str, data: bytes, *expected: str) -> Row:
    return raw(lambda folder: damage.defects_folder(folder, (name, data)), FOLDER, name, *expected)


def newest(place: str, spoil: Callable[[Path], bytes], arguments: tuple[str, ...], *expected: str) -> Row:
    """A version newer than all others under data/, made from the newest good one."""

    def prepare(project: Path, folder: Path) -> None:
        versions = project / "data" / place
        good = sorted(versions.glob(f"*/{versions.name}"))[-1]
        bad = versions / VERSION / versions.name
        bad.parent.mkdir(exist_ok=True)
        bad.write_bytes(spoil(good))

    return Row(arguments, (VERSION, *expected), prepare)


def train_set(spoil: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray] | None], *expected: str) -> Row:
    def spoiled(good: Path) -> bytes:
        arrays = damage.arrays(good)
        return damage.npz(**(spoil(arrays) or arrays))

    return newest("05_model_input/train_set.npz", spoiled, ("--env", "smoke", "--pipelines", "wgan"), *expected)


def wgan_model(spoil: Callable[[bytes], bytes], *expected: str) -> Row:
    place = "06_models/wgan_model.safetensors"
    return newest(place, lambda good: spoil(good.read_bytes()), ("--env", "smoke", "--pipelines", "encoder"), *expected)


def other_shape(data: bytes) -> bytes:
    """The table says other sides than the tensor's bytes make."""
    table, rest = damage.split_safetensors(data)
    name = next(name for name in table if name != "__metadata__")
    table[name]["shape"] = [*table[name]["shape"], 2]
    return damage.safetensors(table, rest)


def renamed(data: bytes) -> bytes:
    """Tensors of another network than the header names."""
    table, rest = damage.split_safetensors(data)
    return damage.safetensors({name.replace("critic.", "judge."): entry for name, entry in table.items()}, rest)


def headless(data: bytes) -> bytes:
    table, rest = damage.split_safetensors(data)
    del table["__metadata__"]
    return damage.safetensors(table, rest)


def not_finite(data: bytes) -> bytes:
    table, rest = damage.split_safetensors(data)
    first = next(entry["data_offsets"][0] for entry in table.values() if entry.get("dtype") == "F32")
    return damage.safetensors(table, rest[:first] + np.float32("nan").tobytes() + rest[first + 4 :])


def unreadable(folder: Path) -> None:
    damage.picture_folder(folder, ("locked.png", damage.picture()))
    (folder / "locked.png").chmod(0)


SMALL = np.zeros((60, 20, 20))
TWENTY = damage.picture()

ROWS: dict[str, Row] = {
    # ------------------------------------------------------------ idx files
    "gzip cut short": idx(
        "train-images-idx3-ubyte: the gzip data is cut short or damaged",
        "fetch the file again",
        train_images_idx3=damage.gzip_cut(damage.idx(SMALL)),
    ),
    "wrong magic": idx(
        "train-images-idx3-ubyte: found magic number 0x47494638",
        "expected 0x00000803 (pictures)",
        train_images_idx3=b"GIF8" + damage.idx(SMALL),
    ),
    "labels in place of pictures": idx(
        "t10k-images-idx3-ubyte: found magic number 0x00000801 (a file of labels)",
        "expected 0x00000803",
        t10k_images_idx3=damage.idx(np.arange(60)),
    ),
    "header promises more than the file holds": idx(
        "train-images-idx3-ubyte: the header says 60 x 20 x 20 = 24,000 bytes of pictures, found fewer",
        train_images_idx3=damage.idx(SMALL[:50], shape=(60, 20, 20)),
    ),
    "header promises more than any memory": idx(
        "= 79,228,162,458,924,105,385,300,197,375 bytes, expected at most 4,294,967,296",
        train_images_idx3=damage.idx(SMALL, shape=(2**32 - 1,) * 3),
    ),
    "gzip bomb": idx(
        "found more; fetch the file again", train_images_idx3=gzip.compress(damage.idx(SMALL) + bytes(10**7))
    ),
    "pictures and labels of different counts": idx(
        "train-labels-idx1-ubyte: found 59 labels, expected 60, one for each picture",
        train_labels_idx1=damage.idx(np.arange(59) % 10),
    ),
    "a file is missing": idx("missing t10k-labels-idx1-ubyte", "put the files there", t10k_labels_idx1=None),
    "an empty file": idx("train-labels-idx1-ubyte: found 0 bytes, expected a header of 8", train_labels_idx1=b""),
    "folder that is not there": raw(shutil.rmtree, IDX, "no readable folder", "the four files of MNIST"),
    # ------------------------------------------------------------ classes and splits
    "class that does not exist": parameter(
        "data_prep.normal_classes=[77]", "data_prep.normal_classes: found '77'", "no such class; did you mean '7'?"
    ),
    "class that is no list": parameter(
        "data_prep.normal_classes=1", "data_prep.normal_classes: expected a list of class names, found 1"
    ),
    "class listed twice": local(
        "parameters",
        'data_prep: {normal_classes: ["1", "3", "1"]}',
        "normal_classes: '1' is listed twice",
    ),
    "class with too few images for its split": idx(
        "data_prep: the selection split would get 1 image, expected at least 2; of normal_classes there are",
        "of '1' outside the test split; add images, change the fractions or the classes that are normal",
    ),
    "fractions that leave nothing": parameter(
        "data_prep.selection_fraction=0.6,data_prep.calibration_fraction=0.6",
        "data_prep: selection_fraction + calibration_fraction = 1.2, expected less than 1",
    ),
    "reference split of too few images": parameter(
        "data_prep.protocol=reference,data_prep.reference_count=5000",
        "data_prep.reference_count: found 5000, but raw_images has 7877 normal",
        "expected at least 20000 and 5000",
    ),
    # ------------------------------------------------------------ image files
    "empty picture": folder_with("bad.png", b"", "found an empty file (0 bytes), expected a picture"),
    "no picture": folder_with("bad.png", b"hello", "found no picture", "expected PNG, JPEG, BMP, TIFF or WebP"),
    "picture cut short": folder_with("bad.png", TWENTY[:-200], "found a picture that is cut short or damaged"),
    "picture cut short, skipped by its header alone": folder_with(
        "bad.png",
        TWENTY[:-200],
        "found a picture that is cut short or damaged",
        "(verify: full beside on_error: skip leaves such files out)",
        on_error="skip",
    ),
    "moving picture": folder_with(
        "bad.webp", damage.moving_picture(), "found an animated or multi-page file, expected a single picture"
    ),
    "decompression bomb": folder_with(
        "bad.png", damage.png_promising(100_000, 100_000), "found 100,000 x 100,000 pixels, expected at most 80,000,000"
    ),
    "floats out of range": folder_with(
        "bad.tiff",
        damage.floats(),
        "found values from 0 to 255, expected 0 to 1; set float_maximum",
    ),
    "unreadable by permission": raw(unreadable, FOLDER, "locked.png", "ermission"),
    "empty folder": raw(lambda folder: None, FOLDER, "found no picture (what else lies there: 0)"),
    "only bad pictures, skipped": raw(
        lambda folder: (folder / "bad.png").write_bytes(b""),
        FOLDER,
        "found no picture that can be used, 1 file skipped",
        on_error="skip",
    ),
    "mask without its image": defects_with("ground_truth/hole/7_mask.png", TWENTY, "found a mask without its picture"),
    "mask of another size": defects_with(
        "ground_truth/hole/0_mask.png", damage.picture(size=(9, 9)), "9 x 9", "expected 20 x 20"
    ),
    "layout that nobody knows": raw(
        damage.picture_folder, FOLDER, "layout", "'circle'", "expected one of", layout="circle"
    ),
    # ------------------------------------------------------------ npz
    "npz cut short": newest(
        "05_model_input/train_set.npz",
        lambda good: good.read_bytes()[:-3000],
        ("--env", "smoke", "--pipelines", "wgan"),
        "npz file",
    ),
    "NaN in an npz": train_set(
        lambda arrays: arrays.update(images=np.full_like(arrays["images"], np.nan, np.float32)),
        "images: found float32 [400, 1, 28, 28], expected uint8 [N, C, H, W]",
    ),
    "infinite maps": newest(
        "07_model_output/residual_maps.npz",
        lambda good: damage.npz(**{**damage.arrays(good), "maps": np.full_like(damage.arrays(good)["maps"], np.inf)}),
        ("--nodes", "reporting.draw_heatmap_gallery"),
        "maps: found",
        "NaN or infinite, expected none",
    ),
    "wrong dtype in an npz": train_set(
        lambda arrays: arrays.update(is_anomaly=arrays["is_anomaly"].astype(np.int8)),
        "is_anomaly: found int8 [400], expected bool [400]",
    ),
    "wrong shape in an npz": train_set(
        lambda arrays: arrays.update(labels=arrays["labels"][:-1]), "labels: found <U1 [399], expected text [400]"
    ),
    "picture sizes of nothing": train_set(
        lambda arrays: arrays.update(sizes=np.zeros((400, 2), np.int32)), "sizes: found 0, expected 1 and up"
    ),
    "a picture size too few": train_set(
        lambda arrays: arrays.update(sizes=arrays["sizes"][1:]), "sizes: found int32 [399, 2], expected int32 [400, 2]"
    ),
    "unknown array in an npz": train_set(lambda arrays: arrays.update(extra=np.zeros(3)), "has unknown extra"),
    "missing array in an npz": train_set(
        lambda arrays: {name: array for name, array in arrays.items() if name != "labels"}, "lacks labels"
    ),
    "objects in an npz": train_set(
        lambda arrays: arrays.update(labels=np.array([{}] * 400, dtype=object)), "labels: found dtype object"
    ),
    "anomalies to learn from": train_set(
        lambda arrays: arrays.update(is_anomaly=~arrays["is_anomaly"]),
        "train_set (on load): is_anomaly: found 400 anomalous images, expected normal ones only",
    ),
    # ------------------------------------------------------------ models, tables, JSON
    "safetensors cut short": wgan_model(lambda data: data[:-100], "not a readable safetensors file"),
    "safetensors cut in its header": wgan_model(lambda data: data[:50], "cut short: found 50 bytes, expected"),
    "safetensors with a huge header": wgan_model(
        lambda data: (2**62).to_bytes(8, "little") + data[8:], "cut short: found", "expected 4,611,686,018,427,387,912"
    ),
    "tensors other than the table says": wgan_model(other_shape, "not a readable safetensors file"),
    "tensors other than the header says": wgan_model(renamed, "tensors do not fit the network its header names"),
    "safetensors without a header": wgan_model(headless, "without the header that this project writes"),
    "weights that are not finite": wgan_model(
        not_finite, "wgan_model (on load):", "found weights that are NaN or infinite, expected none; train again"
    ),
    "detector that is no JSON": newest(
        "06_models/detector.json", lambda good: b"{", ("--pipelines", "reporting"), "not a readable JSON file"
    ),
    "table cut short": newest(
        "07_model_output/test_scores.parquet",
        lambda good: good.read_bytes()[:-500],
        ("--pipelines", "reporting"),
        "not a readable parquet file",
        "delete",
    ),
    # ------------------------------------------------------------ parameters
    "zero steps": parameter("wgan.steps=0", "wgan.steps:", "greater than or equal to 1", "found 0"),
    "negative seed": parameter("seed=-1", "seed: Input should be greater than or equal to 0; found -1"),
    "huge batch": parameter("encoder.batch_size=10000000", "encoder.batch_size:", "less than or equal to 65536"),
    "learning rate of zero": parameter("wgan.learning_rate=0", "wgan.learning_rate:", "greater than 0", "found 0"),
    "not a number": parameter("encoder.kappa=.nan", "encoder.kappa:", "finite number", "found nan"),
    "text for a number": parameter("wgan.steps=many", "wgan.steps: Input should be a valid integer; found 'many'"),
    "yes for a number": parameter("wgan.steps=true", "wgan.steps: Input should be a valid integer; found True"),
    "unknown choice": parameter("wgan.objective=wgan", "wgan.objective:", "'wgan_gp', 'wgan_clip' or 'wgan_plain'"),
    "unknown parameter": parameter("wgan.step=3", "wgan: unknown parameter 'step'; did you mean 'steps'?"),
    "unknown group": parameter(
        "wgann.steps=3", "parameters: unknown key 'wgann'; did you mean 'wgan'?", "docs/contributing.md"
    ),
    "group that is a number": parameter("wgan=3", "wgan: expected a group of parameters, found int (3)"),
    "false alarms of two": parameter("scoring.false_alarm_rate=2", "scoring.false_alarm_rate:", "than 1; found 2"),
    "images too small": local("parameters", "data_prep: {image_size: [8, 28]}", "image_size.0:", "to 16; found 8"),
    "images that the reference networks cannot halve twice": Row(
        ("--pipelines", "data_prep,wgan"),
        ("data_prep.image_size: found [30, 28], expected multiples of 4 with wgan.architecture: reference",),
        local("parameters", "{data_prep: {image_size: [30, 28]}, wgan: {architecture: reference}}").prepare,
    ),
    "batch larger than the data": Row(
        ("--env", "smoke", "--params", "wgan.batch_size=500"),
        ("wgan.batch_size: found 500, expected at most the 400 images there are to train on",),
    ),
    "pictures too few to choose a score with": Row(
        ("--env", "smoke", "--params", "scoring.score=chosen,data_prep.selection_fraction=0.0005"),
        ("selection_set: found 3 pictures, expected at least 4 to choose a score with; raise data_prep.selection_",),
    ),
    "encoder's batch larger than the data": Row(
        ("--env", "smoke", "--pipelines", "encoder", "--params", "encoder.batch_size=500"),
        ("encoder.batch_size: found 500, expected at most the 400 images",),
    ),
    "device that is not there": Row(
        ("--env", "smoke", "--params", "device=cuda"),
        ("device: found 'cuda', but PyTorch sees no GPU on ",),
    ),
    "device that nobody knows": parameter("device=gpu", "device: Input should be 'auto', 'cpu' or 'cuda'; found 'gpu'"),
    # ------------------------------------------------------------ the command and the configuration
    "unknown version": Row(
        ("--env", "smoke", "--pipelines", "encoder", "--load-versions", "wgan_model:2020"),
        ("wgan_model.safetensors: found no version 2020, expected one of: 20",),
    ),
    "unknown version of what the run writes itself": Row(
        ("--env", "smoke", "--load-versions", "wgan_model:2020"), ("wgan_model.safetensors: found no version 2020",)
    ),
    "version of what has none": Row(
        ("--env", "smoke", "--pipelines", "inference", "--load-versions", "new_images:2020-01-01T00.00.00.000Z"),
        ("--load-versions: found 'new_images', which has no versions; leave it out",),
    ),
    "unknown dataset to load": Row(("--load-versions", "wgan_modl:2020"), ("--load-versions: found 'wgan_modl'",)),
    "unknown pipeline": Row(("--pipelines", "wgann"), ("--pipelines: found 'wgann'", "did you mean 'wgan'?")),
    "list for a pipeline": Row(
        ("--config", "conf/local/told.yml"),
        ("--pipelines: found '", "no such pipeline"),
        lambda project, folder: (project / "conf/local/told.yml").write_text("run: {pipelines: [scoring, reporting]}"),
    ),
    "unknown environment": Row(("--env", "smok"), ("--env: found 'smok'", "did you mean 'smoke'?")),
    "unknown runner": Row(("--runner", "ThreadRuner"), ("--runner: found 'ThreadRuner'", "mean 'ThreadRunner'?")),
    "runner of no module": Row(("--runner", "nope.Runner"), ("--runner: found 'nope.Runner', no such runner",)),
    "runner of no module of the package": Row(
        ("--runner", "fanogan_pipeline.nope.Runner"), ("--runner: found 'fanogan_pipeline.nope.Runner'",)
    ),
    "runner that a module lacks": Row(
        ("--runner", "fanogan_pipeline.errors.Runner"), ("--runner: found 'fanogan_pipeline.errors.Runner'",)
    ),
    "unknown node": Row(("--nodes", "wgan.trian"), ("does not contain nodes named ['wgan.trian']",)),
    "broken YAML": local(
        "parameters",
        "wgan: {steps: 3",
        "parameters.yml: line 1: not YAML (expected ',' or '}', but got '<stream end>');",
    ),
    "list of parameters": local("parameters", "- seed: 3", "parameters.yml: found a list or a single value, expected"),
    "list for the catalog": local("catalog", "- a: 1", "conf/local/catalog.yml: found a list or a single value"),
    "broken YAML behind what stands in another file": Row(
        (),
        ("conf/local/parameters_x.yml: line 2: not YAML",),
        lambda project, folder: [
            (project / "conf/local/parameters.yml").write_text("seed: ${width}"),
            (project / "conf/local/parameters_x.yml").write_text("wgan:\n\tsteps: 3"),
        ],
    ),
    "number for parameters": local("parameters", "3", "conf/local/parameters.yml: found a list or a single value"),
    "tab in YAML": local(
        "parameters", "wgan:\n\tsteps: 3", "conf/local/parameters.yml: line 2: not YAML (found character '\\t'"
    ),
    "parameter twice": local("parameters", "seed: 1\nseed: 2\n", "conf/local/parameters.yml", "seed", "line 2"),
    "parameter in two files": Row(
        ("--pipelines", "data_prep"),
        ("Duplicate keys found in", "conf/local/parameters.yml", "conf/local/parameters_wgan.yml", "wgan.steps"),
        lambda project, folder: [
            (project / f"conf/local/{name}.yml").write_text("wgan: {steps: 5}")
            for name in ("parameters", "parameters_wgan")
        ],
    ),
    "pictures of another dataset's kind": local(
        "catalog",
        "raw_images: {type: partitions.PartitionedDataset, path: data/01_raw, dataset: pillow.ImageDataset}",
        "raw_images: found dict, expected an ImageSource;",
        "ImageFolderDataset",
    ),
    "dataset of no known type": local(
        "catalog", "raw_images: {type: fanogan_pipeline.datasets.IdxDataset}", "'raw_images'", "'IdxDataset' not found"
    ),
    "argument that a dataset does not take": local(
        "catalog", f"raw_images: {{type: {FOLDER}, folder: x}}", "unexpected keyword argument 'folder'", "raw_images"
    ),
}


@pytest.fixture(scope="module")
def project(smoke_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a finished run behind it."""
    copy = copy_of(smoke_project, tmp_path_factory.mktemp("refusing") / "project")
    (copy / "conf/local").mkdir(exist_ok=True)
    return copy


@pytest.mark.parametrize("name", ROWS)
def test_one_line_says_what_is_wrong_and_nothing_changes(name: str, project: Path, tmp_path: Path) -> None:
    row = ROWS[name]
    if name == "unreadable by permission" and os.geteuid() == 0:
        pytest.skip("root may read everything, so nothing is unreadable here")
    if name == "device that is not there" and gpu_is_here():
        pytest.skip("this machine has the GPU that should be missing")
    (tmp_path / "input").mkdir()
    try:
        row.prepare(project, tmp_path / "input")
        before = stored_files(project)
        outcome = run_here(project, *row.arguments)
        assert stored_files(project) == before
    finally:
        tidy(project)
    assert outcome.status == 1
    assert outcome.line.startswith("Error: ")
    for part in row.expected:
        assert part in outcome.line
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize("typed", [True, False])  # Kedro types the groups that the requested pipelines hint
def test_a_rate_that_cannot_be_promised_is_said_before_anything_is_trained(
    typed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    configure_project("fanogan_pipeline")
    hooks = ForesightHooks()
    groups = {name: group(name) for name in ("wgan", "encoder", "scoring")}
    groups = groups if typed else plain(groups)
    catalog = DataCatalog({"parameters": MemoryDataset({**groups, "device": "cpu"})})
    hooks.before_pipeline_run({"pipeline_names": None, "load_versions": None}, pipelines["__default__"], catalog)
    tiled, whole = (
        image_set(np.zeros((80, 1, 16, 16), np.uint8), True),
        image_set(np.zeros((99, 1, 16, 16), np.uint8), False),
    )
    hooks.after_node_run({"train_set": whole, "selection_set": tiled, "calibration_set": whole})
    assert not caplog.records
    hooks.after_node_run({"train_set": whole, "selection_set": tiled, "calibration_set": tiled})
    assert "0.01 needs at least 99 calibration images, found 20" in caplog.text
    caplog.clear()
    for name, data in {"train_set": whole, "selection_set": tiled, "calibration_set": tiled}.items():
        hooks.after_node_run({name: data})  # a user's own node may make one of them alone
    assert "found 20" in caplog.text
    with pytest.raises(InputError, match=r"^wgan\.batch_size"):
        hooks.after_node_run({"train_set": image_set(np.zeros((3, 1, 16, 16), np.uint8), False)})


def gpu_is_here() -> bool:
    import torch

    return torch.cuda.is_available()


def tidy(project: Path) -> None:
    for file in project.glob("conf/local/*"):
        file.unlink()
    for version in project.glob(f"data/*/*/{VERSION}"):
        shutil.rmtree(version)
