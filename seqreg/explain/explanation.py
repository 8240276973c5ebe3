"""An explanation of a network on sequences: a record in Python, a folder of files on disk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqreg.errors import InputError
from seqreg.explain.attributions import BASELINE, STEPS, attributions, demand_attributions
from seqreg.explain.catalogue import Motif, find_motifs
from seqreg.explain.figures import draw_attribution, draw_motif
from seqreg.explain.meme import meme
from seqreg.predictors import ByFold, TrainedNetwork
from seqreg.records import write_json, write_tsv
from seqreg.sequences import Attribution, SequenceSet, read_attributions, write_attributions
from seqreg.sequences.attributions import holds_attributions
from seqreg.writing import atomic_write, refuse_to_replace

ATTRIBUTIONS = "attributions.h5"  # written before all else
NAMES = (ATTRIBUTIONS, "motifs.meme", "motifs.tsv", "logos", "explain.json", "explain.html")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A sequence of which pictures are drawn.

    index: its place in the input, from 0. label: empty where none is known. prediction, p: the most probable class and
    its probability. target: the class whose logit is drawn, in favour of which letters stand above the line: the
    positive one of two. k: the index of that logit.
    """

    index: int
    id: str
    label: str
    prediction: str
    p: float
    target: str
    k: int


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What moves a network's scores of N sequences, letter by letter, and the motifs it finds in them.

    letters: the A letters, in the order of the axis. classes: sorted names. logit_of: the K classes that the logits
    speak for: the positive one of two classes, otherwise all of them.
    sequences: an `Attribution` for each: logits (K,), mutagenesis (l, A, K), gradient_times_input (l, K) and
    integrated_gradients (l, K), all in logits. motifs: most important first.
    """

    letters: str
    classes: tuple[str, ...]
    logit_of: tuple[str, ...]
    sequences: tuple[Attribution, ...]
    motifs: tuple[Motif, ...]


def explain(network: TrainedNetwork, sequences: SequenceSet, *, batch: int = 64, steps: int = STEPS) -> Explanation:
    """Everything in memory: 4 (A + 2) K bytes per letter."""
    found = tuple(attributions(network, sequences, batch=batch, steps=steps))
    p = _probabilities(ByFold.alone(network, len(found)), [each.logits for each in found])
    return Explanation(
        letters=network.alphabet.letters,
        classes=network.target.names,
        logit_of=network.target.logit_of,
        sequences=found,
        motifs=tuple(motifs_of(network, sequences, p)),
    )


def write_explanation(
    folder: Path,
    network: TrainedNetwork,
    sequences: SequenceSet,
    *,
    model_sha256: str,
    unseen: ByFold | None = None,
    run: str = "",
    pictures: int = 12,
    show: Sequence[str] = (),
    batch: int = 64,
    progress: Callable[[float, float], object] | None = None,
) -> None:
    """Write attributions.h5, motifs.meme, motifs.tsv, logos/*.svg and, last, explain.json.

    unseen: the networks of a cross-validation; then attributions and predictions are those of the one that has not seen
    the sequence, while motifs are those of `network`.
    pictures: how many sequences are drawn, the most confident of each predicted class in turn. show: ids of sequences
    that are drawn besides, before them. Raises InputError for an id that is not there, and UsageError for a network
    that has no attributions, and where a file or folder of one of these names is there already, and no attributions
    of seqreg's with it.
    """
    demand_attributions(network)
    if not holds_attributions(folder / ATTRIBUTIONS):
        refuse_to_replace(folder, NAMES)
    absent = [name for name in show if name not in set(sequences.names)]
    if absent:
        raise InputError(f"no sequence {absent[0]!r} to show", file=sequences.source, remedy="Give ids of the input.")
    about = {
        "alphabet": network.alphabet.name,
        "letters": network.alphabet.letters,
        "classes": network.target.names,
        "logit_of": network.target.logit_of,
        "positive": network.target.positive,
        **({} if network.target.probabilistic else network.target.described()),
        "baseline": BASELINE,
        "model_sha256": model_sha256,
        "source": sequences.source,
        **({} if unseen is None else {"networks": len(unseen.networks)}),
    }
    logits: list[NDArray[np.float32]] = []

    def noted() -> Iterator[Attribution]:
        for each in attributions(network, sequences, unseen=unseen, batch=batch):
            logits.append(each.logits)
            yield each
            if progress is not None:
                progress(len(logits), len(sequences))

    write_attributions(folder / ATTRIBUTIONS, noted(), about)
    p = _probabilities(unseen or ByFold.alone(network, len(logits)), logits)
    motifs = motifs_of(network, sequences, p)
    _write_motifs(folder, network, sequences, p, motifs)
    shown = [_shown(network, sequences, p, i) for i in choose_sequences(p, sequences.names, pictures, show)]
    for number, (each, found) in enumerate(
        zip(shown, read_attributions(folder / ATTRIBUTIONS, [each.index for each in shown]), strict=True), start=1
    ):
        path = folder / "logos" / f"sequence-{number}.svg"
        draw_attribution(path, found, network.alphabet.letters, each.k, each.target)
    write_json(
        folder / "explain.json",
        {
            **about,
            "run": run,
            "n": len(sequences),
            "labels": "given" if sequences.y is not None else "predicted",
            "sequences": shown,
            "motifs": motifs,
        },
        "explain",
    )


def motifs_of(network: TrainedNetwork, sequences: SequenceSet, p: NDArray[np.float64]) -> list[Motif]:
    """The motifs of the network's convolution in sequences; without labels, by the classes that p (N, K) predicts.

    Empty for a network whose filters are all given.
    """
    if sequences.y is None:
        sequences = replace(sequences, target=network.target, y=network.target.call(p))
    return find_motifs(network.module, sequences)


def _probabilities(asked: ByFold, logits: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(N, number of classes), from N arrays (K,) of logits that speak for the positive class."""
    told = np.stack(logits).astype(np.float64)
    pairs = list(asked.pairs())
    found = [network.target.predict_told(told[rows], network.temperature) for network, rows in pairs]
    back = np.argsort(np.concatenate([rows for _, rows in pairs]))
    return np.concatenate(found)[back]


def choose_sequences(p: NDArray[np.float64], names: Sequence[str], n: int, show: Sequence[str] = ()) -> list[int]:
    """The sequences called `show`, then the n most confident others, of each predicted class in turn."""
    place = {name: i for i, name in enumerate(names)} if show else {}
    asked = [place[name] for name in show]
    y = p.argmax(axis=1)
    queues = [[i for i in np.argsort(-p[:, k], kind="stable").tolist() if y[i] == k] for k in range(p.shape[1])]
    longest = max(map(len, queues), default=0)
    in_turn = [queue[rank] for rank in range(min(n, longest)) for queue in queues if rank < len(queue)]
    return asked + [i for i in in_turn if i not in asked][:n]


def _shown(network: TrainedNetwork, sequences: SequenceSet, p: NDArray[np.float64], i: int) -> Shown:
    names, y = network.target.names, int(p[i].argmax())
    speaks = network.target.logit_of
    k = 0 if network.target.binary else y
    return Shown(
        index=i,
        id=sequences.names[i],
        label=sequences.label(i),
        prediction=names[y] if names else f"{p[i, 0]:.4g}",
        p=float(p[i, y]),
        target=speaks[k],
        k=k,
    )


def _write_motifs(
    folder: Path, network: TrainedNetwork, sequences: SequenceSet, p: NDArray[np.float64], motifs: list[Motif]
) -> None:
    alphabet = network.alphabet
    letters = alphabet.mixtures[: alphabet.pad].T @ np.bincount(sequences.codes, minlength=alphabet.pad)[: alphabet.pad]
    strands = network.architecture.reverse_complement
    with atomic_write(folder / "motifs.meme") as handle:
        handle.write(meme(motifs, alphabet.letters, letters / letters.sum(), both_strands=strands))
    columns = ("motif", "consensus", "bits", "sites", "importance", "filters", "start", "reverse", "enriched_in")
    target, y = sequences.labelled() if sequences.y is not None else (network.target, network.target.call(p))
    names = tuple(dict.fromkeys((*target.sides(y)[0], *network.target.shown_names)))
    per_class = [f"{kind}_{name}" for name in names for kind in ("fires", "effect", "odds_ratio", "p", "q")]
    write_tsv(folder / "motifs.tsv", (*columns, *per_class), [_row(names, motif) for motif in motifs])
    for motif in motifs:
        draw_motif(folder / "logos" / f"{motif.name}.svg", motif)


def _row(classes: Sequence[str], motif: Motif) -> list[str]:
    """A motif as motifs.tsv has it; empty where a class does not occur."""
    best = min(motif.enriched, key=lambda name: motif.enriched[name].p, default="")
    start = "-".join(f"{quartile:g}" for quartile in motif.start)
    head = [f"{motif.bits:.4g}", str(motif.sites), f"{motif.importance:.4g}", "+".join(map(str, motif.filters))]
    cells = [motif.name, motif.consensus, *head, start, f"{motif.reverse:.3f}", best]
    for name in classes:
        test = motif.enriched.get(name)
        values = [motif.fires.get(name), motif.effect.get(name)]
        values += [None, None, None] if test is None else [test.odds_ratio, test.p, test.q]
        cells += ["" if value is None else f"{value:.4g}" for value in values]
    return cells
