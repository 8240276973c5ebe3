"""Worst-case inputs.

One contract: a member of `ATTACKS` is an `Attack`, a frozen spec called `attack(model, x, y)` that gives x_adv of the
batch's shape, as one-hot (N, A, L) or as ids (N, L); see `Attack.__call__` for all it takes, which is what penalties
take. Nothing outside is touched: no `.grad`, no training flag, no buffer, no random number of the caller's.
Searches (`beam_search`, `exhaustive_search`) say in full which edits they found.
"""

from seqreg.attacks.allowed import RULES, Allowed
from seqreg.attacks.ascent import Point, ascend, origin
from seqreg.attacks.base import Attack
from seqreg.attacks.beam import Beam
from seqreg.attacks.exhaustive import exhaustive_search
from seqreg.attacks.found import FoundEdits
from seqreg.attacks.pgd import PGD
from seqreg.attacks.search import beam_search
from seqreg.attacks.substitution import Substitution
from seqreg.attacks.variant import AppliedEdit, apply_edits, read_edits
from seqreg.specs import Spec

__all__ = [
    "ATTACKS",
    "PGD",
    "RULES",
    "Allowed",
    "AppliedEdit",
    "Attack",
    "Beam",
    "FoundEdits",
    "Point",
    "Substitution",
    "apply_edits",
    "ascend",
    "beam_search",
    "exhaustive_search",
    "origin",
    "read_edits",
]

ATTACKS: dict[str, type[Spec]] = {
    "beam": Beam,
    "pgd": PGD,
    "substitution": Substitution,
}
"""The attacks people choose by name."""
