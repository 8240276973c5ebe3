"""A skip connection."""

from torch import Tensor, nn

from seqreg.errors import UsageError


class Residual(nn.Sequential):
    """`x + layers(x)`, the layers applied one after another; they keep the shape of x."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name torch gives it
        """Same shape as the input. Raises UsageError where the layers change it, rather than let the sum broadcast."""
        change = super().forward(input)
        if change.shape != input.shape:
            raise UsageError(
                f"the layers of a Residual keep the shape; these turn {tuple(input.shape)} into {tuple(change.shape)}"
            )
        return input + change
