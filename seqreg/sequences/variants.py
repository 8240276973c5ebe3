"""Lists of variants: which edits of which sequences somebody asks about."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqreg.errors import InputError
from seqreg.sequences.opening import name_of, open_text
from seqreg.sequences.sequence_set import SequenceSet

_HEADER = ("id", "variant")


@dataclass(frozen=True)
class ListedVariant:
    """One line of a list: the id of a sequence and the variant as written, not yet understood.

    named: what the list calls it, where that is not its text. reference: letters that must be there, and from which
    position (from 0).
    """

    file: str
    line: int
    id: str
    text: str
    named: str = ""
    reference: tuple[int, str] | None = None

    def error(self, problem: str, remedy: str | None = None) -> InputError:
        """An error at this line."""
        return InputError(problem, file=self.file, line=self.line, record_id=self.id or None, remedy=remedy)


def read_variants(path: str | Path) -> list[ListedVariant]:
    """The lines `id<TAB>variant` of a list, plain or gzipped; `#` comments are passed over.

    Under a header that names the columns id and variant, among others and in any order and case, those are read, and
    commas separate them where the header has no tabs. Raises InputError for a line of another form, for VCF, and for a
    list without any.
    """
    listed: list[ListedVariant] = []
    mark, columns = "\t", [0, 1]
    with open_text(path) as (handle, start):
        if begins_vcf(start):
            raise InputError("VCF names places of a genome, not of sequences", file=name_of(path))
        begun = False
        for line, text in enumerate(handle, start=1):
            if not text.strip() or text.startswith("#"):
                continue
            if not begun:
                begun = True
                mark = "\t" if "\t" in text else ","
                names = [field.strip().lower() for field in text.split(mark)]
                if set(_HEADER) <= set(names):
                    columns = [names.index(name) for name in _HEADER]
                    continue
                mark = "\t"
            cells = [field.strip() for field in text.split(mark)]
            fields = [cells[column] for column in columns if column < len(cells)]
            if len(fields) != len(_HEADER) or not all(fields):
                problem = f"not a variant: {text.strip()!r:.60}"
                remedy = "Write the id of a sequence, a tab, and the variant."
                raise InputError(problem, file=name_of(path), line=line, remedy=remedy)
            listed.append(ListedVariant(name_of(path), line, id=fields[0], text=fields[1]))
    if not listed:
        raise InputError("no variants", file=name_of(path), remedy="Write one a line: id, a tab, p.A12V or 12A>G.")
    return listed


def begins_vcf(start: str) -> bool:
    """Whether a text that begins like this is VCF."""
    return start.startswith(("##fileformat=VCF", "#CHROM"))


def only_named(pieces: Iterable[SequenceSet], names: Set[str]) -> SequenceSet | None:
    """The sequences of these names out of a stream, without what else is known of them; None where there is none."""
    kept: list[SequenceSet] = []
    for piece in pieces:
        index = np.flatnonzero([name in names for name in piece.names])
        if len(index):
            kept.append(piece.subset(index))
    if not kept:
        return None
    lengths = np.concatenate([piece.lengths for piece in kept])
    return SequenceSet(
        alphabet=kept[0].alphabet,
        names=[name for piece in kept for name in piece.names],
        codes=np.concatenate([piece.codes for piece in kept]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        source=kept[0].source,
    )
