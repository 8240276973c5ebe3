"""What a trained network looks at: attributions of letters, and the motifs of its filters.

`explain` gives all of it as a record, `write_explanation` as a folder of files; the parts stand for themselves.
"""

from seqreg.explain.attributions import STEPS, attributions, gradient_times_input, integrated_gradients
from seqreg.explain.catalogue import Enrichment, Motif, find_motifs
from seqreg.explain.explanation import Explanation, Shown, explain, write_explanation
from seqreg.explain.figures import telling_part
from seqreg.explain.information import consensus, information
from seqreg.explain.meme import meme
from seqreg.explain.motifs import FilterMotif, filter_motifs

__all__ = [
    "STEPS",
    "Enrichment",
    "Explanation",
    "FilterMotif",
    "Motif",
    "Shown",
    "attributions",
    "consensus",
    "explain",
    "filter_motifs",
    "find_motifs",
    "gradient_times_input",
    "information",
    "integrated_gradients",
    "meme",
    "telling_part",
    "write_explanation",
]
