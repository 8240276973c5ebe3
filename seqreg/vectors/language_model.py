"""An encoder that `transformers` loads, as a function from sequences to vectors.

Read are folders in the form of `transformers`, or names of models that are in its cache already: nothing is downloaded.
What a model wants of a sequence is told by its kind: ProtT5 and ProtBERT read letters with a space between them, T5s by
their encoder alone, and U, Z, O and B as X; ESM-2, DNABERT-2 and the Nucleotide Transformer take the text as it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqreg.errors import ModelError, UsageError

TOKENS_PER_BATCH = 4096
_RARE = re.compile("[UZOB]")


class LanguageModel:
    """Vectors of sequences, by a model that stays on its device; half precision on a GPU, single on a processor.

    name: a folder, or the name of a cached model. Raises UsageError without transformers, ModelError for what it cannot
    load. It is shared, not copied. report: told while vectors are computed of how many there have been since the start.
    """

    def __init__(self, name: str | Path, device: str | torch.device = "cpu") -> None:
        try:
            transformers: Any = import_module("transformers")
        except ImportError:
            raise UsageError(
                "language models are run by the package transformers: install it (the extra embed of seqreg)"
            ) from None
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.name, self.device = str(name), torch.device(device)
        source = str(Path(name).resolve()) if Path(name).is_dir() else str(name)
        try:
            about = transformers.AutoConfig.from_pretrained(source, local_files_only=True)
            self._t5 = about.model_type == "t5"
            kind: Any = transformers.T5EncoderModel if self._t5 else transformers.AutoModel
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(source, local_files_only=True)
            # Weights as safetensors hold them, or as PyTorch reads them without running anything.
            model = kind.from_pretrained(source, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"{name} is no language model that transformers loads from here ({what:.200}). Give its folder, or "
                "download it first: nothing is fetched from the network"
            ) from None
        self._model = model.to(self.device, torch.float16 if self.device.type == "cuda" else torch.float32).eval()
        self.report: Callable[[int], None] | None = None
        self._embedded = 0
        self._spaced = self._t5 or (about.model_type == "bert" and about.vocab_size <= len("ACDEFGHIKLMNPQRSTVWY") + 20)
        self.dimension = int(getattr(about, "hidden_size", None) or about.d_model)

    def __call__(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """(n, D) means over the residues, or over the tokens of several letters where these are what is read."""
        found = np.empty((len(sequences), self.dimension), dtype=np.float32)
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        for rows in _batches([len(sequences[i]) for i in order]):
            chosen = [order[row] for row in rows]
            for i, states in zip(chosen, self.residues([sequences[i] for i in chosen]), strict=True):
                found[i] = states.mean(0)
            self._embedded += len(chosen)
            if self.report is not None:
                self.report(self._embedded)
        return found

    @torch.inference_mode()
    def residues(self, sequences: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """(residues, D) last hidden states of each sequence of a batch, special tokens left out.

        Raises UsageError for a sequence longer than the model reads.
        """
        texts = [self._text(sequence) for sequence in sequences]
        tokens = self._tokenizer(texts, return_tensors="pt", padding=True, return_special_tokens_mask=True)
        special = tokens.pop("special_tokens_mask").bool()
        most = getattr(self._model.config, "max_position_embeddings", None)
        if not self._t5 and most is not None and tokens["input_ids"].shape[1] > most:
            longest = max(map(len, sequences))
            raise UsageError(f"{self.name} reads at most {most:,} tokens; a sequence has {longest:,} letters. Cut it")
        taken = {name: tokens[name].to(self.device) for name in ("input_ids", "attention_mask")}
        states = self._model(**taken).last_hidden_state
        kept = taken["attention_mask"].bool() & ~special.to(self.device)
        for row, mask in zip(states, kept, strict=True):
            if not bool(mask.any()):
                raise UsageError(f"{self.name} reads no letter of a sequence: its vocabulary is another one")
            yield row[mask].float().cpu().numpy()

    def _text(self, sequence: str) -> str:
        return " ".join(_RARE.sub("X", sequence.upper())) if self._spaced else sequence.upper()

    def __deepcopy__(self, memo: object) -> Self:
        return self


def _batches(lengths: Sequence[int]) -> Iterator[range]:
    """Ranges of sequences, sorted by length, that hold about TOKENS_PER_BATCH letters when padded."""
    start = 0
    for stop, length in enumerate(lengths):
        if stop > start and (stop + 1 - start) * (length + 2) > TOKENS_PER_BATCH:
            yield range(start, stop)
            start = stop
    yield range(start, len(lengths))
