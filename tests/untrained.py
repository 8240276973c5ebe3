"""Networks before training, as `load_trained` would give them: a test says only what it is about."""

from typing import Any

from seqreg.predictors.network import Architecture, TrainedNetwork
from seqreg.sequences import SequenceSet
from seqreg.targets import Classes


def untrained(model: str, data: SequenceSet | None = None, **fields: Any) -> TrainedNetwork:
    """A network of this spec for the data, or else for two classes of DNA of 30 letters.

    fields: those of its `Architecture` that differ.
    """
    about: dict[str, Any] = {
        "encoding": "one-hot",
        "alphabet": "dna",
        "target": Classes(names=("a", "b"), asked_for="b"),
        "length": 30,
        "reverse_complement": False,
    }
    if data is not None:
        own = {"alphabet": data.alphabet.name, "length": int(data.lengths.max()), "shortest": int(data.lengths.min())}
        about |= own | ({} if data.target is None else {"target": data.target})
    about |= fields
    architecture = Architecture(model=model, **{"shortest": about["length"], **about})
    return TrainedNetwork(architecture=architecture, module=architecture.build())
