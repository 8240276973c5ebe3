"""Vectors of sequences that language models have computed, by id: read from files, and put beside the letters.

One contract: a layout knows one form of file. `find(name)` and `find_sequence(letters)` give the place of a vector in
it or None, `read(place)` the numbers there, (D,) or (residues, D), `first()` any place. It reads as little as it can at
a time, and raises an InputError that names the file for what is not in its form.
"""

from seqreg.vectors.table import Vectors, VectorTable, as_tables, named_tables, with_vectors

__all__ = ["VectorTable", "Vectors", "as_tables", "named_tables", "with_vectors"]
