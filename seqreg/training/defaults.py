"""The defaults that fill in what a training is not told, by what is learned from."""

from dataclasses import replace

import numpy as np

from seqreg.errors import UsageError, option
from seqreg.networks import OneHot, Sum
from seqreg.networks.sum import POSITIONS
from seqreg.sequences import SequenceSet
from seqreg.training.config import EVEN, LARGE, TrainConfig
from seqreg.training.evidence import Evidence, Finding

# A choice: 66 epochs of 300 sequences, 10 at least and 100 at most.
EXAMPLES_SEEN_WITHOUT_VALIDATION = 20_000
# Letters per filter, of sequences that are longer: the share of them that may be shorter than a filter.
OF_PROTEIN, OF_NUCLEOTIDES, SHORTER = 8, 12, 0.05
# Proteins are aligned with up to so many training sequences where that takes less time than the CNNs: this many pairs
# of letters for each sequence are a few milliseconds. On draw 10 they brought .017 of auroc on `amp` and .018 to .025
# on `signalp5`, at 100 and 300 sequences. Below the fewest, a few relatives would stand for all.
MOST_REFERENCES, FEWEST_REFERENCES, MOST_PAIRS = 500, 50, 4_000_000
# Of proteins as short as this single letters may be all that counts; what else is learned of few sequences adds noise.
# 2-mers count where they make the loss out of fold smaller, positions where they make its sum smaller by two nats, as
# Akaike would have it. Of 100 hexamers whose class is a noisy sum over letters, draws 10 to 29, the parts that are left
# have .005 of auroc less than letter frequencies, all of them .010, and with 2-mers .026 (10 to 19). Of longer ones the
# loss is no guide to 2-mers: on `subloc`, draw 10, it took .005.
PEPTIDE, LETTERS, NATS = 20, (1,), 2.0
# Values of proteins of one length are compared with those of so many training sequences. Beside the other parts it
# raised Spearman's correlation, at 100 and 300 sequences, from .61 to .63 and .77 to .79 on amyloid-nucleation, .37 to
# .40 and .62 to .70 on gb1-stability, .36 to .42 and .50 to .64 on gb1-four-sites (draws 10 to 12), and did nothing for
# DNA. The number is a choice for time.
MOST_NEIGHBOURS = 500


def with_defaults(config: TrainConfig, train: SequenceSet, valid: SequenceSet | None) -> TrainConfig:
    """The configuration with every None filled in from the training part; see `decided`."""
    return decided(config, train, valid)[0]


def decided(config: TrainConfig, train: SequenceSet, valid: SequenceSet | None) -> tuple[TrainConfig, tuple[str, ...]]:
    """The configuration with every None filled in from the training part, and sentences on what evidence decided.

    No penalty being chosen stays None for a sum: each of its CNNs then has its own default. Where alignments cannot
    follow what is asked for (`TrainConfig.parts_may_follow`), it is a sum without them, which every step would have to
    align anew, and of which nothing could be proved. Raises UsageError for class weights where a sequence may carry
    several labels.
    """
    target, y = train.labelled()
    if config.class_weight in EVEN and target.one_class(y) is None:
        asked = option("class_weight", config.class_weight)
        raise UsageError(f"{asked}: these sequences {target.without_classes}")
    evidence = Evidence(train, config)
    found: list[Finding] = []
    strands = config.reverse_complement
    aligned = not strands and config.model is None and of_aligned_values(train)
    if aligned:
        strands = False
        reason = "Positions count: these are values of sequences of one length, of which one strand is read"
        found.append(Finding(decided=True, reason=reason))
    if strands is None:
        strands = False
        if train.alphabet.name == "dna" and (config.model is None or config.model.scores_both_strands):
            finding = evidence.strands()
            found.append(finding)
            strands = finding.decided
    model = config.model
    if model is None:
        peptides = train.alphabet.name == "protein" and train.lengths.max() <= PEPTIDE
        in_place = aligned
        if not strands and not aligned:
            found.append(evidence.positions(NATS if peptides else 0.0))
            in_place = found[-1].decided
        model = default_model(train, in_place=in_place)
        if not config.parts_may_follow:
            model = replace(model, alignments=0)
        if peptides and not in_place:
            windows = train.lengths.max() > model.width[0]
            model = replace(model, positions=False, pooling=model.pooling if windows else ("none",))
        if peptides and not (kmers := evidence.kmers()).decided:
            found.append(kmers)
            model = replace(model, spectrum=LETTERS)
    model = model.for_alphabet(train.alphabet)
    epochs = config.epochs
    if epochs is None:
        epochs = 100 if valid is not None else max(10, min(100, EXAMPLES_SEEN_WITHOUT_VALIDATION // len(train)))
    penalty = model.default_penalty if config.penalty is None else config.penalty
    filled = replace(
        config,
        model=model,
        encoding=config.encoding or OneHot(),
        penalty=penalty,
        weight_decay=0.01 if config.weight_decay is None else config.weight_decay,
        epochs=epochs,
        batch_size=config.batch_size or (32 if len(train) < LARGE else 64),
        lr=config.lr or 3e-3,
        patience=config.patience or 20,
        class_weight=config.class_weight or "none",
        loss=target.loss_name,
        reverse_complement=strands,
        positive=target.with_positive(y, config.positive).positive,
    )
    return filled, tuple(each.reason for each in found)


def of_aligned_values(train: SequenceSet) -> bool:
    """Whether values were measured of sequences of one length, of which a position means the same in all.

    Whoever measures such values has varied one sequence, or cut all at the same place; a hundred of them may not show
    it. Decided like this, and not by evidence, the Spearman correlation on cas9-guides was .23 in place of .20 at 100
    sequences and .36 in place of .29 at 300, on sirna-knockdown .08 in place of .05, on lac-promoter .26 in place of
    .27, and .42 in place of .40 (draws 10 to 12).
    """
    target, _ = train.labelled()
    longest = train.lengths.max()
    alike = longest <= POSITIONS and train.lengths.min() == longest
    return bool(alike) and not target.probabilistic and not train.both_strands


def default_model(train: SequenceSet, *, in_place: bool) -> Sum:
    """Linear models and a motif-anywhere CNN, a position-keeping one where positions count, alignments of proteins.

    Nothing in it is wider than the longest sequence.
    """
    usual = OF_PROTEIN if train.alphabet.complement is None else OF_NUCLEOTIDES
    width = min(usual, max(1, int(np.quantile(train.lengths, SHORTER))))
    pooling = ("max", "position") if in_place else ("max",)
    kmers = Sum().for_alphabet(train.alphabet).counted or ()
    model = Sum(width=(width,), pooling=pooling, spectrum=tuple(k for k in kmers if k <= train.lengths.max()))
    target, _ = train.labelled()
    if train.alphabet.name != "protein":
        return model
    if target.probabilistic:
        return replace(model, alignments=references(train))
    alike = min(len(train), MOST_NEIGHBOURS) if of_aligned_values(train) else 0
    return replace(model, neighbours=alike)


def references(train: SequenceSet) -> int:
    """How many training sequences local alignments of proteins compare with; 0 where they take too long."""
    affordable = int(MOST_PAIRS / np.square(train.lengths.astype(np.float64)).mean())
    return 0 if affordable < FEWEST_REFERENCES else min(affordable, MOST_REFERENCES, len(train))
