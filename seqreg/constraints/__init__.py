"""Constraints: projections of a network after each optimizer step.

One contract: `constraint.project_(model, epoch) -> None` changes the weights of any `torch.nn.Module` in place, after
`optimizer.step()`, such that the constraint holds; epoch counts from 0. It is idempotent, leaves a model that obeys
already as it is, keeps gradients and optimizer state, and asks no value back from the device. Weights that it has no
norm for are named in a warning, once; a model with no others is refused.
"""

from seqreg.constraints.spectral_norm import SpectralNorm
from seqreg.specs import Spec

__all__ = ["CONSTRAINTS", "SpectralNorm"]

CONSTRAINTS: dict[str, type[Spec]] = {"spectral-norm": SpectralNorm}
