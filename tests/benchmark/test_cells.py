"""The benchmark at smoke size: `kedro run --env smoke --pipelines benchmark` in a copy of the project."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import table as page
from kedro.framework.startup import bootstrap_project
from sklearn.metrics import roc_auc_score
from tests.compute.scenes import scene
from tests.parts import encoder_parameters, group, mnist, ones, wgan_parameters
from tests.project import copy_project, kedro, newest
from torch import nn

from fanogan_pipeline.benchmark import autoencoders, baselines, cells, fanogan
from fanogan_pipeline.benchmark.auroc import holm
from fanogan_pipeline.benchmark.shared import Settings, Split
from fanogan_pipeline.benchmark.tables import RATES, benchmark_table, comparisons, resampled_means, summary
from fanogan_pipeline.datasets import validators
from fanogan_pipeline.detection import choice
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.networks import Critic, NetworkSpec
from fanogan_pipeline.pipelines.benchmark import nodes
from fanogan_pipeline.preprocessing import prepare, splits

BASELINES = baselines.baselines(group("scoring").poses)
UNCORRUPTED = {"corruption": {"noise": 0.0, "blank": 0.0, "block": 4}}
KEYS = ["normal_class", "seed", "method"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("benchmark") / "project")
    first = kedro(project, "run", "--env", "smoke", "--pipelines", "benchmark")
    return project, first


@pytest.fixture(scope="module")
def tables(done):
    names = ("scores", "table", "summary", "comparisons")
    return {name: pd.read_parquet(newest(done[0], f"benchmark_{name}.parquet")) for name in names}


def test_every_method_scores_the_same_images_of_every_class(tables):
    scores = tables["scores"]
    assert set(cells.METHODS) <= set(scores["method"])
    assert set(scores["normal_class"]) == {"1", "8"}
    for _, cell in scores.groupby("normal_class", observed=True):
        named = [frozenset(part["image_id"]) for _, part in cell.groupby("method", observed=True)]
        assert len(set(named)) == 1
        calibration = cell[cell["part"] == "calibration"]
        assert not calibration["is_anomaly"].any()
        assert not set(calibration["image_id"]) & set(cell.loc[cell["part"] == "test", "image_id"])


def test_the_table_says_what_the_scores_hold(tables):
    scores, table = tables["scores"], tables["table"].set_index(KEYS)
    assert len(table) == scores.drop_duplicates(KEYS).shape[0]
    cell = scores[(scores["normal_class"] == "8") & (scores["method"] == "pca")]
    test, calibration = cell[cell["part"] == "test"], cell[cell["part"] == "calibration"]
    row = table.loc[("8", 0, "pca")]
    assert row["auroc"] == pytest.approx(roc_auc_score(test["is_anomaly"], test["score"]))
    assert row["ci_low"] < row["auroc"] < row["ci_high"]
    for rate in RATES:
        assert row[f"promised_{100 * rate:g}"] <= max(rate, 1 / (len(calibration) + 1))
    flagged = test["score"] > np.sort(calibration["score"])[-max(1, int(0.05 * (len(calibration) + 1)))]
    assert row["recall_5"] == pytest.approx(flagged[test["is_anomaly"]].mean())


def test_the_summary_averages_and_compares_with_f_anogan(tables):
    averaged = tables["summary"].set_index("method")
    means = tables["table"].groupby("method", observed=True)["auroc"].mean()
    assert averaged["auroc"].to_dict() == pytest.approx(means.to_dict())
    ours = averaged.loc["f_anogan"]
    assert averaged.loc["pca", "difference"] == pytest.approx(ours["auroc"] - averaged.loc["pca", "auroc"])
    whole = averaged.drop(index="f_anogan").loc[lambda rows: ~rows.index.str.contains(":")]
    assert whole["p_holm"].to_numpy() == pytest.approx(holm(whole["p_value"].to_numpy()))
    assert averaged.drop(index=whole.index)["p_holm"].isna().all()
    assert (averaged["test_spread"] > 0).all()
    assert averaged["seed_spread"].isna().all()  # one seed has none


def drawn_anew(images: int, tested: int, seeds: int, draw: int) -> pd.DataFrame:
    """Scores of two methods as good as each other, to which an image is as hard under every seed: in every cell some
    of a class's images are tested, others under another seed, beside all other labels' images."""
    rng, labels, rows = np.random.default_rng(draw), np.repeat(list("012"), images), []
    hard = {pair: rng.normal(size=len(labels)) for pair in itertools.product("012", ("f_anogan", "pca"))}
    for name, seed in itertools.product("012", range(seeds)):
        normal = rng.choice(np.flatnonzero(labels == name), tested, replace=False)
        there = np.r_[normal, np.flatnonzero(labels != name)]
        for method in ("f_anogan", "pca"):
            cell = pd.DataFrame({"image_id": [f"{row:03}" for row in there], "label": labels[there]})
            cell = cell.assign(normal_class=name, seed=seed, method=method, is_anomaly=cell["label"] != name)
            rows.append(cell.assign(score=hard[name, method][there] + cell["is_anomaly"]))
    return pd.concat(rows, ignore_index=True).assign(part="test")


@pytest.mark.parametrize(("images", "tested"), [(25, 5), (5, 1)])
def test_few_images_without_a_test_part_have_an_interval(images, tested):
    samples = resampled_means(drawn_anew(images, tested, seeds=2, draw=0), 400, 0)
    assert samples.notna().all(axis=None)
    assert (samples.std() > 0).all()


def test_the_spread_over_test_images_holds_however_many_seeds_draw_them():
    """Ten seeds leave hardly two images that are tested under the same ones."""
    means, spreads = [], []
    for draw in range(20):
        scores = drawn_anew(images=40, tested=8, seeds=10, draw=draw)
        cells = scores.groupby(["method", "normal_class", "seed"])[["is_anomaly", "score"]]
        auroc = cells.apply(lambda cell: roc_auc_score(cell["is_anomaly"], cell["score"])).groupby("method").mean()
        samples = resampled_means(scores, 40, 0)
        means.append([auroc["f_anogan"], auroc["f_anogan"] - auroc["pca"]])
        spreads.append([samples["f_anogan"].std(), (samples["f_anogan"] - samples["pca"]).std()])
    assert (np.mean(spreads, 0) / np.std(means, 0, ddof=1)).tolist() == pytest.approx([1, 1], abs=0.3)


def test_the_spread_over_seeds_is_that_of_their_means_over_classes(tables):
    table, scores = tables["table"], tables["scores"]
    shifts = {"1": 0.03, "8": -0.01}  # 0.01 in the mean, whatever the method
    other = table.assign(seed=1, auroc=table["auroc"] + table["normal_class"].map(shifts).astype(float))
    averaged = summary(pd.concat([table, other]), scores, 20, 0, 0.95).set_index("method")
    assert averaged["seed_spread"].to_numpy() == pytest.approx(0.01 / 2**0.5)
    assert averaged["difference_seed_spread"].to_numpy() == pytest.approx(0, abs=1e-12)  # all methods moved alike
    before = tables["summary"].set_index("method")["auroc"]
    assert averaged["auroc"].to_dict() == pytest.approx((before + 0.005).to_dict())


def test_a_lead_that_changes_from_seed_to_seed_has_a_spread_of_its_own(tables):
    table, scores = tables["table"], tables["scores"]
    other = table.assign(seed=1, auroc=table["auroc"] - 0.02 * (table["method"] == "pca"))
    averaged = summary(pd.concat([table, other]), scores, 20, 0, 0.95).set_index("method")
    spread = averaged["difference_seed_spread"]
    assert spread["pca"] == pytest.approx(0.02 / 2**0.5)
    assert spread.drop("pca").to_numpy() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alone", ["f_anogan", "pca"])
def test_one_method_alone_has_a_table_and_nothing_to_compare_it_with(tables, alone):
    scores = tables["scores"][tables["scores"]["method"] == alone]
    found = comparisons(scores)
    assert len(found) == 0
    validators.benchmark_comparisons(found)
    table = benchmark_table(scores, 0.95)
    validators.benchmark_table(table)
    validators.benchmark_summary(summary(table, scores, resamples=5, seed=0, confidence=0.95))


def test_finished_cells_stay_for_later_tables_and_pictures_do_not(done, tables):
    (folder,) = (done[0] / "data/06_models/.training_states").glob("benchmark-*")
    cells = tables["scores"].drop_duplicates(["normal_class", "seed"])
    assert len(list((folder / "parts").glob("*.parquet"))) == len(cells)
    assert not list(folder.rglob("images.npy"))


def test_the_results_page_takes_the_numbers_of_the_environment_that_it_names(done, monkeypatch):
    monkeypatch.setattr(page, "ROOT", done[0])
    bootstrap_project(done[0])
    assert set(page.Results.load("smoke").whole["method"]) == set(cells.METHODS)
    with pytest.raises(InputError, match=r"made with --env smoke, expected base; first kedro run --pipelines bench"):
        page.Results.load("base")
    monkeypatch.setitem(page.DATA, "smoke", ("MNIST", ("1",)))
    with pytest.raises(InputError, match=r"found other pictures or fewer test images than the 10,000 of MNIST; first"):
        page.Results.load("smoke")
    monkeypatch.setattr(page, "OURS", "f_anogan_of_tomorrow")
    with pytest.raises(InputError, match=r"found no f_anogan_of_tomorrow, .* with it among benchmark\.methods$"):
        page.Results.load("smoke")


def test_the_benchmarks_f_anogan_is_that_of_the_pipelines(done, smoke_project, tables):
    """The same class, seed and settings: the scores of `kedro run` for class 1."""
    ours = pd.read_parquet(newest(smoke_project, "test_scores.parquet")).set_index("image_id")["score"]
    scores = tables["scores"]
    cell = scores[(scores["normal_class"] == "1") & (scores["method"] == "f_anogan") & (scores["part"] == "test")]
    theirs = cell.set_index("image_id")["score"]
    assert set(ours.index) == set(theirs.index)
    assert theirs.loc[ours.index].to_numpy() == pytest.approx(ours.to_numpy(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_light_is_levelled_by_a_cell_s_training_pictures_as_data_prep_does_it(channels):
    """Rough and smooth surfaces in a source without a test part: a gain of all of them would be another."""
    rng = np.random.default_rng(0)
    grain = [8.0] * 30 + [30.0] * 10
    pictures = [rng.normal(120, spread, (18, 20, 3)).clip(0, 255).astype(np.uint8) for spread in grain]
    table = pd.DataFrame({"image_id": [str(row) for row in range(40)], "label": ["good"] * 30 + ["bad"] * 10})
    source = ImageSource(table.assign(part="", group="", has_mask=False), lambda row: pictures[row])
    p = group("data_prep", image_size=[16, 16], channels=channels, local_contrast=4.0, normal_classes=["good"])
    found = cells.split_class(*nodes.prepare_all(source, p, group("scoring")), "good", p, seed=2)
    plan = splits.split_images(source.table, p, "", 2)
    rows = {split: plan.index[plan["split"] == split].to_numpy() for split in splits.SPLITS}
    geometry = prepare.fit_geometry(source, rows["train"], p, 2)
    rows["scored"] = np.concatenate([rows.pop("calibration"), rows.pop("test")])
    for side, of_side in rows.items():
        assert (getattr(found, side) == prepare.prepare_readable(source, of_side, geometry, 1)[0]).all()


def test_a_score_of_maps_is_refused_before_any_picture_is_read():
    table = pd.DataFrame({"image_id": ["a"], "label": "good", "part": "", "group": "", "has_mask": False})

    def unread(row):
        raise AssertionError("read a picture")

    with pytest.raises(InputError, match=r"scoring\.score: found 'map', expected a score of residual terms"):
        nodes.prepare_all(ImageSource(table, unread), group("data_prep"), group("scoring", score="map"))


def test_a_cell_knows_the_groups_of_what_it_selects_by():
    table = pd.DataFrame({"image_id": [f"{row:02}" for row in range(60)], "label": ["good"] * 50 + ["bad"] * 10})
    table = table.assign(part="", has_mask=False, group=[f"lot {row // 3}" for row in range(60)])
    images = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 16, 16), np.uint8)
    found = cells.split_class(images, table.assign(sha256=table["image_id"]), "good", group("data_prep"), 0)
    assert found.selection_group.tolist() == [f"lot {row // 3}" for row in found.selection[:, 0, 0, 0]]
    alone = cells.split_class(images, table.assign(sha256=table["image_id"], group=""), "good", group("data_prep"), 0)
    assert alone.selection_group is None


def test_a_test_side_of_one_kind_is_refused_before_anything_is_trained():
    images, table = np.zeros((60, 1, 16, 16), np.uint8), pictures(good=50, bad=10)
    with pytest.raises(InputError, match=r"the test side has (0 normal and 1|1 normal and 0) anom"):
        cells.split_class(images, table, "good", group("data_prep", max_test=1), 0)


def pictures(**counts: int) -> pd.DataFrame:
    """So many different pictures of each label."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    names = [f"{row:03}" for row in range(len(labels))]
    return pd.DataFrame(
        {"image_id": names, "label": labels, "part": "", "has_mask": False, "group": "", "sha256": names}
    )


def test_every_cell_is_looked_at_before_the_first_one_is_trained():
    wanted, ours = [("good", 0), ("rare", 3)], small_settings(encoder=encoder_parameters(batch_size=32))
    enough = pictures(good=90, rare=90)
    cells.expect_sound(enough, wanted, ours)
    where = r"^benchmark: class 'rare' as normal, seed 3: "
    with pytest.raises(InputError, match=where + r"encoder\.batch_size: found 32, expected at most the \d+ images"):
        cells.expect_sound(pictures(good=90, rare=30), wanted, ours)
    without_networks = ours.model_copy(update={"benchmark": group("benchmark", methods=["pca"])})
    cells.expect_sound(pictures(good=90, rare=30), wanted, without_networks)
    few = where + "data_prep: the selection split would get.*; or take the class out of benchmark.classes$"
    with pytest.raises(InputError, match=few):
        cells.expect_sound(pictures(good=90, rare=3), wanted, without_networks)
    small = small_settings(encoder=encoder_parameters(batch_size=8), wgan=wgan_parameters(batch_size=8))
    with pytest.raises(InputError, match=where + "selection_set: found 3 pictures, expected at least 4 to choose"):
        cells.expect_sound(pictures(good=90, rare=32), wanted, small)
    given = small.model_copy(update={"scoring": group("scoring", score="standardised")})
    cells.expect_sound(pictures(good=90, rare=32), wanted, given)


def test_the_benchmark_refuses_what_a_cell_cannot_be_made_of_before_it_keeps_anything():
    wanted = ("data_prep", "wgan", "encoder", "scoring", "training", "benchmark", "compute")
    found = pictures(good=40, bad=40)
    with pytest.raises(InputError, match=r"^benchmark: class 'bad' as normal, seed 0: wgan\.batch_size: found 64"):
        nodes.score_cells((None, found), *map(group, wanted), device="cpu", precision="float32", states=None)


def test_copies_that_leave_a_side_too_little_are_refused():
    table = pictures(good=90, bad=30)
    copies = table.assign(sha256=[f"{min(row, row % 9) if row < 90 else row}" for row in range(len(table))])
    with pytest.raises(InputError, match=r"class 'good' as normal.*copies of other images were dropped; add images"):
        cells.expect_sound(copies, [("good", 0)], small_settings())


def test_an_error_of_a_cell_names_it():
    images, ours = np.zeros((120, 1, 16, 16), np.uint8), small_settings(encoder=encoder_parameters(batch_size=120))
    with pytest.raises(InputError, match=r"^benchmark: class 'bad' as normal, seed 1: encoder\.batch_size: found 120"):
        cells.run_cell(images, pictures(good=60, bad=60), "bad", 1, ours)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"benchmark\.classes: found 'x', but raw_images has no such class"):
        cells.wanted_cells(mnist().table, group("benchmark", classes=["x"]))
    padded = pd.DataFrame({"label": ["01", "02"], "part": ""})
    with pytest.raises(InputError, match=r"found '1', .*; write '01' in quotes, for without them it is a number$"):
        cells.wanted_cells(padded, group("benchmark", classes=[1]))


def test_a_test_part_of_one_kind_is_refused_before_anything_is_trained():
    table = pd.DataFrame({"label": ["good"] * 11, "part": ["train"] * 9 + ["test"] * 2})
    with pytest.raises(InputError, match=r"benchmark\.classes: found 'good', the only class of raw_images"):
        cells.wanted_cells(table, group("benchmark"))
    untested = pd.DataFrame({"label": ["good"] * 9 + ["bad"], "part": ""})
    assert cells.wanted_cells(untested, group("benchmark", classes=["good"])) == [("good", 0)]


def test_defects_alone_in_the_test_part_have_normal_pictures_drawn_beside_them():
    """train/good and test/<defect>: a fifth of the good ones is kept for the test."""
    table = pictures(good=200, bad=15, worse=5)
    table["part"] = np.where(table["label"] == "good", "train", "test")
    wanted = cells.wanted_cells(table, group("benchmark"))
    assert wanted == [("good", 0)]
    cells.expect_sound(table, wanted, small_settings())
    known = cells.split_class(np.zeros((220, 1, 16, 16), np.uint8), table, "good", group("data_prep"), 0).known
    assert known.loc[known["part"] == "test", "is_anomaly"].value_counts().to_dict() == {False: 40, True: 20}


def test_pictures_of_one_class_alone_are_refused_before_anything_is_trained():
    table = pd.DataFrame({"label": ["normal"] * 9, "part": [""] * 9})
    with pytest.raises(InputError, match=r"found 'normal', the only class of raw_images.*two classes or more"):
        cells.wanted_cells(table, group("benchmark"))


def test_every_label_of_the_training_part_is_a_class():
    found = cells.wanted_cells(mnist().table, group("benchmark", seeds=[3, 5]))
    assert found == [(str(digit), seed) for seed in (3, 5) for digit in range(10)]


def test_every_method_that_may_be_asked_for_has_its_row_in_one_table():
    rows = [*fanogan.VARIANTS, *BASELINES, *autoencoders.AUTOENCODERS]
    assert sorted(rows) == sorted(cells.METHODS)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_tell_noise_from_digits(name):
    source = mnist()
    rows = np.flatnonzero(source.table["label"] == "1")[:300]
    digits = np.stack([source.read(int(row)) for row in rows])[:, None]
    noise = np.random.default_rng(0).integers(0, 256, (20, 1, 28, 28)).astype(np.uint8)
    score = BASELINES[name](digits[:250], 0)
    assert score(noise).min() > np.median(score(digits[250:]))


def small_settings(steps: int = 3, **changes) -> Settings:
    """Of quick trainings, with what is changed about images in them and about the groups."""
    groups = {"wgan": wgan_parameters(), "encoder": encoder_parameters(), "data_prep": group("data_prep")}
    groups |= {name: group(name) for name in ("scoring", "training")}
    groups |= {"benchmark": group("benchmark", autoencoder_steps=steps), "device": "cpu", "precision": "float32"}
    return Settings(**groups | changes)


@pytest.mark.parametrize("name", sorted(autoencoders.AUTOENCODERS))
def test_autoencoders_learn_from_augmented_images_too(name):
    images = ones(80).numpy()

    def scored(**changes) -> np.ndarray:
        settings = small_settings(data_prep=group("data_prep", augmentation=changes))
        return autoencoders.fit(autoencoders.AUTOENCODERS[name], images, 0, settings)(images[:8])

    assert (scored() == scored()).all()
    assert (scored() != scored(shift=4)).any()


def test_a_vae_judges_by_the_error_that_it_was_trained_to():
    torch.manual_seed(0)
    model = autoencoders.AUTOENCODERS["vae"](NetworkSpec("convolutional", (28, 28), 1, 4, 4))
    x = torch.zeros(40, 1, 28, 28)
    for _ in range(300):
        model.loss(x)
    error = (
        model.decoder(torch.randn(400, 4)).detach().square().mean()
    )  # q(z|x) of an untrained encoder is near the prior
    assert error < 0.5
    assert float(model.error) == pytest.approx(float(error), rel=0.2)


@pytest.mark.parametrize("name", sorted(autoencoders.AUTOENCODERS))
def test_autoencoders_learn_to_tell_noise_from_digits_one_by_one(name):
    digits, noise = ones(300).numpy(), np.random.default_rng(0).integers(0, 256, (20, 1, 28, 28)).astype(np.uint8)
    settings = small_settings(60, encoder=encoder_parameters(batch_size=32, learning_rate=0.002))
    score = autoencoders.fit(autoencoders.AUTOENCODERS[name], digits[:250], 0, settings)
    assert score(noise).min() > np.median(score(digits[250:]))
    assert score(digits[250:])[:3] == pytest.approx(score(digits[250:253]), rel=1e-4)


def test_autoencoders_end_at_a_low_rate(monkeypatch):
    rates = []

    class Noted(autoencoders.Adam):
        def step(self) -> None:
            rates.append(float(self.rate))
            super().step()

    monkeypatch.setattr(autoencoders, "Adam", Noted)
    autoencoders.fit(autoencoders.Autoencoder, ones(40).numpy(), 0, small_settings(20))
    assert rates[:10] == pytest.approx([small_settings().encoder.learning_rate] * 10)
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert rates[-1] < 0.2 * rates[0]


class Always(nn.Module):
    """The same for any input."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value


def test_a_vae_adds_the_divergence_of_its_code_to_its_error():
    """KL(N(m, v) || N(0, 1)) = (m^2 + v - 1 - log v) / 2 a dimension: here of m = 1, v = 1 and m = -2, v = 4."""
    vae = autoencoders.VariationalAutoencoder(NetworkSpec("convolutional", (16, 16), 1, 4, 2))
    x = torch.rand(3, 1, 16, 16)
    vae.encoder, vae.decoder = Always(torch.tensor([[1.0, -2.0, 0.0, np.log(4)]] * 3)), Always(x + 1)
    divergence = 0.5 + (4 + 3 - np.log(4)) / 2
    assert vae.loss(x).item() == pytest.approx(divergence)  # beside the logarithm of an error of 1
    assert vae.score(x).tolist() == pytest.approx([256 / 2 + divergence] * 3)


def test_an_isolation_forest_is_drawn_anew_with_another_seed():
    images = ones(60).numpy()
    one, again, other = (baselines.isolation_forest(images[:40], seed)(images[40:]) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()


def test_new_normal_images_are_as_far_from_their_neighbours_as_expected():
    """Of training images of the same kind, which are no neighbours of themselves."""
    images = np.random.default_rng(0).integers(0, 256, (260, 1, 8, 8)).astype(np.uint8)
    assert np.median(BASELINES["relative_neighbours"](images[:200], 0)(images[200:])) == pytest.approx(1, abs=0.1)


def test_neighbours_without_a_network_are_sought_on_large_pictures_too():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 256, 256)).astype(np.uint8)
    assert np.isfinite(BASELINES["relative_neighbours"](images, 0)(images[:2])).all()


class Brightness(Critic):
    """D(x) = mean of x."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).mean(1)


def test_what_the_critic_scores_low_is_anomalous():
    _, restorer, _ = scene(False)
    restorer = replace(restorer, wgan=replace(restorer.wgan, critic=Brightness()))
    judge = fanogan.Judge(restorer, statistics=None, selection_terms=None, chosen="", settings=small_settings())
    black, white = (np.full((1, 1, 16, 16), level, np.uint8) for level in (0, 255))
    assert fanogan._critic_output(np.concatenate([black, white]), judge).tolist() == [1, -1]


def split_of_ones(**known) -> Split:
    images = ones(60).numpy()
    return Split(images[:30], images[30:50], images[50:], pd.DataFrame(), **known)


def test_each_variant_trains_its_own_encoder_and_all_count_the_wgan_s_time(monkeypatch):
    seconds, trained = [0], {}

    class Judge:
        chosen = "standardised"

        def terms(self, images) -> pd.DataFrame:
            seconds[0] += 1
            return pd.DataFrame()

        def score(self, terms, kind) -> np.ndarray:
            return np.zeros(10)

    def fit(split, wgan, parameters, seed, settings) -> Judge:
        seconds[0] += 10
        trained[len(trained)] = (wgan, parameters)
        return Judge()

    def train_wgan(split, parameters, seed, settings):
        seconds[0] += 100
        return parameters

    monkeypatch.setattr(fanogan, "clock", lambda device: lambda: seconds[0])
    monkeypatch.setattr(fanogan, "_train_wgan", train_wgan)
    monkeypatch.setattr(fanogan.Judge, "fit", fit)
    monkeypatch.setattr(fanogan, "_parts", lambda *terms: {})
    settings = small_settings()
    found = dict(fanogan.score_all(split_of_ones(), 0, settings, list(fanogan.VARIANTS)))
    ours, wgan = settings.encoder, settings.wgan
    clean = ours.corruption.model_copy(update={"noise": 0.0, "blank": 0.0})
    assert dict(zip(found, trained.values(), strict=True)) == {
        "f_anogan": (wgan, ours),
        "f_anogan_izi": (wgan, ours.model_copy(update={"objective": "izi"})),
        "f_anogan_ziz": (wgan, ours.model_copy(update={"objective": "ziz"})),
        "f_anogan_uncorrupted": (wgan, ours.model_copy(update={"corruption": clean})),
        "f_anogan_untrained": (wgan.model_copy(update={"steps": 1}), ours.model_copy(update={"steps": 1})),
    }
    assert [(each.fit_seconds, each.score_seconds) for each in found.values()] == [(110, 1)] * 5
    assert seconds[0] == 2 * 100 + 5 * 11  # one WGAN for all but the untrained


@pytest.mark.parametrize(
    ("configured", "left_out"),
    [
        ({"objective": "izi", **UNCORRUPTED}, ["f_anogan_izi", "f_anogan_uncorrupted"]),  # as conf/reference
        ({"objective": "izi_f", **UNCORRUPTED}, ["f_anogan_uncorrupted"]),  # as conf/paper
        ({"objective": "ziz"}, ["f_anogan_ziz"]),
        ({}, []),
    ],
)
def test_an_encoder_that_two_methods_share_is_trained_once_and_the_log_says_so(configured, left_out, caplog):
    """Its copy would count in Holm's correction too."""
    settings = small_settings(encoder=encoder_parameters(batch_size=8, **configured))
    trained = list(fanogan.variants((settings.wgan, settings.encoder), cells.METHODS))
    assert trained == [name for name in fanogan.VARIANTS if name not in left_out]
    with caplog.at_level("INFO"):
        cells.expect_sound(pictures(good=200, bad=90), [("good", 0), ("good", 1)], settings)
    told = "benchmark: without {}, whose networks are those of a method before it"
    assert caplog.messages == ([told.format(", ".join(left_out))] if left_out else [])


def test_a_cell_s_score_is_chosen_with_its_groups_kept_together(monkeypatch):
    class ChoosingError(Exception):
        pass

    def choose(images, measure, seed, group) -> None:
        raise ChoosingError(group)

    monkeypatch.setattr(choice, "choose_mix", choose)
    settings = small_settings(wgan=wgan_parameters(steps=1), encoder=encoder_parameters(steps=1))
    groups = np.array([f"lot {row // 5}" for row in range(20)])
    with pytest.raises(ChoosingError) as caught:
        next(fanogan.score_all(split_of_ones(selection_group=groups), 0, settings, ["f_anogan"]))
    assert caught.value.args[0].tolist() == groups.tolist()


def scored(method: str, calibration, normal, anomalous) -> pd.DataFrame:
    """The scores of a method in one cell."""
    found = pd.DataFrame({"score": [*calibration, *normal, *anomalous], "part": "test", "is_anomaly": False})
    found.loc[: len(calibration) - 1, "part"] = "calibration"
    found.loc[len(found) - len(anomalous) :, "is_anomaly"] = True
    found = found.assign(image_id=found.index.astype(str), label=np.where(found["is_anomaly"], "2", "1"))
    return found.assign(normal_class="1", seed=0, method=method, fit_seconds=3.0, score_seconds=2.0, detail="chosen")


def test_a_row_of_the_table_by_hand():
    normal, anomalous, calibration = range(1, 21), [0.5, 10.5, 19.5, 20.5], range(19)
    (row,) = benchmark_table(scored("pca", calibration, normal, anomalous), 0.95).to_dict("records")
    assert row == pytest.approx(row | {
        **{"auroc": (0 + 10 + 19 + 20) / 80, "average_precision": (1 / 1 + 2 / 3 + 3 / 13 + 4 / 24) / 4},
        **{"prevalence": 4 / 24, "n_normal": 20, "n_anomalous": 4, "n_calibration": 19},
        **{"recall_at_1": 1 / 4, "recall_at_5": 2 / 4},  # at none and at one false alarm of 20
        **{"promised_1": 1 / 20, "promised_5": 1 / 20},  # above 18, the highest of 19
        **{"false_alarms_1": 2 / 20, "false_alarms_5": 2 / 20, "recall_1": 2 / 4, "recall_5": 2 / 4},
        **{"fit_seconds": 3, "score_seconds": 2},
    })  # fmt: skip


def test_recall_is_read_off_every_step_of_tied_scores():
    """A false alarm and a hit to each step: all of them lie on one line, of which not only the ends count."""
    (row,) = benchmark_table(scored("pca", range(19), range(100), range(100)), 0.95).to_dict("records")
    assert (row["recall_at_1"], row["recall_at_5"]) == pytest.approx((0.01, 0.05))


def test_methods_are_compared_with_f_anogan_and_its_parts_are_none():
    rng, methods = np.random.default_rng(0), ["f_anogan", "f_anogan: article", "pca", "one_class_svm"]
    leads = zip(methods, (1.5, 1.0, 0.8, 0.2), strict=True)
    scores = pd.concat(
        [scored(name, rng.normal(size=9), rng.normal(size=40), rng.normal(lead, 1, 40)) for name, lead in leads],
        ignore_index=True,
    )
    found = comparisons(scores)
    assert set(found["method"]) == {"pca", "one_class_svm"}
    assert found["p_holm"].to_numpy() == pytest.approx(holm(found["p_value"].to_numpy()))
    averaged = summary(benchmark_table(scores, 0.95), scores, 200, 0, 0.9).set_index("method")
    samples = resampled_means(scores, 200, 0)
    assert averaged["test_spread"].to_dict() == pytest.approx(samples.std(ddof=1).to_dict())
    for name in methods[1:]:
        row, differences = averaged.loc[name], samples["f_anogan"] - samples[name]
        low, high = row["difference_low"], row["difference_high"]
        assert low < row["difference"] < high
        assert [(differences < low).mean(), (differences > high).mean()] == pytest.approx([0.05, 0.05], abs=0.005)
    assert averaged["p_holm"].notna().to_dict() == {name: name in ("pca", "one_class_svm") for name in methods}
    whole = averaged.loc[["pca", "one_class_svm"]]
    assert whole["p_holm"].to_numpy() == pytest.approx(holm(whole["p_value"].to_numpy()))


def test_where_no_sample_of_the_images_differs_the_difference_is_certain():
    ours, inverted = (range(9), range(10, 19)), (range(10, 19), range(9))
    methods = {"f_anogan": ours, "pca": inverted, "one_class_svm": ours}
    scores = pd.concat([scored(name, range(9), *found) for name, found in methods.items()], ignore_index=True)
    averaged = summary(benchmark_table(scores, 0.95), scores, 20, 0, 0.95).set_index("method")
    assert averaged["difference"].to_dict() == {"f_anogan": 0, "pca": 1, "one_class_svm": 0}
    assert averaged["p_value"].to_dict() == {"f_anogan": 1, "pca": 0, "one_class_svm": 1}


@pytest.mark.parametrize(("normal", "anomalous", "rows"), [(5, 2, 1), (2, 5, 1), (5, 1, 0), (1, 5, 0)])
def test_a_cell_with_a_single_image_of_a_kind_is_not_compared(normal, anomalous, rows):
    rng, scores = np.random.default_rng(0), []
    for name in ("f_anogan", "pca"):
        scores.append(scored(name, rng.normal(size=4), rng.normal(size=normal), rng.normal(size=anomalous)))
    assert len(comparisons(pd.concat(scores, ignore_index=True))) == rows
