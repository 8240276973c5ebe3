# What the configuration says, checked as a whole, and how it becomes files and words of a command line.
import csv
import json
import re
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# The columns that say where sequences come from: exactly one line of these in each row.
FORMS = [{"input"}, {"positive", "negative"}, {"classes"}, {"fasta", "labels"}]
FLAGS = {
    "input": "",
    "positive": "--pos",
    "negative": "--neg",
    "fasta": "--fasta",
    "labels": "--labels",
}
RUN_FILES = ["run.json", "model.safetensors", "metrics.json", "predictions.tsv"]


def check(where, value, schema):
    """Check against a schema, and fill in its defaults. What is wrong is said in one line."""
    try:
        validate(value, schema)
    except WorkflowError as error:
        wrong = error.__context__  # what jsonschema says, without the whole schema
        place = "".join(f", {key}" for key in wrong.absolute_path)
        known = f". Choose from: {', '.join(wrong.schema['properties'])}" if "unexpected" in wrong.message else ""
        raise WorkflowError(f"{where}{place}: {wrong.message}{known}") from None


def read_samples(path):
    """Name -> row of the table, without empty cells."""
    if not Path(path).is_file():
        raise WorkflowError(f"No table of samples at {path}. Name one with `samples`, or write `samples: null`.")
    with open(path, newline="", encoding="utf-8") as handle:
        rows = [
            {column: cell.strip() for column, cell in row.items() if column and cell and cell.strip()}
            for row in csv.DictReader(handle, delimiter="\t")
        ]
    found = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        check(where, row, "../schemas/samples.schema.yaml")
        if "classes" in row and not all(name and path for name, path in class_files(row)):
            raise WorkflowError(f"{where}: classes are written name=file;name=file; got {row['classes']}")
        given = {column for form in FORMS for column in form} & row.keys()
        if given not in FORMS:
            choices = ", or ".join(" and ".join(sorted(form)) for form in FORMS)
            raise WorkflowError(f"{where}: give {choices}; got {' and '.join(sorted(given)) or 'none of them'}.")
        if row["name"] in found:
            raise WorkflowError(f"{where}: the name {row['name']} is there twice.")
        found[row["name"]] = row
    return found


def class_files(row):
    """Pairs of class and file in a cell like `promoter=a.fa;other=b.fa`."""
    pairs = [entry.strip().partition("=") for entry in row.get("classes", "").split(";") if entry.strip()]
    return [(name, path) for name, _, path in pairs]


def is_file(text):
    """Whether an input is a file, not a named data set (whose names hold neither point nor slash)."""
    return re.fullmatch(r"[\w-]+", text) is None


def training_files(wildcards):
    """The files that hold the labelled sequences of a sample."""
    row = SAMPLES[wildcards.sample]
    paths = [row[column] for column in FLAGS if column in row]
    return [path for path in [*paths, *dict(class_files(row)).values()] if is_file(path)]


def test_files(wildcards):
    """The file of test sequences of a sample, where it has one."""
    return [path for path in [SAMPLES[wildcards.sample].get("test")] if path and is_file(path)]


def edit_files(wildcards):
    """The files that say which edits count, where rules name them."""
    paths = [config["robustness"].get(key) for key in ("allowed", "protect")]
    return [path for path in paths if path and Path(path).suffix]


def new_files(wildcards):
    """The file of sequences to predict."""
    return SAMPLES[wildcards.sample]["new"]


def training_data(wildcards):
    """The words that name the labelled sequences of a sample to `seqreg`."""
    row = SAMPLES[wildcards.sample]
    words = [word for column, flag in FLAGS.items() if column in row for word in (flag, row[column]) if word]
    words += [word for name, path in class_files(row) for word in ("--class", f"{name}={path}")]
    return shlex.join([*words, *options({"alphabet": row.get("alphabet")})])


def test_data(wildcards):
    """The words that name the test sequences: a set of their own, or the test part of the run."""
    own = SAMPLES[wildcards.sample].get("test")
    return shlex.quote(own) if own else f"{training_data(wildcards)} --part test"


def options(values):
    """The words of options: a list repeats its flag, true is a flag by itself, null is left out."""
    words = []
    for name, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{name}", str(each)]
    return words


def fitting(wildcards):
    """What `seqreg train`, or `seqreg tune` before it, is told about the network."""
    given = {**config["train"], **budget(), "seed": config["seed"], "device": config["device"]}
    return shlex.join(options(given))


def held_out(wildcards):
    """A test set of the sample's own, for the model that is kept."""
    return shlex.join(options({"test": SAMPLES[wildcards.sample].get("test"), **splitting()}))


def splitting():
    """How sequences are kept on one side of a split."""
    return {"by": config["split"]["by"], "similarity": config["split"]["similarity"]}


def budget():
    """How long `seqreg tune` may try."""
    tuning = config["tune"] or {}
    return {"trials": tuning.get("trials"), "budget": tuning.get("minutes")}


def run_folder(wildcards, output):
    """The folder that the files of a run stand in."""
    return str(Path(output[0]).parent)


def runs_of(wildcards, input):
    """The folders of several runs."""
    return shlex.join(str(Path(path).parent) for path in input)


def run_files(folder):
    """The files of a run that later steps read."""
    return [f"{folder}/{name}" for name in RUN_FILES]


def trust_files(wildcards):
    """How far the models can be trusted, where they are networks: tuning keeps a baseline that does better."""
    names = list(SAMPLES)
    if config["tune"]:
        names = [name for name in names if holds_network(checkpoints.model.get(sample=name).output.about)]
    return expand(f"{RESULTS}/{{sample}}/model/norm.json", sample=names)


def holds_network(path):
    """Whether a model.json describes a network."""
    return json.loads(Path(path).read_text(encoding="utf-8")).get("kind") != "baseline"


def growing(megabytes):
    """Memory that grows with every retry."""
    return lambda wildcards, attempt: megabytes * attempt


check("The configuration", config, "../schemas/config.schema.yaml")

RESULTS = config["results"]
LOGS = f"{RESULTS}/logs"
TIMINGS = f"{RESULTS}/timings"
SAMPLES = read_samples(config["samples"]) if config["samples"] else {}
FOLDS = range(1, config["split"]["folds"] + 1)
FIT = "seqreg tune" if config["tune"] else "seqreg train"
MACHINE = "--threads {threads} --workers {threads}" if config["tune"] else "--threads {threads}"
SUITES = {Path(suite).stem: suite for suite in config["benchmark"]["suites"]}


wildcard_constraints:
    sample=r"[\w.-]+",
    fold=r"\d+",
    suite=r"[\w.-]+",
    job=r"\d+",
