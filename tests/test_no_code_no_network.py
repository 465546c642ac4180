"""Nothing loads code, and no run speaks to anyone."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
from tests.in_process import copy_of, run_here
from tests.project import ROOT, copy_project

FORBIDDEN = re.compile(
    r"\b(import pickle|from pickle|import (cloudpickle|dill|joblib|marshal|shelve)"
    r"|(?<!safetensors\.)torch\.(load|save|hub)\b"
    r"|allow_pickle=True|read_pickle|to_pickle|jit\.load|(?<![.\w])(eval|exec|compile)\(|os\.system|shell=True"
    r"|yaml\.(unsafe_)?load\(|import (requests|urllib|httpx|ftplib|telnetlib)\b|from (urllib|requests)\b)"
)
# Looking for whether a kind of socket exists binds one; nothing leaves the machine by that.
SPEAKING = ("connect", "connect_ex", "sendto", "sendmsg")


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.name)
def test_the_source_knows_no_way_to_load_code(path):
    found = [line for line in path.read_text().splitlines() if FORBIDDEN.search(line.split("#")[0])]
    assert found == []


def test_the_search_finds_what_it_should():
    for line in ("torch.load(x)", "np.load(f, allow_pickle=True)", "import pickle", "eval(text)", "pd.read_pickle(x)"):
        assert FORBIDDEN.search(line)
    for line in ("network.eval()", "re.compile(x)", "torch.compile(x)", "safetensors.torch.load(x)"):
        assert not FORBIDDEN.search(line)


def test_no_pipeline_opens_a_connection(smoke_project, tmp_path, monkeypatch):
    tried = []

    def refuse(*arguments: object, **options: object) -> None:
        if getattr(arguments[0], "family", None) != socket.AF_UNIX:
            tried.append(arguments)
            raise OSError("no network here")

    for name in SPEAKING:
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(OSError, match="no network here"):
        socket.create_connection(("localhost", 1))
    tried.clear()
    project = copy_of(smoke_project, tmp_path / "project")
    small = "wgan.steps=1,encoder.steps=1,data_prep.max_train=40,data_prep.max_test=30"
    outcome = run_here(project, "--env", "smoke", "--params", small)
    assert outcome.status == 0, outcome.line
    assert tried == []


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
