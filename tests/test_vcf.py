"""VCF: each allele is the edit that it makes of the genome, whatever sequences, windows and strands it is scored in."""

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from Bio.Seq import reverse_complement
from hypothesis import given
from hypothesis import strategies as st

from seqreg.alphabet import DNA
from seqreg.attacks import apply_edits, read_edits
from seqreg.errors import InputError
from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.records import read_tsv
from seqreg.sequences.vcf import Allele, in_regions, in_windows, is_vcf, read_vcf
from seqreg.targets import Classes

Call = Callable[..., CompletedProcess[str]]
HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n"
CHROMOSOME = "".join(np.random.default_rng(0).choice(list("ACGT"), size=60))


def allele(position: int, reference: str, alternative: str) -> Allele:
    about = {"file": "x.vcf", "line": 3, "chrom": "c", "position": position}
    return Allele(**about, reference=reference, alternative=alternative)


def edited(sequence: str, text: str) -> str:
    codes = DNA.encode(sequence)
    return DNA.decode(apply_edits(codes, read_edits(text, DNA, codes), DNA))


@given(st.integers(0, 50), st.integers(1, 6), st.text("ACGT", min_size=1, max_size=6), st.data())
def test_alleles_are_the_edits_that_they_make(at: int, size: int, new: str, data: st.DataObject) -> None:
    old = CHROMOSOME[at : at + size]
    if new == old:
        return
    whole = CHROMOSOME[:at] + new + CHROMOSOME[at + size :]
    start = data.draw(st.integers(0, at))
    end = data.draw(st.integers(at + size, len(CHROMOSOME)))
    window = CHROMOSOME[start:at] + new + CHROMOSOME[at + size : end]
    names = ["c", f"c:{start}-{end}(+)", f"c:{start}-{end}(-)#2", "d", f"d:{start}-{end}", f"c:{at + 1}-{end}"]
    remarks: Counter[str] = Counter()
    found = {one.id: one for one in in_regions([allele(at, old, new)], names, remarks)}
    assert list(found) == names[:3]
    assert not +remarks
    assert edited(CHROMOSOME, found["c"].text) == whole
    assert edited(CHROMOSOME[start:end], found[names[1]].text) == window
    assert edited(reverse_complement(CHROMOSOME[start:end]), found[names[2]].text) == reverse_complement(window)
    for one, sequence in zip(found.values(), (CHROMOSOME, CHROMOSOME[start:end]), strict=False):
        assert one.reference is not None
        place, letters = one.reference
        assert sequence[place : place + size] == letters
        assert one.named == f"c:{at + 1}:{old}>{new}"


def test_lines_are_alleles(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    lines = "c\t5\trs1\ta\tG,T\t.\nc\t7\t.\tAC\tA\t.\nc\t9\t.\tA\t<DEL>,*\t.\nc\t9\t.\tA\t.\t.\n\n"
    path.write_bytes(gzip.compress((HEAD + lines).encode()))
    remarks: Counter[str] = Counter()
    assert is_vcf(path)
    found = read_vcf(path, remarks)
    assert [str(one) for one in found] == ["c:5:A>G", "c:5:A>T", "c:7:AC>A"]
    assert [one.line for one in found] == [3, 3, 4]
    assert list(remarks.values()) == [2]
    assert in_regions(found, ["d"], remarks) == []
    assert remarks["variants in none of the sequences, not scored"] == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("c 5 . A G", "line 3: not a line of VCF"),
        ("c\t0\t.\tA\tG", "line 3: not a line of VCF"),
        ("c\t5\t.\tR\tG", "line 3: REF 'R' is not written in"),
        ("c\t5\t.\tA\t.", "x.vcf: no variants"),
        ("chr9\t5\t.\tA\tG", "line 3: .*g.fa has no sequence 'chr9'"),
        ("c\t60\t.\tAC\tA", "line 3: c:60:AC>A is beyond the 60 letters of c"),
        (f"c\t1\t.\t{CHROMOSOME[:30]}\tA", "line 3: .* is longer than a window of 20 letters"),
    ],
)
def test_what_is_no_variant_of_the_genome_is_refused(line: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x.vcf").write_text(f"{HEAD}{line}\n")
    (tmp_path / "g.fa").write_text(f">c\n{CHROMOSOME}\n")
    with pytest.raises(InputError, match=problem):
        in_windows(tmp_path / "w.bed", read_vcf(tmp_path / "x.vcf", Counter()), tmp_path / "g.fa", 20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    about = Architecture(
        model="cnn:filters=3,width=4",
        encoding="one-hot",
        alphabet="dna",
        target=Classes(names=("x", "y"), asked_for="y"),
        length=20,
        shortest=20,
        reverse_complement=False,
    )
    TrainedNetwork(architecture=about, module=about.build().eval()).save(tmp_path / "run")
    (tmp_path / "g.fa").write_text(f">c\n{CHROMOSOME}\n")
    other = "A" if CHROMOSOME[30] != "A" else "C"
    (tmp_path / "x.vcf").write_text(f"{HEAD}c\t31\t.\t{CHROMOSOME[30]}\t{other}\nc\t3\t.\t{CHROMOSOME[2:5]}\tA\n")
    return tmp_path


def test_a_genome_a_region_and_a_sequence_give_the_same_scores(folder: Path, call: Call) -> None:
    done = call("predict", "run", "--genome", "g.fa", "--variants", "x.vcf", "-o", "windows.tsv")
    assert done.returncode == 0, done.stderr
    rows = read_tsv("windows.tsv")
    other = "A" if CHROMOSOME[30] != "A" else "C"
    assert [row["id"] for row in rows] == ["c:21-41", "c:0-20"]
    assert [row["variant"] for row in rows] == [f"c:31:{CHROMOSOME[30]}>{other}", f"c:3:{CHROMOSOME[2:5]}>A"]
    (folder / "r.bed").write_text("c\t21\t41\n")
    done = call("predict", "run", "--bed", "r.bed", "--genome", "g.fa", "--variants", "x.vcf", "-o", "regions.tsv")
    assert "Warning: variants in none of the sequences, not scored: 1" in done.stderr
    assert read_tsv("regions.tsv") == rows[:1]
    (folder / "s.fa").write_text(f">c:21-41\n{CHROMOSOME[21:41]}\n")
    (folder / "list.tsv").write_text(f"c:21-41\t10{CHROMOSOME[30]}>{other}\n")
    assert call("predict", "run", "s.fa", "--variants", "list.tsv", "-o", "listed.tsv").returncode == 0
    (listed,) = read_tsv("listed.tsv")
    assert {**listed, "variant": rows[0]["variant"]} == rows[0]


def test_other_letters_than_the_reference_are_refused(folder: Path, call: Call) -> None:
    wrong = "AC" if CHROMOSOME[30:32] != "AC" else "GT"
    (folder / "x.vcf").write_text(f"{HEAD}c\t31\t.\t{wrong}\t{wrong[0]}\n")
    done = call("predict", "run", "--genome", "g.fa", "--variants", "x.vcf")
    assert done.returncode == 2
    assert f"x.vcf, line 3, record c:21-41: the reference is {wrong} there, the sequence has" in done.stderr
    (folder / "s.fa").write_text(">d\nACGTACGTACGTACGTACGT\n")
    done = call("predict", "run", "s.fa", "--variants", "x.vcf")
    assert (done.returncode, done.stdout) == (2, "")
    assert "x.vcf, line 3: no variant lies in the sequences of s.fa" in done.stderr
