"""Every kind of bad input, with what is said about it; all end with exit code 2, one line, and nothing written."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import pytest

from seqreg.targets import Classes
from tests.untrained import untrained

Call = Callable[..., CompletedProcess[str]]

FASTA = ">a label=x\nACGTACGT\n>b label=y\nACGTTCGT\n>c label=x\nACGGACGT\n>d label=y\nACTTTCGT\n"
TABLE = "id,sequence,label\na,ACGTACGT,x\nb,ACGTTCGT,y\nc,ACGGACGT,x\nd,ACTTTCGT,y\n"


@dataclass(frozen=True)
class Bad:
    """A command line in a folder with some files, and the beginning of the answer after `Error: `."""

    words: str
    message: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    code: int = 2


SEQUENCES = {
    "no input": Bad("encode -o out", "Give one input, as a path, a data set, --class, --pos/--neg, --fasta or --bed"),
    "two inputs": Bad("encode in.fa --pos in.fa -o out", "Give one input", {"in.fa": FASTA}),
    "no such file": Bad("encode missing.fa -o out", "missing.fa: no such file"),
    "a folder": Bad("encode folder/ -o out", "folder/: is a folder", {"folder/x": ""}),
    "unknown data set": Bad("encode splise -o out", "Unknown data set 'splise'. Did you mean 'splice'? Choose from: "),
    "empty file": Bad("encode in.fa -o out", "in.fa: the file is empty", {"in.fa": ""}),
    "truncated gzip": Bad(
        "encode in.fa.gz -o out",
        "in.fa.gz: truncated or damaged gzip",
        {"in.fa.gz": gzip.compress(FASTA.encode())[:-12]},
    ),
    "binary junk": Bad("encode in.fa -o out", "in.fa: binary data, not text", {"in.fa": bytes(range(256))}),
    "not UTF-8": Bad(
        "encode in.csv -o out", "in.csv, line 6: not UTF-8", {"in.csv": TABLE.encode() + b"e,ACGT\xff,x\n"}
    ),
    "a zip archive": Bad("encode in.zip -o out", "in.zip: a damaged workbook", {"in.zip": b"PK\x03\x04 rest"}),
    "FASTQ": Bad("encode in.fq -o out", "in.fq: FASTQ is not read", {"in.fq": "@a\nACGT\n+\nIIII\n"}),
    "unknown letter": Bad(
        "encode in.fa --alphabet dna -o out", "in.fa, record 5 (e): ", {"in.fa": FASTA + ">e label=x\nACGTQ\n"}
    ),
    "a gap": Bad("encode in.fa -o out", "in.fa, record 5 (e): ", {"in.fa": FASTA + ">e label=x\nACG-T\n"}),
    "empty sequence": Bad(
        "encode in.fa -o out", "in.fa, record 5 (e): the sequence is empty", {"in.fa": FASTA + ">e label=x\n"}
    ),
    "record without an id": Bad(
        "encode in.fa -o out", "in.fa, record 5: the record has no id", {"in.fa": FASTA + ">\nAC\n"}
    ),
    "duplicate id": Bad(
        "encode in.fa -o out", "in.fa, record 5 (a): duplicate id 'a'", {"in.fa": FASTA + ">a label=x\nACGT\n"}
    ),
    "nothing but comments": Bad(
        "encode in.fa -o out", "in.fa: no sequences: a table has a header line", {"in.fa": "#a\nACGT\n"}
    ),
    "no column of sequences": Bad(
        "encode in.csv -o out", "in.csv: no column 'sequence'", {"in.csv": "id,seq\na,ACGT\n"}
    ),
    "a row too short": Bad(
        "encode in.csv -o out", "in.csv, record 5: the row has 2 fields, the header 3", {"in.csv": TABLE + "e,ACGT\n"}
    ),
    "a weight that is no number": Bad(
        "encode in.csv -o out",
        "in.csv, record 1 (a): weight 'heavy'",
        {"in.csv": "id,sequence,label,weight\na,ACGT,x,heavy\n"},
    ),
    "unknown split": Bad(
        "encode in.fa -o out", "in.fa, record 1 (a): unknown split 'tset'", {"in.fa": ">a label=x split=tset\nACGT\n"}
    ),
    "table without FASTA": Bad("encode --labels y.tsv -o out", "A table of labels belongs to a FASTA file"),
    "label for an unknown id": Bad(
        "encode --fasta in.fa --labels y.csv -o out",
        "y.csv, record 5 (q): a label for an unknown id",
        {"in.fa": FASTA, "y.csv": "id,label\na,x\nb,y\nc,x\nd,y\nq,x\n"},
    ),
    "HDF5 from another program": Bad("encode in.h5 -o out", "in.h5: an HDF5 file of another program"),
    "damaged HDF5": Bad("encode in.h5 -o out", "in.h5: the store is damaged", {"in.h5": b"\x89HDF\r\n\x1a\n junk"}),
    "BED without genome": Bad("encode --bed r.bed -o out", "Regions need both: --bed regions.bed --genome genome.fa"),
    "unknown chromosome": Bad(
        "encode --bed r.bed --genome g.fa -o out",
        "r.bed, record 1 (chr2:0-4): g.fa has no sequence 'chr2'",
        {"r.bed": "chr2\t0\t4\tx\n", "g.fa": ">chr1\nACGTACGT\n"},
    ),
    "unknown alphabet": Bad(
        "encode in.fa --alphabet protien -o out",
        "Unknown alphabet 'protien'. Did you mean 'protein'?",
        {"in.fa": FASTA},
    ),
    "longer than allowed": Bad(
        "encode in.fa --max-length 6 -o out", "in.fa, record 1 (a): 8 letters, above --max-length 6", {"in.fa": FASTA}
    ),
    "class without a file": Bad("encode --class x -o out", "--class takes NAME=FILE"),
    "unwritable output": Bad("encode in.fa -o in.fa/out", "cannot write in.fa/out", {"in.fa": FASTA}),
    "no output": Bad("encode in.fa", "Missing option '--output' / '-o'", {"in.fa": FASTA}),
    "a number that is none": Bad("split in.fa -o out --seed one", "Invalid value for '--seed'", {"in.fa": FASTA}),
    "a share above 1": Bad("split in.fa -o out --test 1.5", "test must be a fraction", {"in.fa": FASTA}),
    "more folds than sequences": Bad(
        "split in.fa -o out --folds 9", "folds must be at least 2 and at most", {"in.fa": FASTA}
    ),
    "groups that are not there": Bad(
        "split in.fa -o out --by group", "A split by group needs groups", {"in.fa": FASTA}
    ),
    "positive class unknown": Bad(
        "encode in.fa --positive z -o out", "Unknown class 'z'. Choose from: x, y", {"in.fa": FASTA}
    ),
}


TRAINING = {
    "unlabelled sequence": Bad(
        "train in.fa -o out", "in.fa, record 5 (e): a sequence without a label", {"in.fa": FASTA + ">e\nACGT\n"}
    ),
    "one class": Bad("train in.fa -o out", "in.fa: only one class, 'x'", {"in.fa": FASTA.replace("=y", "=x")}),
    "one sequence per class": Bad(
        "train in.fa -o out", "in.fa: one sequence per class", {"in.fa": ">a label=x\nACGT\n>b label=y\nACGG\n"}
    ),
    "every sequence shorter than the filter": Bad(
        "train in.fa -o out --model cnn:width=20",
        "in.fa: every sequence is shorter than the filter: the longest has 8 letters, the filter 20",
        {"in.fa": FASTA},
    ),
    "unknown penalty": Bad(
        "train in.fa -o out --penalty adverserial",
        "Unknown penalty 'adverserial'. Did you mean 'adversarial'? Choose from: ",
        {"in.fa": FASTA},
    ),
    "unknown field": Bad(
        "train in.fa -o out --constraint spectral-norm:radios=1",
        "constraint 'spectral-norm' has no field 'radios'. Its fields: ",
        {"in.fa": FASTA},
    ),
    "a field of a wrong type": Bad(
        "train in.fa -o out --model cnn:filters=many",
        "model 'cnn': filters must be a whole number; got 'many'",
        {"in.fa": FASTA},
    ),
    "a field out of range": Bad(
        "train in.fa -o out --model cnn:width=0", "CNN: width must be at least 1; got 0", {"in.fa": FASTA}
    ),
    "an option out of range": Bad(
        "train in.fa -o out --epochs 0", "--epochs must be at least 1; got 0", {"in.fa": FASTA}
    ),
    "a share below nothing": Bad(
        "train in.fa -o out --test -0.1", "--test must be at least 0; got -0.1", {"in.fa": FASTA}
    ),
    "a share of everything": Bad("train in.fa -o out --valid 1", "--valid must be below 1; got 1", {"in.fa": FASTA}),
    "both strands of proteins": Bad(
        "train in.fa -o out --alphabet protein --reverse-complement",
        "--reverse-complement needs dna or rna",
        {"in.fa": FASTA},
    ),
    "unknown baseline": Bad(
        "baseline in.fa -o out --model kmer-svmm",
        "Unknown baseline 'kmer-svmm'. Did you mean 'kmer-svm'?",
        {"in.fa": FASTA},
    ),
    "an existing run": Bad(
        "train in.fa -o out", "out already holds a run", {"in.fa": FASTA, "out/config.json": '{"tune": {}}'}
    ),
    "files of somebody else's": Bad(
        "train in.fa -o out --overwrite",
        "out holds what a run would replace and seqreg did not write: metrics.json, checkpoint. Move it away",
        {"in.fa": FASTA, "out/metrics.json": "mine", "out/checkpoint/mine": ""},
    ),
    "a file where the folder should be": Bad("train in.fa -o out", "out is a file", {"in.fa": FASTA, "out": ""}),
    "unknown device": Bad("train in.fa -o out --device tpu", "", {"in.fa": FASTA}),
    "unknown option": Bad("train in.fa -o out --epoch 3", "No such option", {"in.fa": FASTA}),
    "unknown key of a config file": Bad(
        "train in.fa -o out --config c.toml",
        "c.toml: Unknown key 'epoch'. Did you mean 'epochs'?",
        {"in.fa": FASTA, "c.toml": "epoch = 3\n"},
    ),
}

USING = {
    "not a model": Bad(
        "predict folder in.fa -o out", "folder is not a seqreg model: it has no model.json", {"folder/x": ""}
    ),
    "no such run": Bad("evaluate nowhere in.fa -o out", "nowhere is not a seqreg model: it has no model.json"),
    "no description": Bad("predict run in.fa -o out", "run/model.json has format None", {"run/model.json": "{}"}),
    "a description cut short": Bad(
        "predict run in.fa -o out", "run/model.json is not a model description", {"run/model.json": '{"kind": '}
    ),
    "damaged weights": Bad(
        "predict run in.fa -o out", "run/model.safetensors is damaged", {"run/model.safetensors": b"\x08" + bytes(20)}
    ),
    "weights of another network": Bad(
        "predict run in.fa -o out", "run/model.safetensors is damaged or belongs to another"
    ),
    "letters the model does not know": Bad(
        "predict run in.fa -o out", "in.fa, record 1 (p): ", {"in.fa": ">p\nMKLWQ\n"}
    ),
    "another alphabet": Bad("predict run amp -o out", "the model reads dna, and the input is protein"),
    "no labels to evaluate": Bad(
        "evaluate run in.fa -o out", "in.fa, record 1 (p): a sequence without a label", {"in.fa": ">p\nACGT\n"}
    ),
    "a class the model does not know": Bad(
        "evaluate run in.fa -o out",
        "in.fa, record 2 (q): label 'z' is not a class of the model",
        {"in.fa": ">p label=x\nACGT\n>q label=z\nACGT\n"},
    ),
    "unknown kind of edit": Bad(
        "robustness run in.fa --edits substitution+insert", "Unknown kind of edit 'insert'. Did you mean 'insertion'?"
    ),
    "unknown rule of letters": Bad(
        "robustness run in.fa --allowed transition", "Unknown rule of allowed letters 'transition'"
    ),
    "a protected region beyond the end": Bad(
        "robustness run in.fa --protect p.bed",
        "p.bed, record 1: position 9 is beyond the 8 letters of a",
        {"p.bed": "a\t0\t9\n"},
    ),
    "a window of no scan": Bad("predict run in.fa --window 5 -o out", "--window and --threshold are for --scan STEP"),
    "a window of listed variants": Bad(
        "predict run in.fa --variants v.tsv --window 5 -o out",
        "--window goes with --scan STEP, or with VCF and --genome alone",
        {"v.tsv": "id\tvariant\na\t1A>C\n"},
    ),
    "a window of regions": Bad(
        "predict run --bed r.bed --genome g.fa --variants v.vcf --window 5 -o out",
        "--window goes with --scan STEP, or with VCF and --genome alone",
        {"v.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n", "r.bed": "", "g.fa": ""},
    ),
    "coverage of a scan": Bad(
        "predict run in.fa --scan 2 --coverage 0.9 -o out", "--coverage and --scan do not go together"
    ),
    "coverage of variants": Bad(
        "predict run in.fa --variants v.tsv --coverage 0.9 -o out", "--coverage and --variants do not go together"
    ),
    "a language model where nothing is edited": Bad(
        "predict run in.fa --embed-with esm -o out", "--embed-with is for --scan, --variants and --all-sub"
    ),
    "a folder for predictions": Bad(
        "predict run in.fa -o folder", "cannot write folder: it is a folder", {"folder/x": ""}
    ),
    "a folder for robustness": Bad(
        "robustness run in.fa -o folder", "cannot write folder: it is a folder", {"folder/x": ""}
    ),
    "files of somebody else's beside an explanation": Bad(
        "explain run in.fa -o folder",
        "folder holds what would be replaced and seqreg did not write: motifs.tsv, logos. Move it away",
        {"folder/motifs.tsv": "mine", "folder/logos/x": ""},
    ),
    "files of somebody else's beside a benchmark": Bad(
        "benchmark tiny -o folder",
        "folder holds what would be replaced and seqreg did not write: suite.json, report.html. Move it away",
        {"folder/report.html": "mine", "folder/suite.json": "{}"},
    ),
    "a part that is not there": Bad(
        "evaluate run in.fa --part test -o out", "--part test: neither run nor the input says", {"in.fa": FASTA}
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(bad: Bad, folder: Path, call: Call) -> None:
    for name, content in bad.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(path for path in folder.rglob("*") if path.suffix != ".fai")
    result = call(*bad.words.split())
    assert result.stderr.splitlines()[-1].startswith(f"Error: {bad.message}")
    assert "Traceback" not in result.stderr
    assert (result.returncode, result.stdout) == (bad.code, "")
    assert sorted(path for path in folder.rglob("*") if path.suffix != ".fai") == before


@pytest.mark.parametrize("kind", SEQUENCES)
def test_bad_sequences_are_refused(kind: str, folder: Path, call: Call) -> None:
    with h5py.File(folder / "in.h5", "w") as file:
        file["x"] = [1, 2, 3]
    check(SEQUENCES[kind], folder, call)


@pytest.mark.parametrize("kind", TRAINING)
def test_what_cannot_be_trained_on_is_refused(kind: str, folder: Path, call: Call) -> None:
    check(TRAINING[kind], folder, call)


@pytest.mark.parametrize("kind", USING)
def test_what_cannot_be_scored_is_refused(kind: str, folder: Path, call: Call) -> None:
    filters = 3 if kind != "weights of another network" else 5
    target = Classes(names=("x", "y"), asked_for="y")
    untrained(f"cnn:filters={filters},width=4", target=target, length=9, shortest=5).save(folder / "run")
    if kind == "weights of another network":
        (folder / "run/model.json").write_text(
            (folder / "run/model.json").read_text().replace("filters=5", "filters=3")
        )
    (folder / "in.fa").write_text(FASTA)
    check(USING[kind], folder, call)
