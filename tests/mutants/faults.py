"""Faults: pieces of code replaced by others that the tests should tell apart from the right ones."""

import ast
import random
import re
import tomllib
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

# A survivor that changes nothing is marked on its line, or on the one above it: `# no mutant: the reason`.
MARK = re.compile(r"# no mutant: \S")
# Operators that make nothing but crashes of numbers: bits of floats, and identity in place of order.
CRASHES = re.compile(
    r"ReplaceBinaryOperator_.*_(BitOr|BitAnd|BitXor|LShift|RShift)$|ReplaceComparisonOperator_.*_Is(Not)?$"
)
FAULT_KEYS = {"file", "old", "new", "why"}


@dataclass(frozen=True)
class Fault:
    """One replacement: in `file`, the text at [start, end) of its source becomes `new`."""

    file: str
    start: int
    end: int
    new: str
    why: str

    def applied(self, source: str) -> str:
        """The source with the fault in it."""
        return source[: self.start] + self.new + source[self.end :]

    def lines(self, source: str) -> range:
        """Lines, from 1, that the replaced text touches."""
        return range(source.count("\n", 0, self.start) + 1, source.count("\n", 0, self.end) + 2)


def made_by_hand(root: Path) -> list[Fault]:
    """The faults in tests/faults/*.toml. Raises ValueError that names one whose `old` does not occur exactly once."""
    faults = []
    for path in sorted((root / "tests" / "faults").glob("*.toml")):
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("fault", [])
        if not entries:
            raise ValueError(f"{path.name} has no [[fault]]")
        for number, entry in enumerate(entries, start=1):
            name = f"{path.name}, fault {number} ({entry.get('why', 'no why')})"
            if set(entry) != FAULT_KEYS or not all(isinstance(value, str) for value in entry.values()):
                raise ValueError(f"{name}: its keys are {sorted(entry)}, and must be texts {sorted(FAULT_KEYS)}")
            if not (root / entry["file"]).is_file():
                raise ValueError(f"{name}: there is no file {entry['file']}")
            source = (root / entry["file"]).read_text(encoding="utf-8")
            if source.count(entry["old"]) != 1:
                raise ValueError(f"{name}: its old text occurs {source.count(entry['old'])} times in {entry['file']}")
            if entry["new"] == entry["old"]:
                raise ValueError(f"{name}: new is old")
            start = source.index(entry["old"])
            fault = Fault(entry["file"], start, start + len(entry["old"]), entry["new"], entry["why"])
            ast.parse(fault.applied(source))  # what does not parse is caught by anything
            faults.append(fault)
    return faults


def sampled(root: Path, rooms: list[str], size: int, seed: int) -> list[Fault]:
    """`size` of the faults that cosmic-ray's operators make in the rooms, each as likely as another, by the seed."""
    sources = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for room in rooms
        for path in sorted([*(root / "seqreg" / room).rglob("*.py"), *(root / "seqreg").glob(f"{room}.py")])
    }
    places = [
        (file, name, occurrence)
        for file, source in sources.items()
        for name, number in occurrences(source).items()
        for occurrence in range(number)
    ]
    random.Random(seed).shuffle(places)
    found: list[Fault] = []
    for file, name, occurrence in places:
        fault = mutation(file, sources[file], name, occurrence)
        if fault is not None and fault not in found and not passed_over(fault, sources[file]):
            found.append(fault)
        if len(found) == size:
            break
    return found


def occurrences(source: str) -> dict[str, int]:
    """Operator of cosmic-ray -> number of places in a source where it makes a fault."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(source)))
    operators = {name: get_operator(name) for name in sorted(operator_names()) if not CRASHES.search(name)}
    return {
        name: sum(len(list(operator().mutation_positions(node))) for node in nodes)
        for name, operator in operators.items()
        if not operator.arguments()  # those replace a variable that must be named
    }


def mutation(file: str, source: str, operator: str, occurrence: int) -> Fault | None:
    """The fault that an operator makes at one of its places, None where it makes none."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    mutated = mutate_code(source, get_operator(operator)(), occurrence)
    if mutated is None or mutated == source:
        return None
    return difference(file, source, mutated, operator.partition("/")[2])


def passed_over(fault: Fault, source: str) -> bool:
    """Whether a fault changes nothing that can be seen: an annotation, a line that is marked, `strict=True` of a zip,
    which asserts of right code what is so.
    """
    rows = source.splitlines(keepends=True)
    marked = {number for number, row in enumerate(rows, start=1) if MARK.search(row)}
    marked |= {number + 1 for number in marked if rows[number - 1].strip().startswith("#")}
    if marked.intersection(fault.lines(source)):
        return True
    starts = [0, *accumulate(len(row) for row in rows)]

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(rows[line - 1].encode()[:column].decode())

    for node in ast.walk(ast.parse(source)):
        strict = node.value if isinstance(node, ast.keyword) and node.arg == "strict" else None
        for kind in (getattr(node, "annotation", None), getattr(node, "returns", None), strict):
            if isinstance(kind, ast.expr):
                last = place(kind.end_lineno or kind.lineno, kind.end_col_offset or 0)
                if place(kind.lineno, kind.col_offset) <= fault.start and fault.end <= last:
                    return True
    return False


def difference(file: str, source: str, mutated: str, why: str) -> Fault:
    """The fault that makes one source of the other: what lies between their common beginning and end."""
    start = next(
        (i for i, (a, b) in enumerate(zip(source, mutated, strict=False)) if a != b), min(len(source), len(mutated))
    )
    end = 0
    while end < min(len(source), len(mutated)) - start and source[-1 - end] == mutated[-1 - end]:
        end += 1
    return Fault(file, start, len(source) - end, mutated[start : len(mutated) - end], why)
