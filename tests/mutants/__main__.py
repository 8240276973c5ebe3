"""Mutation testing: puts faults into a copy of the code, one at a time, and runs the tests that execute them.

    make test-mutants MUTANTS="--sample 200 --seed 0 --workers 2"

Which test executes which line, and how long it takes, is recorded once for a state of the code; quick tests run first.
Results are kept in `build/mutants/`, so that a run that was stopped goes on, `--minutes 60` at a time; `--minutes 0`
tries nothing and tells what is known. `report.md` there has the score of the faults that were drawn and of those that
are written by hand, room by room, and the faults that no test noticed. Exits 1 if there are such faults.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from queue import SimpleQueue

from coverage import CoverageData

from tests.mutants.faults import Fault, made_by_hand, sampled

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "mutants"
ROOMS = [
    "spectral", "certificates", "penalties", "constraints", "attacks", "mutagenesis", "deformations", "networks",
    "baselines", "linear", "evaluation", "sensitivity", "metrics", "value_metrics", "targets", "sequences", "alphabet",
    "vectors", "training", "tuning",
]  # fmt: skip
SECONDS = 120  # for the tests of one fault
LAWS = "tests/test_house.py"  # reads or imports all files
QUICK = 0.5  # seconds of a test that runs before all others
COMPILED = "build/compiled"  # folder of a copy: what Numba keeps
ENDED = re.compile(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
DURATION = re.compile(r"^([\d.]+)s (?:setup|call|teardown) +(\S.*?) *$", re.MULTILINE)
CAUGHT, SURVIVED, UNTESTED, SLOW = "caught", "survived", "no test runs it", f"not caught in {SECONDS} s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=200, metavar="N", help="faults drawn from the rooms (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draw")
    parser.add_argument("--rooms", nargs="+", default=ROOMS, metavar="ROOM", help="packages or modules of seqreg (all)")
    parser.add_argument("--tests", nargs="+", default=[], metavar="FILE", help="only these test files (all)")
    parser.add_argument("--faults-only", action="store_true", help="only those in tests/faults")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="stop after so long")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="faults tried side by side (1)")
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    by_hand = [fault for fault in made_by_hand(ROOT) if options.rooms == ROOMS or room(fault) in options.rooms]
    drawn = [] if options.faults_only else sampled(ROOT, options.rooms, options.sample, options.seed)
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seqreg-mutants-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            copies.put(copy_tree(Path(folder) / str(number)))
        record = partial(recorded, copies, options.workers, options.tests)
        tests_now = digest("tests") + " ".join(options.tests)
        results = tried([*drawn, *by_hand], record, copies, options.workers, ends, tests_now)
    return report({"Drawn": drawn, "By hand": by_hand}, results)


def copy_tree(target: Path) -> Path:
    """A copy of what git knows or would add, which faults may be put into."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def digest(*folders: str) -> str:
    """Hash of all Python files in the folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def pytest(copy: Path, *arguments: str, timeout: float | None = None) -> int | None:
    """Exit code of pytest in a copy, None if it took too long. `printed.txt` there has what it printed."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    printed = (copy / "printed.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=copy,
        env={
            **os.environ,
            **threads,
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(copy / COMPILED),
        },
        stdout=printed,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)  # pytest and the programs that its tests started
            process.wait()
        printed.close()


@dataclass(frozen=True)
class Record:
    """What the tests execute, and the seconds that each takes (those of less than .005 are left out)."""

    lines: CoverageData
    seconds: dict[str, float]

    @cached_property
    def executed(self) -> Counter[str]:
        """How many lines each test executes."""
        found: Counter[str] = Counter()
        for file in self.lines.measured_files():
            for contexts in self.lines.contexts_by_lineno(file).values():
                found.update({context.rpartition("|")[0] for context in contexts})
        return found


def recorded(copies: "SimpleQueue[Path]", workers: int, tests: list[str]) -> Record:
    """Measured unless it is known of this state of code and tests."""
    known_by = hashlib.sha256(" ".join([digest("seqreg", "tests"), *tests]).encode()).hexdigest()[:16]
    path, seconds_path = KEPT / f"coverage-{known_by}", KEPT / f"seconds-{known_by}.json"
    if not path.exists():
        print("Recording which test executes which line", flush=True)
        copy = copies.get()
        settings = copy / "contexts.ini"
        settings.write_text("[run]\nsource = seqreg\nrelative_files = true\ndata_file = contexts.sqlite\n")
        measure = ["--cov", f"--cov-config={settings.name}", "--cov-context=test", "--cov-report="]
        code = pytest(copy, "-n", str(workers), "--durations=0", *measure, *tests)
        copies.put(copy)
        if code != 0:
            sys.exit(f"The tests must pass before faults are put in; pytest ended with {code}")
        seconds: Counter[str] = Counter()
        for number, test in DURATION.findall((copy / "printed.txt").read_text()):
            seconds[test] += float(number)
        seconds_path.write_text(json.dumps(seconds))
        shutil.move(copy / "contexts.sqlite", path)
    data = CoverageData(str(path))
    data.read()
    return Record(data, json.loads(seconds_path.read_text()))


def room(fault: Fault) -> str:
    """The package or module of seqreg that it is in."""
    return Path(fault.file).parts[1].removesuffix(".py")


def tests_of(fault: Fault, source: str, record: Record) -> list[str]:
    """Tests that execute the statement of a fault, in the order to run them.

    Of a statement run at import, those that execute its file, and the laws of the house; of one that is compiled, and
    leaves no trace, those that name the function it is in.
    """
    contexts = record.lines.contexts_by_lineno(fault.file)
    found = {name for line in statement_lines(source, fault.lines(source)) for name in contexts.get(line, ())} - {""}
    line, seen = fault.lines(source)[0], set()
    functions = [function_around(source, line)]
    if runs_at_import(source, line):
        found = {name for names in contexts.values() for name in names} - {""}
        found |= {f"{test}|run" for test in record.seconds if test.startswith(LAWS)}
        functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    if is_compiled(source) or not found:
        for function in filter(None, functions):
            found |= contexts_naming(function, record.lines, seen)
        files = set().union(*map(test_files_naming, seen))
        found |= {name for name in record.lines.measured_contexts() if name.partition("::")[0] in files}
    tests = {name.rpartition("|")[0] for name in found}

    def key(test: str) -> tuple[bool, float, str, float]:
        """Quick ones first, and of them those that execute little else; those of one file together, since they share
        what is made once for it.
        """
        group = of_file[quick(test), test.partition("::")[0]]
        return not quick(test), sum(map(executed.__getitem__, group)) / len(group), group[0], seconds[test]

    def quick(test: str) -> bool:
        return seconds[test] < QUICK

    seconds, executed = Counter(record.seconds), record.executed
    of_file: defaultdict[tuple[bool, str], list[str]] = defaultdict(list)
    for test in sorted(tests):
        of_file[quick(test), test.partition("::")[0]].append(test)
    return sorted(tests, key=key)


@cache
def test_files_naming(word: str) -> frozenset[str]:
    """Test files that have the word in them."""
    paths = (ROOT / "tests").glob("test_*.py")
    return frozenset(f"tests/{path.name}" for path in paths if re.search(rf"\b{re.escape(word)}\b", path.read_text()))


def contexts_naming(function: str, lines: CoverageData, seen: set[str]) -> set[str]:
    """Contexts of the lines that name a function; where a compiled function names it, of those that name that one."""
    seen.add(function)
    found = set()
    for path in sorted((ROOT / "seqreg").rglob("*.py")):
        source, contexts = path.read_text(encoding="utf-8"), lines.contexts_by_lineno(str(path.relative_to(ROOT)))
        for number, row in enumerate(source.splitlines(), start=1):
            if re.search(rf"\b{function}\b", row):
                here = {
                    name
                    for line in statement_lines(source, range(number, number + 1))
                    for name in contexts.get(line, ())
                }
                around = function_around(source, number)
                if not here and around and around not in seen:
                    here = contexts_naming(around, lines, seen)
                found |= here
    return found - {""}


def runs_at_import(source: str, line: int) -> bool:
    """Whether a line is in no function's body."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return not any(node.body[0].lineno <= line <= (node.end_lineno or node.lineno) for node in functions)


def is_compiled(source: str) -> bool:
    """Whether Numba compiles functions of it."""
    return "compiled" in source


def function_around(source: str, line: int) -> str | None:
    """Name of the function of a module that a line is in."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return node.name
    return None


def statement_lines(source: str, lines: range) -> set[int]:
    """The lines, and those of the innermost statements around them, without what is nested in these."""
    found = set(lines)
    for line in lines:
        around = [
            node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        if around:
            innermost = max(around, key=lambda node: node.lineno)
            body = getattr(innermost, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else innermost.end_lineno or line
            found |= set(range(innermost.lineno, last + 1))
    return found


def tried(
    faults: list[Fault],
    record: Callable[[], Record],
    copies: "SimpleQueue[Path]",
    workers: int,
    ends: float,
    tests_now: str,
) -> dict[Fault, str]:
    """What became of each fault, but of those for which no time was left. record: called once, if one is tried."""
    path, lock = KEPT / "results.jsonl", threading.Lock()
    known = dict(json.loads(line) for line in path.read_text().splitlines()) if path.exists() else {}
    results: dict[Fault, str] = {}
    choosing = threading.Lock()
    passing: set[Path] = set()
    recorded_once = cache(record)

    def key_of(fault: Fault) -> str:
        source = (ROOT / fault.file).read_text(encoding="utf-8")
        text = "\0".join([fault.file, source, fault.applied(source), tests_now])
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def attempt(fault: Fault) -> None:
        source, key = (ROOT / fault.file).read_text(encoding="utf-8"), key_of(fault)
        if key not in known:
            if time.monotonic() > ends:
                return
            with choosing:
                tests = tests_of(fault, source, recorded_once())
            outcome = UNTESTED
            if tests:
                copy = copies.get()
                try:
                    if copy not in passing and pytest(copy, *tests[:1]) != 0:  # before a failure is taken for a fault
                        raise RuntimeError(f"without any fault, {tests[0]} does not pass in {copy}")
                    passing.add(copy)
                    (copy / fault.file).write_text(fault.applied(source), encoding="utf-8")
                    (copy / "chosen.txt").write_text("\n".join(tests), encoding="utf-8")
                    if is_compiled(source):  # what Numba keeps of a function does not know that one it calls changed
                        shutil.rmtree(copy / COMPILED, ignore_errors=True)
                    code = pytest(copy, "-x", "-vv", "@chosen.txt", timeout=SECONDS)
                    hung = code is None and hangs(copy / "printed.txt", recorded_once())
                finally:
                    (copy / fault.file).write_text(source, encoding="utf-8")
                    if is_compiled(source):
                        shutil.rmtree(copy / COMPILED, ignore_errors=True)
                    copies.put(copy)
                if code in (3, 5):  # of pytest's own accord, or for want of tests
                    raise RuntimeError(f"pytest ended with {code} in {copy}, with a fault in {fault.file}")
                outcome = SURVIVED if code == 0 else SLOW if code is None and not hung else CAUGHT
            with lock, path.open("a", encoding="utf-8") as file:
                known[key] = outcome
                print(json.dumps([key, outcome]), file=file, flush=True)
        with lock:
            results[fault] = known[key]
            print(f"{len(results)} of {len(faults)}: {known[key]}: {where(fault, source)}", flush=True)

    if time.monotonic() <= ends and not all(key_of(fault) in known for fault in faults):
        recorded_once()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(attempt, faults))
    return results


def hangs(printed: Path, record: Record) -> bool:
    """Whether the test that was running had run for a minute, and for ten times as long as it takes."""
    running = (printed.read_text().splitlines() or [""])[-1].strip()
    took = time.time() - printed.stat().st_mtime
    return "::" in running and not ENDED.search(running) and took > max(60, 10 * Counter(record.seconds)[running])


def where(fault: Fault, source: str) -> str:
    """File, line, and the change of one fault."""
    old = source[fault.start : fault.end]
    return f"{fault.file}:{fault.lines(source)[0]}: {fault.why}: {old!r:.60} -> {fault.new!r:.60}"


def report(kinds: dict[str, list[Fault]], results: dict[Fault, str]) -> int:
    """Write and print the scores, in all and room by room, and write what no test noticed; 1 if there is any."""
    score = []
    for kind, faults in kinds.items():
        by_room = {name: [fault for fault in faults if room(fault) == name] for name in sorted(set(map(room, faults)))}
        score += [score_of(kind, faults, results), *(f"  {score_of(*each, results)}" for each in by_room.items())]
    text = [*score, ""]
    for fault, outcome in results.items():
        if outcome == CAUGHT:
            continue
        source = (ROOT / fault.file).read_text(encoding="utf-8")
        row = source.splitlines()[fault.lines(source)[0] - 1].strip()
        text += [f"- {outcome}: {where(fault, source)}", f"  `{row}`"]
    (KEPT / "report.md").write_text("\n".join([*text, ""]), encoding="utf-8")
    print(*score, "", f"What no test noticed: {KEPT / 'report.md'}", sep="\n")
    return int(any(outcome != CAUGHT for outcome in results.values()))


def score_of(name: str, faults: list[Fault], results: dict[Fault, str]) -> str:
    """How many of the faults that were tried were caught."""
    found = [results[fault] for fault in faults if fault in results]
    share = f" ({found.count(CAUGHT) / len(found):.1%})" if found else ""
    return f"- {name}: {found.count(CAUGHT)} of {len(found)} caught{share}, {len(faults) - len(found)} not tried"


if __name__ == "__main__":
    sys.exit(main())
