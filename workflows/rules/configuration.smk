# What the configuration and the table of samples say, checked as a whole before anything runs.
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

CONFIGURATION = "../schemas/config.schema.yaml"
# The columns that say where sequences come from: exactly one line of these in each row.
FORMS = [{"input"}, {"positive", "negative"}, {"classes"}, {"fasta", "labels"}]
# Options of `seqreg train` by the command that lists what may be written there.
LISTED = {
    "model": "models",
    "encoding": "encodings",
    "penalty": "penalties",
    "constraint": "constraints",
    "attack": "attacks",
    "augment": "augmentations",
}


def check(where, value, schema):
    """Check against a schema, and fill in its defaults. What is wrong is said in one line."""
    try:
        validate(value, schema)
    except WorkflowError as error:
        wrong = error.__context__  # what jsonschema says, without the whole schema
        place = "".join(f", {key}" for key in wrong.absolute_path)
        known = f". Choose from: {', '.join(wrong.schema['properties'])}" if "unexpected" in wrong.message else ""
        raise WorkflowError(f"{where}{place}: {wrong.message}{known}") from None


def typed(value, schema):
    """A value in the type that the schema wants: of `--config 'split={folds: 3}'` Snakemake makes text."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {key: typed(item, known.get(key, {})) for key, item in value.items()}
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, str):
        try:
            read = float(value) if "number" in wanted else yaml.safe_load(value)
        except (ValueError, yaml.YAMLError):
            return value
        kind = {type(None): "null", bool: "boolean", int: "integer", float: "number"}.get(type(read))
        if kind in wanted or (read is None and None in schema.get("enum", [])):
            return read
    elif isinstance(value, int | float) and wanted == ["string"]:
        return str(value)
    return value


def read_samples(path):
    """Name -> row of the table, without empty cells."""
    if not Path(path).is_file():
        raise WorkflowError(f"No table of samples at {path}. Name one with `samples`, or write `samples: null`.")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise WorkflowError(f"{path} is not UTF-8 text. Save it as tab-separated text in UTF-8.") from None
    found = {}
    table = csv.DictReader(text.splitlines(), delimiter="\t")
    columns = table.fieldnames or []
    if twice := {column for column in columns if columns.count(column) > 1}:
        raise WorkflowError(f"{path}: the column {', '.join(sorted(twice))} is there twice.")
    for cells in table:
        where = f"{path}, line {table.line_num}"
        if None in cells:
            raise WorkflowError(f"{where}: more cells than columns: {', '.join(cells[None])}")
        row = {column: cell.strip() for column, cell in cells.items() if cell and cell.strip()}
        if not row:
            continue
        check(where, row, "../schemas/samples.schema.yaml")
        if "classes" in row and not all(name and path for name, path in class_files(row)):
            raise WorkflowError(f"{where}: classes are written name=file;name=file; got {row['classes']}")
        if not all(name and path for name, path in named_files(row, "vectors")):
            raise WorkflowError(f"{where}: vectors are written name=file;name=file; got {row['vectors']}")
        given = {column for form in FORMS for column in form} & row.keys()
        if given not in FORMS:
            choices = ", or ".join(" and ".join(sorted(form)) for form in FORMS)
            raise WorkflowError(f"{where}: give {choices}; got {' and '.join(sorted(given)) or 'none of them'}.")
        if row["name"] in found:
            raise WorkflowError(f"{where}: the name {row['name']} is there twice.")
        found[row["name"]] = row
    if not found:
        raise WorkflowError(f"{path} has no row. Give each set of sequences one, or write `samples: null`.")
    return found


def class_files(row):
    """Pairs of class and file in a cell like `promoter=a.fa;other=b.fa`."""
    return named_files(row, "classes")


def named_files(row, column):
    """Pairs of name and file in a cell like `promoter=a.fa;other=b.fa`."""
    pairs = [entry.strip().partition("=") for entry in row.get(column, "").split(";") if entry.strip()]
    return [(name, path) for name, _, path in pairs]


def is_file(text):
    """Whether an input is a file, not a named data set (whose names hold neither point nor slash)."""
    return re.fullmatch(r"[\w-]+", text) is None


def read_suites(suites):
    """Name -> suite, as `seqreg benchmark` takes it."""
    found = {}
    for suite in suites:
        name = Path(suite).stem
        if name in found:
            raise WorkflowError(f"The suites {found[name]} and {suite} would share a folder. Rename one of the files.")
        found[name] = suite
    return found


def check_names():
    """Ask `seqreg` about every name in the configuration: better now than after an hour in the queue."""
    if shutil.which("seqreg") is None:
        return  # it is installed into an environment, or each job says so
    questions = [["seqreg", LISTED[option], *texts] for option, texts in listed().items() if texts]
    sets = {row[column] for row in SAMPLES.values() for column in ("input", "test") if column in row}
    questions += [["seqreg", "datasets", "show", name] for name in sorted(sets) if not is_file(name)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        wrong = [answer for answer in pool.map(asked, questions) if answer]
    wrong += [f"Unknown suite {suite!r}. Choose from: {', '.join(known_suites())}" for suite in unknown_suites()]
    if wrong:
        raise WorkflowError("\n".join(wrong))


def unknown_suites():
    """Suites that are neither files nor known by name."""
    named = [suite for suite in SUITES.values() if not is_file(suite)]
    return [suite for suite in named if suite not in known_suites()] if named else []


@cache
def known_suites():
    """The names of suites that come with seqreg."""
    listing = subprocess.run(["seqreg", "benchmark", "--json"], capture_output=True, text=True, check=True)
    return [suite["name"] for suite in json.loads(listing.stdout)["suites"]]


def listed():
    """Option of `seqreg train` -> the texts given for it that name members of a family."""
    given = {option: config["train"].get(option) or [] for option in LISTED}
    texts = {option: [text] if isinstance(text, str) else text for option, text in given.items()}
    texts["penalty"] = [text for text in texts["penalty"] if text != "none"]
    return texts


def asked(question):
    """What a command answers to what it refuses, empty where it refuses nothing."""
    answer = subprocess.run(question, capture_output=True, text=True, check=False)
    return answer.stderr.strip().removeprefix("Error: ") if answer.returncode == 2 else ""


config.update(typed(config, yaml.safe_load(Path(workflow.source_path(CONFIGURATION)).read_text(encoding="utf-8"))))
check("The configuration", config, CONFIGURATION)

RESULTS = str(Path(config["results"]))
if file := next((each for each in (Path(RESULTS), *Path(RESULTS).parents) if each.is_file()), None):
    raise WorkflowError(f"The configuration, results: {file} is a file. Name a folder.")
LOGS = f"{RESULTS}/logs"
TIMINGS = f"{RESULTS}/timings"
SAMPLES = read_samples(config["samples"]) if config["samples"] else {}
SUITES = read_suites(config["benchmark"]["suites"])
FOLDS = range(1, config["split"]["folds"] + 1)

# Where `--software-deployment-method conda` installs seqreg from (envs/seqreg.post-deploy.sh).
CHECKOUT = Path(str(workflow.current_basedir.get_path_or_uri(secret_free=True))).parent.parent
if (CHECKOUT / "pyproject.toml").is_file():
    os.environ.setdefault("SEQREG_CHECKOUT", str(CHECKOUT))
if workflow.is_main_process:
    check_names()


wildcard_constraints:
    sample="[^/]+",
    fold=r"\d+",
    suite="[^/]+",
    job=r"\d+",
