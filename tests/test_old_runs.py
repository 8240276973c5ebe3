"""Run folders of earlier versions are read, predict and explain as the version that wrote them did.

`tests/runs/NAME/run` is a folder as it was written (without its report); beside it lie new sequences, and what that
version predicted and explained of them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import pandas as pd
import pytest

RUNS = sorted(path for path in (Path(__file__).parent / "runs").iterdir())
EXPLAINED = [path for path in RUNS if (path / "attributions.npz").exists()]
Call = Callable[..., CompletedProcess[str]]


def test_format_1_is_among_them() -> None:
    assert {json.loads((path / "run" / "model.json").read_text()).get("format") for path in RUNS} >= {1}
    assert len(EXPLAINED) >= 2


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_predictions_are_what_they_were(path: Path, tmp_path: Path, call: Call) -> None:
    done = call("predict", path / "run", path / "new.csv", "-o", tmp_path / "found.tsv")
    assert done.returncode == 0, done.stderr
    found, expected = (
        pd.read_csv(table, sep="\t", index_col="id") for table in (tmp_path / "found.tsv", path / "predictions.tsv")
    )
    assert list(found.index) == list(expected.index)
    assert list(found["prediction"]) == list(expected["prediction"])
    scores = [name for name in expected if name.startswith("p_")]
    assert len(scores) > 1
    np.testing.assert_allclose(found[scores], expected[scores], atol=1e-6)


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: path.name)
def test_explanations_are_what_they_were(path: Path, tmp_path: Path, call: Call) -> None:
    done = call("explain", path / "run", path / "new.csv", "-o", tmp_path / "found", "--sequences", "0")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "found" / "attributions.h5") as found, np.load(path / "attributions.npz") as expected:
        for name in expected.files:
            np.testing.assert_allclose(found[name][()], expected[name], atol=1e-6, err_msg=name)
