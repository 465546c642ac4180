"""Every group refuses what makes no sense, by name."""

import json

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from pydantic import ValidationError
from tests.parts import group
from tests.project import ROOT

from fanogan_pipeline.parameters import GLOBALS, GROUPS, Globals, complaint, did_you_mean, dotted, masked, plain

WRONG = [
    ("data_prep", "image_size", [8, 28]),
    ("data_prep", "image_size", [28, 512]),
    ("data_prep", "image_size", 28),
    ("data_prep", "image_size", [28.0, 28]),
    ("data_prep", "image_size", [True, 28]),
    ("data_prep", "channels", 2),
    ("data_prep", "channels", True),
    ("data_prep", "channels", 1.0),
    ("data_prep", "normal_classes", []),
    ("data_prep", "normal_classes", "1"),
    ("data_prep", "normal_classes", ["1", "1"]),
    ("data_prep", "normal_classes", [False]),
    ("data_prep", "selection_fraction", 0.0),
    ("data_prep", "selection_fraction", 0.95),
    ("data_prep", "calibration_fraction", 1.5),
    ("data_prep", "protocol", "oficial"),
    ("wgan", "steps", 0),
    ("wgan", "steps", 1.5),
    ("wgan", "steps", 1.0),
    ("wgan", "steps", True),
    ("wgan", "steps", "100"),
    ("wgan", "batch_size", -1),
    ("wgan", "batch_size", 1),
    ("wgan", "learning_rate", 0.0),
    ("wgan", "learning_rate", float("nan")),
    ("wgan", "learning_rate", 1e9),
    ("wgan", "latent_dim", 10**9),
    ("wgan", "objective", "wgan"),
    ("wgan", "learning_rate", "1e-3"),
    ("wgan", "adam_betas", [0.5, 1.0]),
    ("wgan", "adam_betas", [False, 0.9]),
    ("encoder", "kappa", -1.0),
    ("encoder", "head", None),
    ("encoder", "corruption", {"noise": 1.0, "blank": 2.0, "block": 4}),
    ("encoder", "corruption", 3),
    ("scoring", "false_alarm_rate", 0),
    ("scoring", "false_alarm_rate", 1.0),
    ("scoring", "method", "guess"),
    ("scoring", "poses", [[True, 0.1]]),
    ("benchmark", "classes", []),
    ("benchmark", "classes", "1"),
    ("benchmark", "classes", ["1", "1"]),
    ("benchmark", "seeds", []),
    ("benchmark", "seeds", [-1]),
    ("benchmark", "seeds", [1.0]),
    ("benchmark", "methods", ["f_anogan", "knn"]),
    ("benchmark", "methods", []),
    ("benchmark", "resamples", 1),
    ("reporting", "refinement_sample", 1),
    ("training", "processes", 0),
    ("training", "fresh_start", 1.0),
    ("training", "fresh_start", "yes"),
    ("training", "save_every_seconds", float("inf")),
    ("compute", "engine", "spark"),
]

# all that lie there, whatever their names; conf/local is the user's own
ENVIRONMENTS = {path.parent.name for path in (ROOT / "conf").glob("*/parameters.yml")} - {"base", "local"}


@pytest.mark.parametrize(("name", "parameter", "value"), WRONG)
def test_a_senseless_value_is_refused_in_one_line_that_names_it(name, parameter, value):
    with pytest.raises(ValidationError) as caught:
        group(name, **{parameter: value})
    line = complaint(name, caught.value)
    assert "\n" not in line
    assert line.startswith(name)
    assert parameter in line
    assert repr(value) in line or "found" in line or "'1' is listed twice" in line or "= " in line


@pytest.mark.parametrize("seed", [1.0, True, "1", None])
def test_a_seed_that_is_no_whole_number_as_it_stands_is_refused(seed):
    with pytest.raises(ValidationError) as caught:
        Globals.model_validate({"seed": seed, "device": "cpu", "precision": "float32"})
    assert complaint("", caught.value).startswith("seed: ")


def test_an_unknown_key_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ValidationError) as caught:
        group("wgan", step=3)
    assert complaint("wgan", caught.value) == "wgan: unknown parameter 'step'; did you mean 'steps'?"


def test_of_very_many_known_names_a_refusal_shows_some():
    assert did_you_mean("x", [f"part{n:04}" for n in range(1500)]).endswith("part0023 and 1,476 more")


def test_a_refusal_shows_no_password():
    with pytest.raises(ValidationError) as caught:
        GROUPS["tracking"].model_validate("https://me:secret@host")
    assert complaint("tracking", caught.value).endswith("found str ('https://***@host')")


def test_groups_have_dotted_names():
    nested = {"encoder": {"corruption": {"noise": 1.0}, "steps": 5}, "classes": ["1", "2"], "tiling": {}}
    assert dotted(nested) == {"encoder.corruption.noise": 1.0, "encoder.steps": 5, "classes": ["1", "2"], "tiling": {}}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:p/a:s@s@host:5432/db", "postgresql://***@host:5432/db"),
        ("https://token@host", "https://***@host"),
        ("found 'mysql+pymysql://me:pass@host/db', where", "found 'mysql+pymysql://***@host/db', where"),
        ("postgresql://host/db?user=me&password=a%40b&ssl=1", "postgresql://host/db?user=me&password=***&ssl=1"),
        ("found 'https://host/?access_token=abc'", "found 'https://host/?access_token=***'"),
        ("tcp://host:8786", "tcp://host:8786"),
        ("https://host/?page=3&mode=fast", "https://host/?page=3&mode=fast"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_who_may_enter_an_address_is_told_nobody(text, shown):
    assert masked({"group": {"names": [text, 3, None]}}) == {"group": {"names": [shown, 3, None]}}


def test_groups_are_read_back_from_json():
    for name, model in GROUPS.items():
        found = group(name)
        assert model.model_validate(json.loads(json.dumps(plain({name: found})[name]))) == found


def test_every_parameter_group_and_global_goes_into_a_pipeline():
    configure_project("fanogan_pipeline")
    used = {name.split(".")[0] for pipeline in pipelines.values() for name in pipeline.inputs()}
    of_hooks = {"tracking"}
    assert used >= {f"params:{name}" for name in (*GROUPS, *GLOBALS) if name not in of_hooks}


@pytest.mark.parametrize("env", sorted(ENVIRONMENTS))
def test_every_environment_holds_known_parameters_within_their_ranges(env):
    found = yaml.safe_load((ROOT / f"conf/{env}/parameters.yml").read_text())
    for name, values in found.items():
        if name in GROUPS:
            group(name, env)
        else:
            assert name in GLOBALS, (name, values)


def test_base_gives_every_parameter_with_words_on_its_line():
    lines = [line for path in (ROOT / "conf/base").glob("parameters*.yml") for line in path.read_text().splitlines()]
    for name, model in GROUPS.items():
        group(name)
        for field in model.model_fields:
            mine = [line for line in lines if line.strip().startswith(f"{field}:")]
            assert mine, f"{name}.{field} is not in conf/base"
            assert all("#" in line for line in mine), f"{name}.{field} has no words on its line"
