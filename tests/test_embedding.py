"""`seqreg embed` with small language models, made at random and written as their authors write theirs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch

from seqreg.errors import ModelError, UsageError
from seqreg.sequences import SequenceSet
from seqreg.vectors import VectorTable
from tests.conftest import planted

transformers = pytest.importorskip("transformers", reason="language models are run by an extra, transformers")

from seqreg.alphabet import PROTEIN  # noqa: E402
from seqreg.vectors import language_model  # noqa: E402
from seqreg.vectors.embedding import embed  # noqa: E402
from seqreg.vectors.language_model import LanguageModel  # noqa: E402

LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def esm(folder: Path) -> None:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", *LETTERS, ".", "-", "<mask>"]))
    transformers.EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    about = transformers.EsmConfig(vocab_size=32, pad_token_id=1, mask_token_id=31, max_position_embeddings=100, **size)
    transformers.EsmModel(about, add_pooling_layer=False).save_pretrained(folder)


def bert(folder: Path) -> None:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]))
    transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    size = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(vocab_size=30, **size)).save_pretrained(folder)


def t5(folder: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    folder.mkdir()
    text = folder / "text.txt"
    text.write_text("\n".join([*(" ".join(LETTERS) for _ in range(50)), "and a few other words, of a length"]))
    whole = [f"▁{letter}" for letter in LETTERS]  # the pieces of ProtT5
    spm.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spiece"), vocab_size=60, model_type="unigram", pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2, user_defined_symbols=whole,
    )  # fmt: skip
    # As the folder of ProtT5 has it: no tokenizer.json.
    about = {"tokenizer_class": "T5Tokenizer", "do_lower_case": False, "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    about = transformers.T5Config(vocab_size=128, d_model=12, d_kv=6, d_ff=16, num_layers=2, num_heads=2)
    transformers.T5ForConditionalGeneration(about).save_pretrained(folder)


KINDS = {"esm": esm, "bert": bert, "t5": t5}


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / request.param
    KINDS[request.param](folder)
    return LanguageModel(folder)


def proteins(n: int = 9) -> SequenceSet:
    return planted(PROTEIN, "WKHFCC", n=n, shortest=7, longest=30)


def test_vectors_are_means_over_residues_whatever_the_batch(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = proteins()
    texts = [data.sequence(i) for i in range(len(data))]
    alone = [next(iter(model.residues([text]))) for text in texts]
    assert [len(states) for states in alone] == data.lengths.tolist()  # no start, no end, no padding
    found = model(texts)
    assert found.shape == (9, model.dimension) == (9, 12)
    np.testing.assert_allclose(found, [states.mean(0) for states in alone], atol=1e-5)
    monkeypatch.setattr(language_model, "TOKENS_PER_BATCH", 40)
    told: list[int] = []
    monkeypatch.setattr(model, "report", told.append)
    np.testing.assert_allclose(model(texts), found, atol=1e-5)
    assert len(told) > 2  # batches
    assert told[-1] - told[0] < 9 <= told[-1]
    assert np.ptp(found, axis=0).max() > 1e-3  # letters matter
    np.testing.assert_array_equal(model([texts[0].lower()]), model([texts[0]]))


def test_a_file_of_vectors_is_read_again(model: LanguageModel, tmp_path: Path) -> None:
    data = proteins()
    names = ["a/b", "a.b", "a_b", "sp|P1|X", *data.names[4:]]
    data = replace(data, names=names)
    texts = [data.sequence(i) for i in range(len(data))]
    assert embed([data.subset(np.arange(4)), data.subset(np.arange(4, 9))], model, tmp_path / "v.h5") == (9, 12)
    np.testing.assert_allclose(VectorTable.open(tmp_path / "v.h5").take(names, texts), model(texts), atol=2e-3)
    embed([data], model, tmp_path / "r.h5", per_residue=True)
    np.testing.assert_allclose(VectorTable.open(tmp_path / "r.h5").take(names, texts), model(texts), atol=2e-3)


def test_what_cannot_be_embedded_is_refused(tmp_path: Path) -> None:
    esm(tmp_path / "esm")
    with pytest.raises(UsageError, match="at most 100 tokens"):
        LanguageModel(tmp_path / "esm")(["A" * 101])
    with pytest.raises(ModelError, match="nothing is fetched"):
        LanguageModel(tmp_path / "absent")


def test_the_command_goes_on_where_it_was_killed(
    call: Callable[..., CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    esm(tmp_path / "esm")
    data = proteins(20)
    (tmp_path / "x.fa").write_text("".join(f">{n}\n{data.sequence(i)}\n" for i, n in enumerate(data.names)))
    monkeypatch.setattr("seqreg.vectors.embedding.AT_ONCE", 6)
    words = ("embed", tmp_path / "x.fa", "--with", tmp_path / "esm", "--device", "cpu", "-o")
    whole = call(*words, tmp_path / "whole.h5")
    assert whole.returncode == 0, whole.stderr
    asked: list[int] = []
    plain = LanguageModel.__call__

    def killed(self: LanguageModel, sequences: list[str]) -> np.ndarray:
        asked.append(len(sequences))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return plain(self, sequences)

    monkeypatch.setattr(LanguageModel, "__call__", killed)
    assert call(*words, tmp_path / "v.h5").returncode == 130
    assert not (tmp_path / "v.h5").exists()
    assert call(*words, tmp_path / "v.h5").returncode == 0
    assert asked == [6, 6, 6, 6, 2]  # the first twelve were not computed again
    found, wanted = (VectorTable.open(tmp_path / name) for name in ("v.h5", "whole.h5"))
    texts = [data.sequence(i) for i in range(20)]
    np.testing.assert_array_equal(found.take(data.names, texts), wanted.take(data.names, texts))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["esm", "v.h5", "whole.h5", "x.fa"]
