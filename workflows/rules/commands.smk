# How samples and configuration become files and words of a command line.

FLAGS = {
    "input": "",
    "positive": "--pos",
    "negative": "--neg",
    "fasta": "--fasta",
    "labels": "--labels",
}
RUN_FILES = ["run.json", "model.safetensors", "metrics.json", "predictions.tsv"]
FIT = "seqreg tune" if config["tune"] else "seqreg train"
MACHINE = "--threads {threads} --workers {threads}" if config["tune"] else "--threads {threads}"
EDIT_RULE = r"(any|transitions|blosum62|synonymous)(:-?[\d.]+)?"


def training_files(wildcards):
    """The files that hold the labelled sequences of a sample."""
    row = SAMPLES[wildcards.sample]
    paths = [row[column] for column in FLAGS if column in row]
    return [path for path in [*paths, *dict(class_files(row)).values()] if is_file(path)] + vector_files(wildcards)


def vector_files(wildcards):
    """The files of vectors that language models have of the sequences of a sample."""
    return [path for _, path in named_files(SAMPLES[wildcards.sample], "vectors")]


def test_files(wildcards):
    """The file of test sequences of a sample, where it has one."""
    return [path for path in [SAMPLES[wildcards.sample].get("test")] if path and is_file(path)]


def edit_files(wildcards):
    """The files that say which edits count, where rules name them."""
    paths = [config["robustness"].get(key) for key in ("allowed", "protect")]
    return [path for path in paths if path and not re.fullmatch(EDIT_RULE, path)]


def new_files(wildcards):
    """The file of sequences to predict."""
    return SAMPLES[wildcards.sample]["new"]


def training_data(wildcards):
    """The words that name the labelled sequences of a sample to `seqreg`."""
    row = SAMPLES[wildcards.sample]
    words = [word for column, flag in FLAGS.items() if column in row for word in (flag, row[column]) if word]
    words += [word for name, path in class_files(row) for word in ("--class", f"{name}={path}")]
    return shlex.join([*words, *reading(wildcards)]) + vectors(wildcards)


def reading(wildcards):
    """What is said of how a sample is read."""
    row = SAMPLES[wildcards.sample]
    return options({name: row.get(name) for name in ("alphabet", "target", "unit")})


def vectors(wildcards):
    """The words that name the files of vectors of a sample, a blank before them."""
    named = named_files(SAMPLES[wildcards.sample], "vectors")
    return "".join(f" {word}" for word in options({"vectors": [shlex.quote(f"{name}={path}") for name, path in named]}))


def test_data(wildcards):
    """The words that name the test sequences: a set of their own, or the test part of the run."""
    own = SAMPLES[wildcards.sample].get("test")
    return (
        shlex.join([own, *reading(wildcards)]) + vectors(wildcards)
        if own
        else f"{training_data(wildcards)} --part test"
    )


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
    return {name: config["split"][name] for name in ("by", "similarity", "identity")}


def budget():
    """How long `seqreg tune` may try."""
    tuning = config["tune"] or {}
    return {"trials": tuning.get("trials"), "budget": tuning.get("minutes")}


def run_folder(wildcards, output):
    """The folder that the files of a run stand in."""
    return str(Path(output[0]).parent)


def run_of(wildcards, input):
    """The folder of the model that is used."""
    return str(Path(input.model).parent)


def runs_of(wildcards, input):
    """The folders of several runs."""
    return shlex.join(str(Path(path).parent) for path in input)


def run_files(folder):
    """The files of a run that later steps read."""
    return [f"{folder}/{name}" for name in RUN_FILES]


def trust_files(wildcards):
    """How far the models can be trusted, where they are networks of letters: tuning keeps a baseline that does better,
    and what an edit does to vectors is not known."""
    names = [name for name, row in SAMPLES.items() if "vectors" not in row]
    if config["tune"]:
        names = [name for name in names if holds_network(checkpoints.kept.get(sample=name).output[0])]
    return expand(f"{RESULTS}/{{sample}}/model/norm.json", sample=names)


def holds_network(path):
    """Whether a model.json describes a network."""
    return json.loads(Path(path).read_text(encoding="utf-8")).get("kind") != "baseline"
