"""`stripwatch-train` without its extra, its version, and outputs that would end in the data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stripwatch._version import __version__
from stripwatch.errors import ExitCode
from stripwatch_train.cli.main import main

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "lightning", "matplotlib", "timm"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from stripwatch_train.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "module"),
    [
        (("fit", "unet", "--data", "DATA", "-o", "OUT"), "lightning"),
        (("explore", "DATA", "-o", "OUT"), "matplotlib"),
        (("evaluate", "MODEL", "--data", "DATA", "-o", "OUT"), "matplotlib"),
        (("export", "DATA"), "torch"),
        (("tune", "RUN"), "torch"),
    ],
)
def test_a_command_without_the_extra_names_it(
    tmp_path: Path, small_data: Path, words: tuple[str, ...], module: str
) -> None:
    """And leaves nothing behind."""
    places = {"DATA": small_data, "OUT": tmp_path / "out", "RUN": tmp_path, "MODEL": small_data}
    command = [str(places.get(word, word)) for word in words]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *command], check=False, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == ExitCode.CONFIG
    if words[0] not in {"tune", "export"}:  # these may find out first that there is no run
        assert f"{module} is not installed" in done.stderr
        assert "pip install '.[train]'" in done.stderr
        assert not (tmp_path / "out").exists()


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"stripwatch-train {__version__}\n"


@pytest.mark.parametrize("command", ["explore", "convert"])
@pytest.mark.parametrize("inside", [".", "report", "images/deep"])
def test_no_output_ends_in_the_data(
    small_data: Path, tmp_path: Path, command: str, inside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_data, data)
    before = sorted(data.rglob("*"))
    assert main([command, str(data), "-o", str(data / inside)]) == ExitCode.CONFIG
    assert "lies inside the data" in capsys.readouterr().err
    assert sorted(data.rglob("*")) == before


def test_tables_are_printed_as_json_too(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipes", "--json"]) == ExitCode.OK
    assert "unet" in {entry["recipe"] for entry in json.loads(capsys.readouterr().out)}
    folds = ["folds", str(small_data), "--folds", "2", "-o", str(tmp_path / "folds.json")]
    assert main([*folds, "--json"]) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out)["folds"]
    assert [row["fold"] for row in rows] == [0, 1, "all"]
    assert rows[2]["frames"] == 20
    assert main(["recipes"]) == ExitCode.OK
    assert "fit clean" in capsys.readouterr().out
    assert main(["recipes", "edge"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["members"][0]["activation"] == "softmax"


def test_a_model_that_does_not_exist_is_said_not_to_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("evaluate", "tune"):
        assert main([command, str(tmp_path / "nothere")]) == ExitCode.CONFIG
        assert "nothere does not exist" in capsys.readouterr().err
