"""The HDF5 store and the named data sets: what is kept comes back, and what is foreign or damaged is refused."""

import errno
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from seqreg.alphabet import PROTEIN
from seqreg.errors import DiskFullError, InputError, UsageError
from seqreg.sequences import (
    InputSpec,
    SequenceSet,
    check_data_set,
    find_data_set,
    list_data_sets,
    read_input,
    read_store,
    read_strings,
    stream_batches,
    table_of,
    tasks_of,
    write_store,
)
from seqreg.targets import Classes
from tests.test_reading import dataset

FIELDS = ("codes", "offsets", "y", "group", "weight")


def example(n: int = 23) -> SequenceSet:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWYXBZJ"), size=5 + i)) for i in range(n)]
    return read_strings(
        texts,
        [("ä;x", "x", "z")[i % 3] for i in range(n)],
        names=[f"näme{i}" for i in range(n)],
        groups=["", "g", "Größe"] * 7 + ["h", ""],
        weights=np.arange(n) / 7,
    )


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    sequences = example()
    write_store(tmp_path / "x.h5", sequences)
    again = read_store(tmp_path / "x.h5")
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(again, field), getattr(sequences, field))
    assert list(again.names) == list(sequences.names)
    assert (again.classes, again.alphabet, again.sha256) == (sequences.classes, PROTEIN, sequences.sha256)
    assert list(tmp_path.iterdir()) == [tmp_path / "x.h5"]


def test_remarks_and_the_positive_class_are_kept(tmp_path: Path) -> None:
    for sequences in (read_input(InputSpec(input="amp")), read_strings(["MUK"])):
        write_store(tmp_path / "x.h5", sequences)
        again = read_store(tmp_path / "x.h5")
        assert (again.warnings, again.target, again.y is None) == (
            sequences.warnings,
            sequences.target,
            sequences.y is None,
        )


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_a_store_streams(batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqreg.sequences.store._CHUNK", 16)
    monkeypatch.setattr("seqreg.sequences.stream._MOST_LETTERS", 60)
    sequences = example()
    write_store(tmp_path / "x.h5", sequences)
    pieces = list(stream_batches(InputSpec(input=tmp_path / "x.h5"), PROTEIN, batch=batch))
    assert max(len(piece) for piece in pieces) <= batch
    assert max(len(piece.codes) for piece in pieces) <= 60
    assert [name for piece in pieces for name in piece.names] == list(sequences.names)
    np.testing.assert_array_equal(np.concatenate([piece.codes for piece in pieces]), sequences.codes)


def change(**attributes: object) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs.update(attributes)

    return spoil


def without(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]

    return spoil


def flipped(path: Path) -> None:
    """A changed byte within the letters."""
    with h5py.File(path, "r") as file:
        place = file["codes"].id.get_chunk_info(0).byte_offset
    raw = bytearray(path.read_bytes())
    raw[place + 3] ^= 0x55
    path.write_bytes(raw)


def replaced(path: Path) -> None:
    """Letters that are valid, but not those that were written."""
    with h5py.File(path, "r+") as file:
        file["codes"][0] = (file["codes"][0] + 1) % 20


def impossible(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["codes"][0] = 200


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["matrix"] = np.arange(6)


def lengthened(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["lengths"][0] += 1


def emptied(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["lengths"][1] += file["lengths"][0]
        file["lengths"][0] = 0


def nested(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            file.create_group(name)

    return spoil


def flat(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = np.arange(3)

    return spoil


def unsaid(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs[name]


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "foreign": (foreign, "HDF5 file of another program"),
    "newer": (change(schema=3), "a store of schema 3; this version of seqreg reads schemas 1 and 2"),
    "cut": (cut, "the store is damaged"),
    "flipped": (flipped, "the store is damaged"),
    "replaced": (replaced, "its checksum does not fit"),
    "impossible": (impossible, "a code outside the alphabet"),
    "no letters": (without("codes"), "the store is damaged"),
    "no names": (without("names"), "the store is damaged"),
    "other symbols": (change(symbols="ACGT"), "symbols ACGT are not those"),
    "unknown alphabet": (change(alphabet="klingon"), "the store is damaged"),
    "a length too many": (lengthened, "lengths and letters do not fit"),
    "a length of 0": (emptied, "lengths and letters do not fit"),
    "a folder for an array": (nested("lengths"), "lengths is not a data set"),
    "an array for a text": (flat("names"), "names is not a text"),
    "no checksum": (lambda path: unsaid(path, "sha256"), "the store is damaged"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_foreign_and_damaged_stores_are_refused(case: str, tmp_path: Path) -> None:
    spoil, message = DAMAGED[case]
    path = tmp_path / "x.h5"
    write_store(path, example())
    spoil(path)
    with pytest.raises(InputError, match=message) as caught:
        read_input(InputSpec(input=path))
    assert "x.h5" in str(caught.value)


def test_the_data_sets_that_come_along() -> None:
    assert {"amp", "splice"} <= {entry.name for entry in list_data_sets()}
    for name, n in (("splice", 3000), ("amp", 4620)):
        outcome = check_data_set(name)
        assert outcome.problem is None
        assert outcome.sequences == sum(outcome.classes.values()) == n
        data_set = find_data_set(name)
        assert data_set.licence
        assert (data_set.folder / "README.md").is_file()
        sequences = read_input(InputSpec(input=name))
        assert (sequences.lengths.min(), sequences.lengths.max()) == (data_set.lengths[0], data_set.lengths[2])


TABLE = "id,sequence,label\na,ACGT,on\nb,ACC,off\nc,AAA,on\n"


def test_more_data_sets_are_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset(tmp_path, TABLE, positive="off")
    with pytest.raises(UsageError, match="Unknown data set 'toy'"):
        find_data_set("toy")
    monkeypatch.setenv("SEQREG_DATA", f"/nowhere:{tmp_path}")
    assert "toy" in [entry.name for entry in list_data_sets()]
    sequences = read_input(InputSpec(input="toy", require_labels=True))
    assert sequences.target == Classes(names=("off", "on"), asked_for="off")
    assert check_data_set("toy").classes == {"off": 1, "on": 2}


def test_a_changed_table_is_refused(tmp_path: Path) -> None:
    home = dataset(tmp_path, TABLE)
    raw = (home / "sequences.csv.gz").read_bytes()
    (home / "sequences.csv.gz").write_bytes(raw + b" ")
    with pytest.raises(InputError, match=r"sequences.csv.gz: SHA-256 is .*, but dataset.toml says"):
        read_input(InputSpec(input=home))
    assert "SHA-256" in str(check_data_set(home).problem)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "regression"}, "no column 'value'"),
        ({"kind": "clustering"}, "dataset.toml: kind 'clustering' is none of classification"),
        ({"alphabet": "klingon"}, "alphabet 'klingon' is none of dna"),
        ({"licence": None}, "no entry 'licence'"),
        ({"positive": "maybe"}, "positive 'maybe' is none of its classes"),
        ({"classes": ["on"]}, r"record 2 \(b\): label 'off' is not a class"),
    ],
)
def test_an_impossible_description_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    home = dataset(tmp_path, TABLE, **changes)
    with pytest.raises(InputError, match=message):
        read_input(InputSpec(input=home))


def test_a_homology_set_has_tasks_but_no_labels(tmp_path: Path) -> None:
    text = "id,sequence,scop\na,MKV,1.1\nb,MKL,1.2\n"
    home = dataset(tmp_path, text, kind="homology-membership", alphabet="protein", classes=None, tasks="tasks.csv")
    (home / "tasks.csv").write_text("task,id,role\nt,a,train+\nt,b,test-\n")
    assert check_data_set(home).problem is None
    assert len(read_input(InputSpec(input=home))) == 2
    with pytest.raises(InputError, match="of kind homology-membership: it has tasks, not labels"):
        read_input(InputSpec(input=home, require_labels=True))
    assert [row["scop"] for row in table_of(find_data_set(home))] == ["1.1", "1.2"]
    assert [row["role"] for row in tasks_of(find_data_set(home))] == ["train+", "test-"]
    with pytest.raises(InputError, match="has no tasks"):
        tasks_of(find_data_set("amp"))
    (home / "tasks.csv").write_text("task,id\nt,a\n")
    assert "no column 'role'" in str(check_data_set(home).problem)


def test_the_embedded_files_are_those_described() -> None:
    for name in ("amp", "splice"):
        data_set = find_data_set(name)
        assert hashlib.sha256(data_set.path.read_bytes()).hexdigest() == data_set.sha256


@pytest.mark.parametrize("room", [0, 700, 5_000, 20_000])
def test_a_full_disk_is_named_and_nothing_is_left(
    room: int, dna: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDF5 crashes where a write fails under it."""
    large = dna.subset(np.arange(6000) % len(dna))

    class Full(io.FileIO):
        left = room

        def write(self, data: Any) -> int:
            Full.left -= len(data)
            if Full.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr("seqreg.writing.os.fdopen", lambda number, mode, **_: Full(number, mode))
    with pytest.raises(DiskFullError, match=r"cannot write .*full\.h5: No space left on device"):
        write_store(tmp_path / "full.h5", replace(large, names=[str(i) for i in range(6000)]))
    assert list(tmp_path.iterdir()) == []


def test_a_store_ends_with_a_checksum_that_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself crashes the process at some wrong bytes: it must not see them."""
    path = tmp_path / "x.h5"
    write_store(path, read_strings(["ACGT", "AAGT"], ["x", "y"], alphabet="dna"))
    raw = path.read_bytes()
    assert raw[-9:] == b"%08x\n" % zlib.crc32(raw[: -len(b"\nseqreg crc32 00000000\n")])
    damaged = bytearray(raw)
    damaged[849:851] = b"8p"
    path.write_bytes(damaged)
    with monkeypatch.context() as patched:
        patched.setattr("h5py.File", None)
        with pytest.raises(InputError, match="damaged: its checksum does not fit"):
            read_store(path)
    path.write_bytes(raw[: -len(b"\nseqreg crc32 00000000\n")])  # as older versions wrote it
    assert read_store(path).sequence(1) == "AAGT"
