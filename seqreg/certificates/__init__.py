"""Certificates: what is proved for a network, for every input of a set and not only for those that were tried.

One contract: a certificate is a function of a model (and, where the statement is about them, of sequences). It returns
bounds in float64 that no attack can exceed, speaks of the model in evaluation mode whatever mode it is in, changes
nothing in it, measures distances between one-hot inputs x (N, A, L), and raises UnknownLayerError rather than leave a
layer out. Estimates have no place here.
"""

from seqreg.certificates.batch import (
    CertifiedBatch,
    CertifiedParts,
    certified_batch,
    certified_parts,
    in_double,
)
from seqreg.certificates.euclidean import margin_lipschitz
from seqreg.certificates.influence import hamming_lipschitz, influences, largest_sums, symbol_influences
from seqreg.certificates.levenshtein import edit_certificate
from seqreg.certificates.lipschitz import LIPSCHITZ_RULES, LayerNorms, layer_norms, lipschitz_upper_bound
from seqreg.certificates.margins import margin_directions, margins, predicted_class, stands
from seqreg.certificates.radius import TOLERANCE, HammingCertificate, hamming_certificate
from seqreg.certificates.shift import certified_edit_shifts, certified_shifts

__all__ = [
    "LIPSCHITZ_RULES",
    "TOLERANCE",
    "CertifiedBatch",
    "CertifiedParts",
    "HammingCertificate",
    "LayerNorms",
    "certified_batch",
    "certified_edit_shifts",
    "certified_parts",
    "certified_shifts",
    "edit_certificate",
    "hamming_certificate",
    "hamming_lipschitz",
    "in_double",
    "influences",
    "largest_sums",
    "layer_norms",
    "lipschitz_upper_bound",
    "margin_directions",
    "margin_lipschitz",
    "margins",
    "predicted_class",
    "stands",
    "symbol_influences",
]
