"""Terms added to the loss.

One contract: a member of `PENALTIES` is a spec with `penalty(model, x, y, *, progress=1.0, lengths=None) -> Tensor []`,
differentiable in the weights of `model`. x is ids (N, L) uint8 for seqreg's networks, or one-hot (N, A, L) for any
`torch.nn.Module` over it; `lengths` (N,) go with one-hot x of unequal lengths; y are the targets; `progress` in
[0, 1] is how far training has come. All derivatives and perturbations are with respect to one-hot x and zero on
padding. A penalty is finite where gradients vanish, and leaves no trace: no `.grad`, no training flag, no random
number of the caller's; a network in training mode is called as it is, with dropout at work in every call.
"""

from seqreg.penalties.adversarial import Adversarial
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
