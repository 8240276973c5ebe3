"""The closed-form RKHS norm of `smooth-cnn` as a penalty."""

from dataclasses import dataclass

from torch import Tensor

from seqreg.errors import UsageError, option
from seqreg.networks import InputView, SequenceNetwork
from seqreg.penalties.base import Penalty
from seqreg.specs import hyper


@dataclass(frozen=True, kw_only=True)
class RKHS(Penalty):
    """`weight * sum_k w_k^T M w_k`, an upper bound on the squared RKHS norms of the logits of `smooth-cnn`.

    M_cc' = (rho + s^2 cosh(rho / s^2)) / 2 with rho = <W_c, W_c'>; see `seqreg.networks.smooth` for the proof.
    """

    weight: float = hyper(1e-3, "strength lambda", low=0)

    def value(self, view: InputView, y: Tensor, progress: float) -> Tensor:
        """Penalty []; looks at the weights only. Raises UsageError for any other network."""
        squares = view.model.rkhs_norm_squared() if isinstance(view.model, SequenceNetwork) else None
        if squares is None:
            remedy = f"Use {option('model', 'smooth-cnn')}, or another penalty"
            raise UsageError(f"penalty rkhs knows the norm of smooth-cnn only. {remedy}")
        return self.weight * squares.sum()
