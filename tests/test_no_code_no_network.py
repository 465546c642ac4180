"""Nothing loads code, and no run speaks to anyone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest
from PIL import Image
from tests.code_search import forbidden
from tests.cut_off import SPEAKING, cut_off
from tests.in_process import copy_of, run_here
from tests.parts import ones
from tests.project import ROOT, copy_project

SOURCE = ROOT / "src/fanogan_pipeline"
LOADING = """\
import pickle
import json, pickle
import cloudpickle as p
from pickle import *
from dill import loads
from joblib import load
import joblib as j; j.load(f)
from joblib import numpy_pickle
from joblib.numpy_pickle import load
from joblib import Memory
from marshal import loads
from shelve import open
def late(): import dill
import_module("pickle")
torch.load(f)
import torch as t; t.save(x, f)
from torch import load
from torch import hub
from torch import jit; jit.load(f)
pd.read_pickle(f)
from pandas import read_pickle
found().to_pickle(f)
np.load(f, allow_pickle=True)
np.load(f, allow_pickle = True)
np.load(f, allow_pickle=not safe)
eval(text)
exec(text)
yaml.load(f)
from yaml import unsafe_load
import yaml as y; y.load(f)
os.system(text)
run(text, shell=True)
import socket
import http.client
from http import client
import urllib.request
from urllib import request
import os, requests
"""
HARMLESS = """\
network.eval()
re.compile(text)
torch.compile(network)
self.load(f)
json.load(f)
yaml.safe_load(f)
safetensors.torch.load(x)
from safetensors import torch; torch.load(x)
import safetensors.torch as t; t.save(x)
np.load(f, allow_pickle=False)
import joblib; joblib.cpu_count()
run(words, shell=False)
from .http import page
"import pickle"
# eval(text)
"""


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_source_knows_no_way_to_load_code(path):
    assert forbidden(path.read_text()) == []


@pytest.mark.parametrize("line", LOADING.splitlines())
def test_the_search_finds_what_it_should(line):
    assert forbidden(line)


@pytest.mark.parametrize("line", HARMLESS.splitlines())
def test_the_search_leaves_what_is_harmless(line):
    assert not forbidden(line)


@pytest.mark.parametrize("pipeline", ["__default__", "inference"])
def test_a_pipeline_opens_no_connection(pipeline, smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "data/01_raw/new_images").mkdir()
    Image.fromarray(ones(1)[0, 0].numpy()).save(project / "data/01_raw/new_images/one.png")
    small = "wgan.steps=1,encoder.steps=1,data_prep.max_train=40,data_prep.max_test=30"
    with cut_off() as tried:
        outcome = run_here(project, "--env", "smoke", "--pipelines", pipeline, "--params", small)
    assert outcome.status == 0, outcome.line
    assert tried == []


def test_what_is_cut_off_speaks_to_nobody_and_is_seen_to_try():
    with cut_off() as tried, pytest.raises(OSError, match="no network here"):
        socket.create_connection(("localhost", 1))
    assert len(tried) == 1


CUT_OFF = f"""
import socket, sys
def refuse(self, *arguments):
    if self.family != socket.AF_UNIX:
        print("TRIED", arguments, flush=True)
        raise OSError("no network here")
for name in {SPEAKING}:
    setattr(socket.socket, name, refuse)
def look_up(*arguments, **options):
    print("TRIED", arguments, flush=True)
    raise OSError("no network here")
socket.getaddrinfo = socket.create_connection = look_up
from kedro.framework.cli import main
sys.argv = ["kedro", "run", "--params", "wgan.step=3"]
main()
"""


def test_the_real_command_says_one_line_and_tells_nobody(tmp_path):
    """All plugins of the command included; the traceback goes to the log."""
    project = copy_project(tmp_path / "project")
    shutil.copy(ROOT / ".telemetry", project)
    asked = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")  # the project keeps quiet without being asked to
    kept = {name: value for name, value in os.environ.items() if name not in asked}
    environment = {**kept, "PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    command = [sys.executable, "-c", CUT_OFF]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: wgan: unknown parameter 'step'; did you mean 'steps'?"
    assert "TRIED" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "Traceback" in (project / "info.log").read_text()
