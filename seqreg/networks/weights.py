"""The weights of any network, by the layers they belong to."""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from seqreg.errors import UsageError
from seqreg.networks.foreign import kept_buffers
from seqreg.spectral import LinearMap, linear_maps

# Their scales shape no map of their own, whatever their number of dimensions.
_NORMALIZATION = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # pyright: ignore[reportPrivateUsage]


class Weight(NamedTuple):
    """A trained tensor of two or more dimensions that a layer computes with.

    name: "encoder.0.weight". attribute: "weight", its name in the layer. computed: whether the layer makes it of other
    tensors (weight normalisation), so that it cannot be written to.
    """

    name: str
    layer: nn.Module
    attribute: str
    tensor: Tensor
    computed: bool


def weights_of(model: nn.Module) -> Iterator[Weight]:
    """All weights of the layers of a model, in their order; no biases and no normalization layers.

    A tensor that layers share comes with each of them. Raises UsageError for weight normalisation in its old form,
    which leaves the weight of the last forward pass behind, and for a layer that has seen no input yet.
    """
    for path, layer in model.named_modules():
        if isinstance(layer, _NORMALIZATION) or "parametrizations." in path:
            continue
        own = dict(layer.named_parameters(recurse=False))
        place = f"{path}." if path else ""
        if "weight_g" in own and "weight_v" in own:
            raise UsageError(
                f"layer {path!r} is under torch.nn.utils.weight_norm, which is out of use: take "
                "torch.nn.utils.parametrizations.weight_norm"
            )
        if is_parametrized(layer):
            for attribute, sources in layer.parametrizations.items():  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
                with kept_buffers(layer):
                    tensor = getattr(layer, attribute)
                if tensor.dim() > 1 and any(source.requires_grad for source in sources.parameters()):
                    yield Weight(place + attribute, layer, attribute, tensor, computed=True)
        for attribute, tensor in own.items():
            if isinstance(tensor, nn.UninitializedParameter):
                raise UsageError(f"layer {path!r} has no weights before its first input: call the network once")
            if tensor.requires_grad and tensor.dim() > 1:
                yield Weight(place + attribute, layer, attribute, tensor, computed=False)


def linear_maps_of(model: nn.Module, mode: str, asked_by: str) -> list[tuple[Weight, list[LinearMap]]]:
    """The weights of a model that are linear maps with a norm of this mode, and these maps.

    A warning names the weights that are not, once for each model of that make. Raises UsageError if none is.
    """
    known, others = [], []
    for weight in weights_of(model):
        maps = linear_maps(weight.layer, weight.attribute, weight.tensor)
        if maps and all(each.known(mode) for each in maps):
            known.append((weight, maps))
        else:
            others.append(f"{weight.name} ({type(weight.layer).__name__}, {tuple(weight.tensor.shape)})")
    if not known:
        left = f": not of {', '.join(others)}" if others else ""
        raise UsageError(f"{type(model).__name__} has no trained weight whose {mode} norm {asked_by} knows{left}")
    if others:
        _warn_once(f"{asked_by} leaves out weights of which it knows no {mode} norm: {', '.join(others)}")
    return known


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=2)
