"""What can be written as `NAME:key=value,...` in the settings of a training: each family once, by its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqreg.attacks import ATTACKS
from seqreg.constraints import CONSTRAINTS
from seqreg.deformations import AUGMENTATIONS
from seqreg.networks import ENCODINGS, MODELS
from seqreg.penalties import PENALTIES
from seqreg.specs import Spec, resolve, write


@dataclass(frozen=True, kw_only=True)
class Family:
    """kind: what one member is called in errors. members: by name."""

    kind: str
    members: Mapping[str, type[Spec]]

    def resolve(self, value: Any) -> Any:
        """The object of a text; objects and callables as they are, several one by one."""
        if isinstance(value, list | tuple):
            return tuple(map(self.resolve, value))
        return resolve(self.kind, self.members, value)

    def written(self, value: Any) -> Any:
        """The text of an object, several one by one; what is no member of the family as Python shows it."""
        if isinstance(value, list | tuple):
            return [self.written(each) for each in value]
        if value is None or isinstance(value, str):
            return value
        return write(self.members, value) if isinstance(value, Spec) else repr(value)


FAMILIES: dict[str, Family] = {
    "model": Family(kind="model", members=MODELS),
    "encoding": Family(kind="encoding", members=ENCODINGS),
    "penalty": Family(kind="penalty", members=PENALTIES),
    "constraint": Family(kind="constraint", members=CONSTRAINTS),
    "attack": Family(kind="attack", members=ATTACKS),
    "augment": Family(kind="augmentation", members=AUGMENTATIONS),
}
