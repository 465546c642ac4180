"""What README and docs say exists: files, headings, commands, parameters, datasets."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest
import yaml
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.project import configure_project, pipelines
from tests.project import ROOT
from tests.test_contract import configuration

from fanogan_pipeline import datasets
from fanogan_pipeline.parameters import GLOBALS, GROUPS

PAGES = sorted([ROOT / "README.md", ROOT / "conf/local/README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([\w/]+\.py)(?:: ([\w.]+))?`")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Page name and content of every block of a language ("" where none is named)."""
    return [(p.name, text) for p in PAGES for kind, text in BLOCK.findall(p.read_text()) if kind == language]


def commands() -> list[tuple[str, str]]:
    """Page name and each line of a block without a language that starts with make or kedro, less its comment."""
    lines = [(page, line.split("  #")[0].strip()) for page, text in blocks("") for line in text.splitlines()]
    return [(page, line) for page, line in lines if line.startswith(("make ", "kedro "))]


@cache
def headings(page: Path) -> set[str]:
    """The anchors that a page offers."""
    names = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in headings(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_that_is_named_exists(page):
    folders = (ROOT, ROOT / "src/fanogan_pipeline", ROOT / "src/fanogan_pipeline/training")
    for place, name in CODE.findall(page.read_text()):
        files = [folder / place for folder in folders if (folder / place).is_file()]
        assert files, f"{page.name}: {place}"
        names = {node.name for node in ast.walk(ast.parse(files[0].read_text())) if hasattr(node, "name")}
        names |= set(re.findall(r"^(?: {4})?(\w+)(?:: [^=\n]+)?(?: = |: |$)", files[0].read_text(), re.MULTILINE))
        assert not name or set(name.split(".")) <= names, f"{page.name}: {place}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_extra_that_is_named_exists(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"fanogan_pipeline\[(\w+)\]", page.read_text())) <= set(extras)


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_blocks_name_parameters_and_datasets_that_exist(page, text):
    known = configuration("catalog")
    for name, entry in yaml.safe_load(text).items():
        if isinstance(entry, dict) and "type" in entry:
            assert name in known, f"{page}: dataset {name}"
            assert hasattr(datasets, entry["type"].removeprefix("fanogan_pipeline.datasets.")), (
                f"{page}: {entry['type']}"
            )
        elif name in GROUPS:
            assert set(entry) <= set(GROUPS[name].model_fields), f"{page}: {name}"
        else:
            assert name in GLOBALS, f"{page}: {name}"


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_names_what_exists(page, line):
    configure_project("fanogan_pipeline")
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{page}: {line}"
        return
    for option, value in itertools.pairwise(words):
        if option in ("--pipelines", "--pipeline"):
            assert set(value.split(",")) <= set(pipelines), f"{page}: {line}"
        if option in ("--nodes", "--from-nodes", "--to-nodes"):
            assert set(value.split(",")) <= {node.name for node in pipelines["__default__"].nodes}, f"{page}: {line}"
        if option == "--load-versions":
            assert {pair.split(":")[0] for pair in value.split(",")} <= set(configuration("catalog")), f"{page}: {line}"
        if option == "--env":
            assert (ROOT / "conf" / value).is_dir(), f"{page}: {line}"
        if option == "--params":
            for name in re.findall(r"([a-z_.]+)=", value):
                group, _, parameter = name.partition(".")
                assert group in GLOBALS or parameter.split(".")[0] in GROUPS[group].model_fields, f"{page}: {line}"


def in_messages() -> list[tuple[str, str]]:
    """Module and every command of Kedro's that one of its texts names."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        texts = [one.value for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Constant)]
        lines = [line for text in texts if isinstance(text, str) for line in re.findall(r"\bkedro [^'`\n;]+", text)]
        found += [(path.name, line) for line in lines]
    return found


def test_every_command_is_one_of_kedros():
    known = KedroCLI(ROOT)
    told = in_messages()
    assert len(told) > 5
    for page, line in [*((page, line) for page, line in commands() if line.startswith("kedro ")), *told]:
        words = line.split()[1:]
        command = known
        while isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words[0])
            assert command, f"{page}: {line}"
            words = words[1:]
        if command.name == "run":
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word.split("=")[0] for word in words if word.startswith("--")} <= options, f"{page}: {line}"


def test_python_blocks_and_scripts_compile():
    scripts = [(path.name, path.read_text()) for path in (ROOT / "docs").glob("*.py")]
    assert scripts
    for page, text in [*blocks("python"), *scripts]:
        compile(text, page, "exec")


def test_the_table_of_parameters_gives_the_defaults():
    rows = re.findall(r"^\| (`[a-z_]+\..+?`(?:, `.+?`)*) \| (.+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) >= 6
    parameters = configuration("parameters")
    for names, defaults in rows:
        paths = re.findall(r"`([^`]+)`", names)
        values = [yaml.safe_load(text.strip("` ")) for text in re.split(r", (?![^\[]*\])", defaults)]
        parent = paths[0].rsplit(".", 1)[0]
        for path, value in zip(paths, values, strict=True):
            found = parameters
            for part in (path if "." in path else f"{parent}.{path}").split("."):
                found = found[part]
            assert found == value, f"{path}: README says {value}, conf/base {found}"
