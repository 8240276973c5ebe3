"""Protected regions and allowed letters become masks."""

from pathlib import Path

import numpy as np
import pytest

from seqreg.errors import InputError
from seqreg.sequences import SequenceSet, editable, read_strings


@pytest.fixture
def pair() -> SequenceSet:
    return read_strings(["ACGTA", "GGTACCT"], names=["a", "b"], alphabet="dna")


def test_masks_speak_of_regions_and_letters(tmp_path: Path, pair: SequenceSet) -> None:
    (tmp_path / "p.bed").write_text("# why\nb\t1\t3\tsite\n*\t0\t1\n")
    (tmp_path / "a.tsv").write_text("id\tposition\tletters\nb\t3\tAC\nb\t7\tacg\n")
    mask = editable(pair, protect=tmp_path / "p.bed", allowed=tmp_path / "a.tsv")(np.array([1, 0]), 8)
    wanted = np.ones((2, 8, 4), dtype=bool)
    wanted[:, 0] = False
    wanted[0, 1:3] = False  # protected, whatever the table allows
    wanted[0, 6] = [True, True, True, False]
    assert np.array_equal(mask, wanted)


def test_a_table_without_ids_speaks_of_all(tmp_path: Path, pair: SequenceSet) -> None:
    (tmp_path / "a.csv").write_text("letters,position\nG,2\n")
    mask = editable(pair, allowed=tmp_path / "a.csv")(np.array([0, 1]), 7)
    assert np.array_equal(mask[:, 1], [[False, False, True, False]] * 2)
    assert mask[:, [0, 2, 3, 4, 5, 6]].all()


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("protect", "c\t0\t2\n", "record 1: sequences has no sequence 'c'"),
        ("protect", "a\t0\t6\n", "record 1: position 6 is beyond the 5 letters of a"),
        ("protect", "*\t0\t1\na\t3\t2\n", "record 2: region 3-2 is empty"),
        ("protect", "a\t0\n", "record 1: not a region"),
        ("allowed", "position\tletters\n2\tAQ\n", "record 1: 'AQ' is not a list of letters of dna"),
        ("allowed", "position\tletters\n0\tA\n", "record 1: position '0' is not a whole number"),
        ("allowed", "place\tletters\n1\tA\n", "record 1: the header needs the columns position and letters"),
        ("allowed", "id\tposition\tletters\nz\t1\tA\n", "record 1: sequences has no sequence 'z'"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, text: str, message: str, tmp_path: Path, pair: SequenceSet) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        editable(pair, **{kind: path})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "track name=x\na\t1\t3\na\t4\t5\nb\t0\t1\n",
        "id\tstart\tend\na\t2\t3\na\t5\t5\nb\t1\t1\n",
        "position,id\n2,a\n3,a\n5,a\n1,b\n",
        ">a of two\nAcg\nTa\n>b\ngGTACCT\n",
    ],
    ids=["bed", "stretches", "positions", "lower-case"],
)
def test_every_form_protects_the_same_letters(text: str, tmp_path: Path, pair: SequenceSet) -> None:
    path = tmp_path / "sites"
    path.write_text(text)
    mask = editable(pair, protect=path)(np.array([0, 1]), 7)
    assert (mask == mask[:, :, :1]).all()
    assert np.flatnonzero(~mask[0, :, 0]).tolist() == [1, 2, 4]
    assert np.flatnonzero(~mask[1, :, 0]).tolist() == [0]


@pytest.mark.parametrize("text", ["id\tname\na\tx\n", "id\tposition\na\t0\n", "id\tstart\tend\na\t\t2\n"])
def test_a_table_that_names_no_place_is_refused(text: str, tmp_path: Path, pair: SequenceSet) -> None:
    path = tmp_path / "sites"
    path.write_text(text)
    with pytest.raises(InputError, match=r"record 1: (not a region|region -1-0)"):
        editable(pair, protect=path)
