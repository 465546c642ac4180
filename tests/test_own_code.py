"""The sum of the package's code: of the parts asked for, of what this process loads, and of nothing but modules."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanogan_pipeline import own_code
from fanogan_pipeline.errors import InputError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package that is taken for the one that runs, before anybody has asked for its sum."""
    folder = tmp_path / "fanogan_pipeline"
    shutil.copytree(Path(own_code.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(own_code, "__file__", str(folder / "own_code.py"))
    own_code._sums_as_loaded.cache_clear()
    yield folder
    own_code._sums_as_loaded.cache_clear()


def edit(module: Path) -> None:
    module.write_text(f"{module.read_text()}# and more\n")


def test_it_is_that_of_the_code_as_this_process_has_loaded_it(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = own_code.code_digest()
    assert own_code.code_that_ran() == before
    edit(package / "figures/style.py")
    assert own_code.code_digest() == before
    assert own_code.code_that_ran() is None
    assert "the code has been edited since" in caplog.text


def test_an_edit_changes_the_sum_of_its_own_package_alone(package: Path) -> None:
    whole, networks = own_code.code_digest(), own_code.code_digest("networks", "training")
    edit(package / "figures/style.py")
    own_code._sums_as_loaded.cache_clear()
    assert own_code.code_digest() != whole
    assert own_code.code_digest("networks", "training") == networks
    edit(package / "training/loop.py")
    own_code._sums_as_loaded.cache_clear()
    assert own_code.code_digest("networks", "training") != networks


def test_what_editors_and_notebooks_keep_beside_modules_does_not_count(package: Path) -> None:
    before = own_code.code_digest()
    (package / "training/.#loop.py").symlink_to("somebody@somewhere.1234")  # the mark of a file under edit
    (package / "training/.ipynb_checkpoints").mkdir()
    (package / "training/.ipynb_checkpoints/loop-checkpoint.py").write_text("")
    assert own_code.code_that_ran() == before
    own_code._sums_as_loaded.cache_clear()
    assert own_code.code_digest() == before


def test_a_process_of_other_code_is_refused(package: Path) -> None:
    asked_by = own_code.code_digest("networks")
    own_code.expect_code(asked_by, "networks")
    edit(package / "networks/critic.py")
    own_code._sums_as_loaded.cache_clear()
    with pytest.raises(InputError, match=r"other code .* start the workers again"):
        own_code.expect_code(asked_by, "networks")
