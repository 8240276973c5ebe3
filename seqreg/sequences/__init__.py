"""Sequences in and out: FASTA, tables, HDF5 stores, splits and named data sets.

One contract: every reader returns a `SequenceSet`, or raises an `InputError` that names file and record.
"""

from seqreg.sequences.sequence_set import SequenceSet

__all__ = ["SequenceSet"]
