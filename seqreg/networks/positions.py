"""A linear function of the letter at each of the first positions, as a part of a sum."""

from seqreg.alphabet import Alphabet
from seqreg.networks.convnet import ConvNet
from seqreg.networks.encodings import identity


def positional_linear(alphabet: Alphabet, *, outputs: int, length: int, reverse_complement: bool = False) -> ConvNet:
    """A weight for each letter at each of the first `length` positions: one filter per letter, kept by position.

    Only its head is trained.
    """
    model = ConvNet(
        alphabet,
        identity(alphabet.size),
        channels=[alphabet.size],
        widths=[1],
        outputs=outputs,
        length=length,
        activation="identity",
        pooling="position",
        reverse_complement=reverse_complement,
    )
    model.fix_filters(identity(alphabet.size)[:, :, None], 0.0)
    return model
