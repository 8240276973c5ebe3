"""Vectors of sequences: the layouts that people have, written as the tools write them, and what is refused."""

import copy
import hashlib
import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import pytest
import torch

from seqreg.alphabet import PROTEIN
from seqreg.errors import InputError, UsageError
from seqreg.sequences import (
    InputSpec,
    SequenceSet,
    join_parts,
    read_input,
    read_store,
    read_strings,
    stream_batches,
    write_store,
)
from seqreg.vectors import VectorTable, named_tables, with_vectors

IDS = ["P1", "sp|P12345|KIN_HUMAN", "clone.7/a", "a/b", "5", "x.y"]
SEQUENCES = ["MKV", "ACDEF", "GGW", "LLLKK", "WYV", "MMMM"]
VECTORS = np.random.default_rng(0).normal(size=(len(IDS), 7)).astype(np.float32)
HEADERS = [f"{name} some protein, isoform 2" for name in IDS]


def key_is_id(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, vector in zip(IDS, VECTORS, strict=True):
            file.create_dataset(name, data=vector)  # `a/b` becomes a group


def biotrainer_by_number(path: Path) -> None:
    # bio_embeddings and biotrainer: numbers as keys, in another order, so that "5" is the key of another sequence.
    with h5py.File(path, "w") as file:
        for number, (name, vector) in enumerate(zip(IDS[::-1], VECTORS[::-1], strict=True)):
            file.create_dataset(str(number), data=vector, compression="gzip").attrs["original_id"] = name


def biotrainer_by_hash(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for sequence, vector in zip(SEQUENCES, VECTORS, strict=True):
            key = hashlib.sha256(f"{sequence}_{len(sequence)}".encode()).hexdigest()
            file.create_dataset(key, data=vector).attrs["original_id"] = "the first of many that have these letters"


def prott5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, vector in zip(IDS, VECTORS, strict=True):
            file.create_dataset(name.replace("/", "_").replace(".", "_"), data=vector)


def prott5_whole_headers(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for header, vector in zip(HEADERS, VECTORS, strict=True):
            file.create_dataset(header.replace("/", "_").replace(".", "_"), data=vector)


def per_residue(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, sequence, vector in zip(IDS, SEQUENCES, VECTORS, strict=True):
            around = np.random.default_rng(1).normal(size=(len(sequence), 7))
            file.create_dataset(name, data=vector + around - around.mean(0))


def esm_extract(path: Path, kind: str = "mean_representations") -> None:
    path.mkdir()
    for header, sequence, vector in zip(HEADERS, SEQUENCES, VECTORS, strict=True):
        file = path / f"{header}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        last = torch.from_numpy(vector)
        if kind == "representations":
            last = last.repeat(len(sequence), 1)
        torch.save({"label": header, kind: {6: torch.zeros_like(last), 33: last, 12: -last}}, file)


def npz(path: Path, save: Callable[..., None] = np.savez) -> None:
    save(path, ids=np.array(IDS), vectors=VECTORS)


def table(path: Path, mark: str = ",") -> None:
    rows = [mark.join([name, *map(repr, vector.tolist())]) for name, vector in zip(IDS, VECTORS, strict=True)]
    path.write_text("\n".join([mark.join(["id", *(f"d{i}" for i in range(7))]), *rows]) + "\n")


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "key is id": ("v.h5", key_is_id),
    "biotrainer, numbers": ("v.h5", biotrainer_by_number),
    "biotrainer, hashes": ("v.h5", biotrainer_by_hash),
    "ProtT5": ("v.h5", prott5),
    "ProtT5, whole headers": ("v.h5", prott5_whole_headers),
    "HDF5 per residue": ("v.h5", per_residue),
    "ESM, means": ("esm", esm_extract),
    "ESM, residues": ("esm", lambda path: esm_extract(path, "representations")),
    "npz": ("v.npz", npz),
    "npz, compressed": ("v.npz", lambda path: npz(path, np.savez_compressed)),
    "CSV": ("v.csv", table),
    "TSV": ("v.tsv", lambda path: table(path, "\t")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_give_the_vectors_of_the_ids_in_any_order(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    write(tmp_path / name)
    opened = VectorTable.open(tmp_path / name)
    assert opened.dimension == 7
    order = [3, 0, 5, 1, 4, 2]
    found = opened.take([IDS[i] for i in order], [SEQUENCES[i] for i in order])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, VECTORS[order], rtol=1e-5, atol=1e-6)
    for copied in (copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
        np.testing.assert_array_equal(copied.take(IDS[:2], SEQUENCES[:2]), opened.take(IDS[:2], SEQUENCES[:2]))


@pytest.mark.parametrize("name", ["v.parquet", "lists.parquet"])
def test_parquet(name: str, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet is read by an extra, pyarrow, which is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {f"d{i}": VECTORS[:, i] for i in range(7)} if name == "v.parquet" else {"embedding": VECTORS.tolist()}
    parquet.write_table(arrow.table({"id": IDS, **columns}), tmp_path / name)
    np.testing.assert_allclose(VectorTable.open(tmp_path / name).take(IDS[::-1], SEQUENCES), VECTORS[::-1], rtol=1e-6)


def test_a_sequence_without_an_id_is_called_by_its_number_and_letters(tmp_path: Path) -> None:
    table(tmp_path / "v.csv")
    opened = VectorTable.open(tmp_path / "v.csv")
    for letters, called in (("ACGT", "2, ACGT"), ("A" * 40, f"2, {'A' * 27}...")):
        with pytest.raises(InputError) as caught:
            opened.take([IDS[0], None], [SEQUENCES[0], letters])
        assert called in str(caught.value)


def test_half_precision_is_averaged_without_overflow(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("long", data=np.full((4000, 3), 60.0, dtype=np.float16))
        file.create_dataset("one", data=np.array([1, 2, 60000], dtype=np.float16))
    found = VectorTable.open(tmp_path / "v.h5").take(["long", "one"], ["A", "C"])
    np.testing.assert_array_equal(found, [[60, 60, 60], [1, 2, 60000]])


def refused(path: Path, *names: str) -> str:
    letters = [f"{'ACDEFGHIK'[i % 9]}" * (1 + i) for i in range(len(names))]
    with pytest.raises(InputError) as caught:
        VectorTable.open(path).take(names, letters)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_refused_names_file_and_id(tmp_path: Path) -> None:
    npz(tmp_path / "v.npz")
    message = refused(tmp_path / "v.npz", "P1", "absent", "also absent")
    assert "absent" in message
    assert "2 of 3 sequences" in message

    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("0", data=VECTORS[0]).attrs["original_id"] = "twice"
        file.create_dataset("1", data=VECTORS[1]).attrs["original_id"] = "twice"
        file.create_dataset("short", data=VECTORS[0][:5])
        file.create_dataset("bad", data=np.where(np.arange(7) == 3, np.nan, VECTORS[0]))
        file.create_dataset("cube", data=np.zeros((2, 2, 7)))
        file.create_dataset("a_b", data=VECTORS[0])
        file.create_dataset("text", data="not numbers")
    assert "2 vectors for this id" in refused(tmp_path / "v.h5", "0", "twice").replace("record 0", "")
    assert "the others of the file have 7 numbers" in refused(tmp_path / "v.h5", "short")
    assert "nan, which is not finite" in refused(tmp_path / "v.h5", "a_b", "bad")
    assert "no vector" in refused(tmp_path / "v.h5", "cube")
    assert "one vector for two sequences" in refused(tmp_path / "v.h5", "a/b", "a.b")
    assert "text" in refused(tmp_path / "v.h5", "text")

    np.savez(tmp_path / "double.npz", ids=np.array(["P1", "P1"]), vectors=VECTORS[:2])
    assert "a second vector for this id" in refused(tmp_path / "double.npz", "P1")
    np.savez(tmp_path / "other.npz", names=np.array(["P1", "P1"]), vectors=VECTORS[:2])
    assert "no array 'ids'" in refused(tmp_path / "other.npz", "P1")
    np.savez(tmp_path / "few.npz", ids=np.array(IDS[:2]), vectors=VECTORS)
    assert "2 ids, but 6 vectors" in refused(tmp_path / "few.npz", "P1")
    (tmp_path / "v.csv").write_text("id,d1,d2\nP1,1,2\nP2,1,heavy\n")
    message = refused(tmp_path / "v.csv", "P1")
    assert "heavy" in message
    assert "P2" in message
    (tmp_path / "empty").mkdir()
    assert "without .pt files" in refused(tmp_path / "empty", "P1")
    assert "no such file" in refused(tmp_path / "absent.npz", "P1")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    np.savez(tmp_path / "v.npz", ids=np.array([Trap()], dtype=object), vectors=VECTORS[:1])
    folder = tmp_path / "esm"
    folder.mkdir()
    torch.save({"mean_representations": {1: torch.zeros(3)}, "label": Trap()}, folder / "P1.pt")
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(Trap()))
    for name in ("v.npz", "esm", "v.pkl"):
        refused(tmp_path / name, "P1")
    assert not (tmp_path / "sprung").exists()


def test_letters_find_vectors_where_ids_are_not_known(tmp_path: Path) -> None:
    biotrainer_by_hash(tmp_path / "v.h5")
    np.testing.assert_array_equal(VectorTable.open(tmp_path / "v.h5")(SEQUENCES), VECTORS)
    npz(tmp_path / "v.npz")
    (tmp_path / "x.fa").write_text("".join(f">{n} more words\n{s}\n" for n, s in zip(IDS, SEQUENCES, strict=True)))
    known = VectorTable.open(tmp_path / "v.npz", sequences=tmp_path / "x.fa")
    for each in (known, pickle.loads(pickle.dumps(known))):
        np.testing.assert_array_equal(each([s.lower() for s in SEQUENCES[::-1]]), VECTORS[::-1])
    with pytest.raises(InputError, match="AAA"):
        known(["AAA"])


def test_a_table_is_found_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path / "v.npz")
    (tmp_path / "x.fa").write_text("".join(f">{n}\n{s}\n" for n, s in zip(IDS, SEQUENCES, strict=True)))
    monkeypatch.chdir(tmp_path)
    known = pickle.dumps(VectorTable.open("v.npz", sequences="x.fa"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(pickle.loads(known)(SEQUENCES), VECTORS)


class Lengths:
    """A language model whose vectors are lengths."""

    dimension = 1

    def __init__(self, *_: object) -> None: ...

    def __call__(self, sequences: list[str]) -> np.ndarray:
        return np.array([[len(sequence)] for sequence in sequences], dtype=np.float32)


@pytest.mark.parametrize("words", [(), ("--alphabet", "protein")])
def test_standard_input_is_embedded_whole(
    words: tuple[str, ...], tmp_path: Path, call: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fasta = "".join(f">{n}\n{s}\n" for n, s in zip(IDS, SEQUENCES, strict=True))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(fasta.encode())))
    monkeypatch.setattr("seqreg.vectors.language_model.LanguageModel", Lengths)
    done = call("embed", "-", "--with", "x", *words, "-o", tmp_path / "v.h5", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = VectorTable.open(tmp_path / "v.h5").take(IDS, SEQUENCES)
    np.testing.assert_array_equal(found[:, 0], [len(each) for each in SEQUENCES])


def a_set() -> SequenceSet:
    return read_strings(SEQUENCES, list("ababab"), names=IDS, alphabet="protein")


def test_options_name_the_tables(tmp_path: Path) -> None:
    npz(tmp_path / "v=1.npz")
    found = named_tables([f"esm2={tmp_path / 'v=1.npz'}"])
    assert found["esm2"].dimension == 7
    for wrong in ("v.npz", "=v.npz", "a.b=v.npz", "esm2="):
        with pytest.raises(UsageError, match="NAME=FILE"):
            named_tables([wrong])
    with pytest.raises(UsageError, match="twice"):
        named_tables([f"a={tmp_path / 'v=1.npz'}"] * 2)


def test_functions_give_vectors_too() -> None:
    data = with_vectors(a_set(), {"size": lambda texts: [[len(text), 1] for text in texts]})
    np.testing.assert_array_equal(data.vectors["size"][:, 0], list(map(len, SEQUENCES)))
    for wrong in (lambda texts: [1.0] * len(texts), lambda texts: np.zeros((2, 3)), lambda texts: [[np.inf]] * 6):
        with pytest.raises(UsageError, match="'size' gave"):
            with_vectors(a_set(), {"size": wrong})


def test_vectors_follow_their_sequences(tmp_path: Path) -> None:
    data = replace(a_set(), vectors={"esm2": VECTORS, "t5": 2 * VECTORS[:, :3]})
    order = np.array([4, 0, 1])
    np.testing.assert_array_equal(data.subset(order).vectors["t5"], 2 * VECTORS[order, :3])
    assert data.sha256 != a_set().sha256
    assert data.sha256 != replace(data, vectors={"esm2": VECTORS}).sha256
    assert data.content_sha256 == a_set().content_sha256
    both = join_parts({"train": data.subset(order), "test": data.subset(order[::-1])})
    np.testing.assert_array_equal(both.vectors["esm2"], VECTORS[[*order, *order[::-1]]])
    with pytest.raises(InputError, match="the test part has other vectors"):
        join_parts({"train": data, "test": a_set()})


def test_a_store_carries_vectors(tmp_path: Path) -> None:
    data = replace(a_set(), vectors={"esm2": VECTORS})
    write_store(tmp_path / "x.h5", data)
    found = read_store(tmp_path / "x.h5")
    np.testing.assert_array_equal(found.vectors["esm2"], VECTORS)
    assert found.sha256 == data.sha256
    assert read_input(InputSpec(input=tmp_path / "x.h5")).vectors.keys() == {"esm2"}
    pieces = list(stream_batches(InputSpec(input=tmp_path / "x.h5"), PROTEIN, batch=4))
    np.testing.assert_array_equal(np.concatenate([piece.vectors["esm2"] for piece in pieces]), VECTORS)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        assert file.attrs["schema"] == 2
        file["vectors/esm2"][0, 0] += 1
    with pytest.raises(InputError, match="damaged"):
        read_store(tmp_path / "x.h5")


def test_ids_of_two_files_are_known_by_what_each_file_calls_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=np.array(["x", "a/y", "b/y"]), vectors=VECTORS[:3])
    table = VectorTable.open(tmp_path / "v.npz")
    names, sequences = ["a/x", "b/x", "a/y", "b/y"], ["MKV", "MKV", "GGW", "LLL"]
    data = read_strings(sequences, list("abab"), names=names, alphabet="protein")
    np.testing.assert_array_equal(with_vectors(data, {"v": table}).vectors["v"], VECTORS[[0, 0, 1, 2]])
    other = read_strings(["MKV", "MKW", "GGW", "LLL"], list("abab"), names=names, alphabet="protein")
    with pytest.raises(InputError, match="one vector for two sequences"):
        with_vectors(other, {"v": table})
