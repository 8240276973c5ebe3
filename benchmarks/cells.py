"""What resumable benchmarks share: a table that grows cell by cell, and the training of one cell."""

import csv
import itertools
import math
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from page import SECTIONS

from seqreg.predictors.network import TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.training import TrainConfig, architecture_of, fit, reproducible, with_defaults
from seqreg.training.parts import Parts, split_parts


class Rows:
    """results/NAME.tsv of a script: rows are kept the moment they are known, and none is computed twice.

    The first `key` columns name a cell, which may have several rows. Not `seqreg.workers.Results`, which suites use (in
    `suites.py`): there many processes share pieces, named by a hash of what decides them; here one process fills the
    very table that is published, and rows stay as the code moves on.
    """

    def __init__(self, script: str, columns: Sequence[str], key: int) -> None:
        self.path, self.columns, self.key = SECTIONS / f"{Path(script).stem}.tsv", tuple(columns), key
        self.path.parent.mkdir(exist_ok=True)

    def missing(self, cells: Iterable[tuple[Any, ...]], minutes: float = math.inf) -> Iterator[tuple[Any, ...]]:
        """Of these cells, those that have no row, until so many minutes have passed."""
        until = time.monotonic() + 60 * minutes
        known = {tuple(row.values())[: self.key] for row in self.read()}
        missing = (cell for cell in cells if tuple(map(str, cell)) not in known)
        return itertools.takewhile(lambda _: time.monotonic() < until, missing)

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """The rows of one cell."""
        with self.path.open("a", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
            if not handle.tell():
                writer.writerow(self.columns)
            for row in rows:
                writer.writerow(row)
                print(*row, flush=True)

    def read(self) -> list[dict[str, str]]:
        """All rows there are."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as handle:
            return list(csv.DictReader(handle, delimiter="\t"))


def sitting(parser: ArgumentParser) -> None:
    """The option by which any of these ends before all is measured; what is missing is left to the next sitting."""
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after these")


def minutes_of_sitting(description: str | None) -> float:
    """What `--minutes` says on the command line of a script that has no other option."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    sitting(parser)
    return parser.parse_args().minutes


def asked_for(parser: ArgumentParser, sizes: Sequence[int], sets: Sequence[str]) -> Namespace:
    """What the command line says, with options of which cells to compute: `--draws`, 0 to 4, `--sizes`, `--sets`."""
    parser.add_argument("--draws", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--sizes", type=int, nargs="+", default=list(sizes))
    parser.add_argument("--sets", nargs="+", default=list(sets))
    sitting(parser)
    return parser.parse_args()


def divided(config: TrainConfig, data: SequenceSet, most_tested: int | None = None) -> tuple[TrainConfig, Parts]:
    """The parts, the test part cut to a draw of `most_tested`, and the configuration with every choice made."""
    parts = split_parts(data, config)
    assert parts.test is not None
    tested = np.sort(np.random.default_rng(config.seed).permutation(len(parts.test))[:most_tested])
    config = replace(with_defaults(config, parts.train, parts.valid), device="cpu")
    return config, replace(parts, test=parts.test.subset(tested)).with_positive(config.positive)


def trained(config: TrainConfig, train: SequenceSet, valid: SequenceSet | None) -> TrainedNetwork:
    """A network trained on these parts by a complete configuration, on the processor, not calibrated."""
    with reproducible(config, torch.device("cpu")):
        architecture = architecture_of(config, train)
        module = architecture.build()
        fit(module, config, train, valid)
    return TrainedNetwork(architecture=architecture, module=module.eval())
