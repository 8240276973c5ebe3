"""Terms added to the loss.

One contract: a member of `PENALTIES` is a `Penalty`, a frozen spec called `penalty(model, x, y, *, progress=1.0)` that
gives a Tensor [], differentiable in the weights of the model, which may be any network over one-hot x (N, A, L); see
`Penalty.__call__` for all it takes. `progress` in [0, 1] is how far training has come. All derivatives and
perturbations are with respect to one-hot x and zero on padding. A penalty is finite where gradients vanish, is
computed in single precision at least, and leaves no trace: no `.grad`, no training flag, no buffer, no random number of
the caller's. A network in training mode is called as it is; if it is not one of seqreg's, the whole batch is scored in
every call, with the dropout of one (`seqreg.networks.foreign`).
"""

from seqreg.penalties.adversarial import Adversarial
from seqreg.penalties.base import Penalty
from seqreg.penalties.deformation import Deformation, Tangent
from seqreg.penalties.gradient import Gradient, LossGradient
from seqreg.penalties.hamming import Certified, Hamming
from seqreg.penalties.rkhs import RKHS
from seqreg.penalties.spectral import Spectral
from seqreg.penalties.virtual_adversarial import VirtualAdversarial
from seqreg.penalties.weight_decay import WeightDecay
from seqreg.specs import Spec

__all__ = [
    "PENALTIES",
    "RKHS",
    "Adversarial",
    "Certified",
    "Deformation",
    "Gradient",
    "Hamming",
    "LossGradient",
    "Penalty",
    "Spectral",
    "Tangent",
    "VirtualAdversarial",
    "WeightDecay",
]

PENALTIES: dict[str, type[Spec]] = {
    "weight-decay": WeightDecay,
    "gradient": Gradient,
    "adversarial": Adversarial,
    "loss-gradient": LossGradient,
    "virtual-adversarial": VirtualAdversarial,
    "deformation": Deformation,
    "tangent": Tangent,
    "spectral": Spectral,
    "rkhs": RKHS,
    "hamming": Hamming,
    "certified": Certified,
}
"""The penalties people choose by name."""
