"""A folder of `.pt` files, one for each sequence, as ESM's script `extract.py` writes it.

The one place where seqreg opens what is a pickle: PyTorch's own reader with `weights_only=True` gives tensors, numbers
and texts, and refuses everything else. A file is called by the header of its sequence, `/` in which made folders.
"""

import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.errors import InputError

_KINDS = ("mean_representations", "representations")


class PtFolder:
    """Files found by the whole header or its first word; of several layers the last is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not self._files:
            raise InputError("a folder without .pt files", file=path, remedy="Give what extract.py of ESM wrote.")

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """By the name of the file below the folder, and by its first word where there are more."""
        found: dict[str, list[Path]] = {}
        for file in sorted(self.path.rglob("*.pt")):
            header = file.relative_to(self.path).as_posix().removesuffix(".pt")
            found.setdefault(header, []).append(file)
            if (word := header.split(None, 1)[0]) != header:
                found.setdefault(word, []).append(file)
        return found

    def first(self) -> Path | None:
        """The first file."""
        return next(iter(self._files.values()))[0]

    def find(self, name: str) -> Path | None:
        """The file of an id. Raises InputError where there are several."""
        files = self._files.get(name, [])
        if len(files) > 1:
            problem = f"{len(files)} files for this id, {files[0].name!r} and {files[1].name!r}"
            raise InputError(problem, file=self.path, record_id=name, remedy="Keep one of them.")
        return files[0] if files else None

    def find_sequence(self, sequence: str) -> Path | None:
        """None: files are called by headers."""
        return None

    def read(self, place: Path) -> NDArray[Any]:
        """(D,), or (residues, D), of the last layer that is there."""
        try:
            content = torch.load(place, map_location="cpu", weights_only=True)
            kind = next(name for name in _KINDS if content.get(name))
            values = content[kind][max(content[kind])]
            return values.to(torch.float32).numpy() if values.dtype is torch.bfloat16 else np.asarray(values)
        except (StopIteration, AttributeError, TypeError):
            problem = "neither mean_representations nor representations are in it"
            raise InputError(problem, file=place, remedy="Run extract.py with --include mean.") from None
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            what = str(error).splitlines()[0]
            raise InputError(f"not a file of tensors alone: {what:.200}", file=place) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return PtFolder, (self.path,)
