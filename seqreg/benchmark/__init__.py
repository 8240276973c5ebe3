"""Benchmarks: suites of data sets x methods x sizes x seeds, computed cell by cell and compared.

One contract: a suite is a TOML file; each of its cells is computed by itself, from its training sequences alone, and
kept in a file of its own, so that any number of processes may work on one folder, be killed, and go on.
"""

from seqreg.benchmark.cells import Cell, cells_of
from seqreg.benchmark.folder import SuiteFolder
from seqreg.benchmark.results import write_results
from seqreg.benchmark.runner import Progress, available_cells, run_cells
from seqreg.benchmark.suite import Method, Suite, packaged, read_suite
from seqreg.benchmark.summary import Summary
from seqreg.benchmark.tasks import missing_data, without_data

__all__ = [
    "Cell",
    "Method",
    "Progress",
    "Suite",
    "SuiteFolder",
    "Summary",
    "available_cells",
    "cells_of",
    "missing_data",
    "packaged",
    "read_suite",
    "run_cells",
    "without_data",
    "write_results",
]
