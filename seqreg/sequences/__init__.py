"""Sequences in and out: FASTA, tables, HDF5 stores, splits and named data sets.

One contract: every reader returns a `SequenceSet`, or raises an `InputError` that names file and record.
"""

from seqreg.sequences.attributions import Attribution, read_attributions, write_attributions
from seqreg.sequences.background import klet_shuffle, matched_background, shuffled_background, source_groups
from seqreg.sequences.batches import padded_batches
from seqreg.sequences.datasets import (
    DataSet,
    DataSetCheck,
    find_data_set,
    list_data_sets,
    table_of,
    tasks_of,
    unreadable_data_sets,
)
from seqreg.sequences.duplicates import first_equal, shared_across
from seqreg.sequences.editable import editable
from seqreg.sequences.fasta import write_fasta, write_lines
from seqreg.sequences.homology import homology_groups
from seqreg.sequences.identity import identities
from seqreg.sequences.ids import id_in_file, keys_in
from seqreg.sequences.in_memory import as_column, is_missing, read_strings
from seqreg.sequences.input_spec import InputSpec
from seqreg.sequences.joining import join_parts
from seqreg.sequences.labels import (
    class_weights,
    in_terms_of,
    members_of_classes,
    missing_like,
    with_labels,
    with_positive,
)
from seqreg.sequences.letter_tables import amino_acids, blosum62, three_letters
from seqreg.sequences.read import check_data_set, check_filter_width, read_input
from seqreg.sequences.seen import are_seen, read_seen, write_seen
from seqreg.sequences.sequence_set import SequenceSet
from seqreg.sequences.shared_kmers import affordable_table, largest_similarity, similarities
from seqreg.sequences.splits import Split, folds, holdout, part_sizes, read_split, train_subset, with_split
from seqreg.sequences.store import read_store, write_store
from seqreg.sequences.stream import SequenceStream, read_ahead, stream_batches
from seqreg.sequences.together import joined_to_sources, kept_together, same_molecule
from seqreg.sequences.variants import ListedVariant, only_named, read_variants
from seqreg.sequences.vcf import is_vcf
from seqreg.sequences.windows import Scan, Windows
from seqreg.sequences.workbook import file_and_sheet

__all__ = [
    "Attribution",
    "DataSet",
    "DataSetCheck",
    "InputSpec",
    "ListedVariant",
    "Scan",
    "SequenceSet",
    "SequenceStream",
    "Split",
    "Windows",
    "affordable_table",
    "amino_acids",
    "are_seen",
    "as_column",
    "blosum62",
    "check_data_set",
    "check_filter_width",
    "class_weights",
    "editable",
    "file_and_sheet",
    "find_data_set",
    "first_equal",
    "folds",
    "holdout",
    "homology_groups",
    "id_in_file",
    "identities",
    "in_terms_of",
    "is_missing",
    "is_vcf",
    "join_parts",
    "joined_to_sources",
    "kept_together",
    "keys_in",
    "klet_shuffle",
    "largest_similarity",
    "list_data_sets",
    "matched_background",
    "members_of_classes",
    "missing_like",
    "only_named",
    "padded_batches",
    "part_sizes",
    "read_ahead",
    "read_attributions",
    "read_input",
    "read_seen",
    "read_split",
    "read_store",
    "read_strings",
    "read_variants",
    "same_molecule",
    "shared_across",
    "shuffled_background",
    "similarities",
    "source_groups",
    "stream_batches",
    "table_of",
    "tasks_of",
    "three_letters",
    "train_subset",
    "unreadable_data_sets",
    "with_labels",
    "with_positive",
    "with_split",
    "write_attributions",
    "write_fasta",
    "write_lines",
    "write_seen",
    "write_store",
]
