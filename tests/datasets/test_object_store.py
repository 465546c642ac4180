"""Every stored form on an S3-compatible server: whole or absent, as on a local disk, where nothing can be renamed."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from dying import exit_code, save_dying_at_put
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, DatasetError
from stored_forms import FORMS, PLACES, dataset, example, refusal, same
from tests.project import ROOT

from fanogan_pipeline.hooks import _is_taken

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("flask")
server = pytest.importorskip("moto.server")
moto_core = pytest.importorskip("moto.core")
boto3 = pytest.importorskip("boto3")

KILLED = -9
FOLDER = "s3://bucket/data"


@pytest.fixture(scope="module")
def requests() -> Iterator[list[str]]:
    """What the server was asked, such as "PUT /bucket/key", newest last."""
    asked: list[str] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if found := re.search(r"(GET|PUT|POST|HEAD|DELETE) (/\S*) HTTP", record.getMessage()):
                asked.append(f"{found[1]} {found[2]}")

    handler, log = Note(), logging.getLogger("werkzeug")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield asked
    log.removeHandler(handler)


@pytest.fixture(scope="module")
def endpoint(requests) -> Iterator[str]:
    started = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    yield f"http://{host}:{port}"
    started.stop()


@pytest.fixture
def store(endpoint, requests) -> Iterator[dict]:
    """An empty bucket, and the credentials to it as a catalog has them."""
    credentials = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": endpoint}}
    filesystem = s3fs.S3FileSystem(**credentials)
    filesystem.mkdir("bucket")
    requests.clear()
    yield credentials
    filesystem.invalidate_cache()
    filesystem.rm("bucket", recursive=True)


def keys(credentials: dict) -> list[str]:
    filesystem = s3fs.S3FileSystem(**credentials)
    filesystem.invalidate_cache()
    return sorted(filesystem.find("bucket"))


@pytest.mark.parametrize("form", FORMS)
def test_versions_come_back_as_they_were_saved(form, store, requests):
    for number in (1, 2):
        dataset(form, FOLDER, f"v{number}", credentials=store).save(example(form, number))
    after = dataset(form, FOLDER, credentials=store)
    assert after.list_versions(full_path=False) == ["v2", "v1"]
    assert same(form, after.load(), example(form, 2))
    assert same(form, dataset(form, FOLDER, load="v1", credentials=store).load(), example(form, 1))
    written = [asked for asked in requests if asked.startswith(("PUT", "POST", "DELETE"))]
    if form != "FigureFolderDataset":  # one put a save, straight to its place
        place = f"PUT /bucket/data/{PLACES[form]}"
        assert written == [f"{place}/{version}/{PLACES[form]}" for version in ("v1", "v2")]
    else:  # the mark that makes the folder count comes last
        assert [Path(asked).name for asked in written] == ["first.png", "second.png", ".complete"] * 2


def test_the_same_version_is_not_written_twice(store):
    dataset("JSONDataset", FOLDER, "v1", credentials=store).save({"by": "first"})
    with pytest.raises(DatasetError, match="must not exist"):
        dataset("JSONDataset", FOLDER, "v1", credentials=store).save({"by": "second"})
    assert dataset("JSONDataset", FOLDER, credentials=store).load() == {"by": "first"}


def test_a_version_that_another_process_wrote_is_seen(store):
    """Listings are cached by s3fs, also that there is nothing."""
    elsewhere = s3fs.S3FileSystem(**store, skip_instance_cache=True)
    ours = dataset("JSONDataset", FOLDER, "v2", credentials=store)
    assert not ours.exists()
    elsewhere.pipe_file("bucket/data/numbers.json/v1/numbers.json", b"[1]")
    assert dataset("JSONDataset", FOLDER, credentials=store).exists()
    assert dataset("JSONDataset", FOLDER, credentials=store).load() == [1]
    elsewhere.pipe_file("bucket/data/numbers.json/v3/numbers.json", b"[3]")
    assert dataset("JSONDataset", FOLDER, credentials=store).load() == [3]
    assert dataset("JSONDataset", FOLDER, load="v3", credentials=store).load() == [3]


@pytest.mark.parametrize(("form", "puts"), [("JSONDataset", [0]), ("FigureFolderDataset", [1, 2])])
def test_a_kill_before_a_put_leaves_the_version_before(form, puts, store):
    dataset(form, FOLDER, "v1", credentials=store).save(example(form, 1))
    for put in puts:
        assert exit_code(save_dying_at_put, form, FOLDER, f"v2{put}", 2, store, put) == KILLED
        after = dataset(form, FOLDER, credentials=store)
        assert after.list_versions(full_path=False) == ["v1"]
        assert same(form, after.load(), example(form, 1))
    dataset(form, FOLDER, "v3", credentials=store).save(example(form, 3))
    assert same(form, dataset(form, FOLDER, credentials=store).load(), example(form, 3))


def test_a_store_that_refuses_is_told_in_one_line(store):
    nowhere = dataset("JSONDataset", "s3://other/data", "v1", credentials=store)
    with pytest.raises(DatasetError) as caught:
        nowhere.save({})
    assert "not saved" in refusal(caught.value)
    with pytest.raises(DatasetError) as caught:
        dataset("JSONDataset", FOLDER, credentials=store).load()
    assert "found no version of it; run the pipeline that writes it first" in refusal(caught.value)


@pytest.fixture
def stranger(store) -> dict:
    """Credentials of a user who may list everything and read nothing, wherever permissions are asked for."""
    address = store["client_kwargs"]["endpoint_url"]
    iam = boto3.client("iam", "us-east-1", endpoint_url=address, aws_access_key_id="k", aws_secret_access_key="s")
    name = f"stranger-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="list", PolicyDocument=json.dumps(may))
    found = iam.create_access_key(UserName=name)["AccessKey"]
    return {**store, "key": found["AccessKeyId"], "secret": found["SecretAccessKey"]}


@pytest.mark.parametrize("form", ["ParquetDataset", "FigureFolderDataset"])
@pytest.mark.parametrize("pinned", [None, "v1"])
def test_a_version_that_may_not_be_read_is_neither_missing_nor_passed_over(form, pinned, store, stranger):
    dataset(form, FOLDER, "v1", credentials=store).save(example(form, 1))
    theirs = dataset(form, FOLDER, load=pinned, credentials=stranger)
    for ask in (theirs.load, theirs.exists):
        with pytest.raises(DatasetError) as caught:
            moto_core.set_initial_no_auth_action_count(0)(ask)()
        line = refusal(caught.value)
        assert line.startswith(f"bucket/data/{PLACES[form]}/v1/{PLACES[form]}: cannot be read (")
        assert "it may well be whole; keep it and check permissions" in line


def test_damage_after_the_fact_names_the_way_out(store):
    for number in (1, 2):
        dataset("ParquetDataset", FOLDER, f"v{number}", credentials=store).save(example("ParquetDataset", number))
    place = "bucket/data/table.parquet/v2/table.parquet"
    filesystem = s3fs.S3FileSystem(**store)
    filesystem.pipe_file(place, filesystem.cat_file(place)[:40])
    with pytest.raises(DatasetError) as caught:
        dataset("ParquetDataset", FOLDER, credentials=store).load()
    assert "read another with --load-versions table:v1" in refusal(caught.value)


def test_the_catalog_takes_a_url_for_a_path(store):
    config = {
        "scores": {
            "type": "fanogan_pipeline.datasets.ParquetDataset",
            "filepath": f"{FOLDER}/scores.parquet",
            "versioned": True,
            "credentials": "store",
        },
        "numbers": {
            "type": "fanogan_pipeline.datasets.JSONDataset",
            "filepath": f"{FOLDER}/n.json",
            "credentials": "store",
        },
    }
    catalog = DataCatalog.from_config(config, credentials={"store": store}, save_version="v1")
    catalog.save("scores", example("ParquetDataset", 1))
    catalog.save("numbers", {"number": 1})
    catalog.save("numbers", {"number": 2})
    assert same("ParquetDataset", catalog.load("scores"), example("ParquetDataset", 1))
    assert catalog.load("numbers") == {"number": 2}
    assert keys(store) == ["bucket/data/n.json", "bucket/data/scores.parquet/v1/scores.parquet"]


def test_raw_pictures_may_lie_there(store):
    from fanogan_pipeline.datasets import IdxImageDataset, ImageFolderDataset

    filesystem = s3fs.S3FileSystem(**store)
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        filesystem.put_file(str(ROOT / "data/01_raw/mnist" / name), f"bucket/mnist/{name}")
        filesystem.put_file(str(ROOT / "data/01_raw/mnist" / name), f"bucket/mnist/{name.replace('t10k', 'train')}")
    there = IdxImageDataset(filepath="s3://bucket/mnist", credentials=store).load()
    assert len(there) == 20_000
    figure = dataset("FigureDataset", FOLDER, "v1", credentials=store)
    figure.save(example("FigureDataset", 1))
    filesystem.copy("bucket/data/figure.png/v1/figure.png", "bucket/pictures/a/one.png")
    assert ImageFolderDataset(filepath="s3://bucket/pictures", credentials=store).load().read(0).ndim in (2, 3)


def test_a_configuration_there_takes_keys_of_what_was_said(store, endpoint, monkeypatch):
    names = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    files = s3fs.S3FileSystem(**store)
    files.pipe("bucket/conf/base/parameters.yml", b"seed: 1")
    files.pipe("bucket/conf/base/catalog.yml", b"a: '${runtime_params:raw}' # ${runtime_params:old}")
    files.pipe("bucket/conf/paper/catalog.yml", b"a: '${runtime_params:paper}'")
    loader = OmegaConfigLoader("s3://bucket/conf", "smoke", base_env="base", default_run_env="local")
    assert [name for name in ("raw", "old", "paper") if _is_taken(name, loader)] == ["raw"]
