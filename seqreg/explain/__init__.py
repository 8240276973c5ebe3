"""What a trained network looks at."""

from seqreg.explain.motifs import FilterMotif, filter_motifs

__all__ = ["FilterMotif", "filter_motifs"]
