"""Local alignments with training sequences, their gradient and all single substitutions, against the usual ways."""

from statistics import median

import torch
from Bio.Align import PairwiseAligner, substitution_matrices
from clock import clocked
from page import markdown_table, write_section
from torch import Tensor

from seqreg.alphabet import PROTEIN
from seqreg.mutagenesis import substitution_scores
from seqreg.mutagenesis.scores import forward_substitution_scores
from seqreg.networks import AlignmentNet, as_onehot
from seqreg.networks.local_alignment import EXTEND, OPEN

LENGTHS = (50, 150, 300)
REFERENCES = 64
SEQUENCES = 20
REPEATS = 5


def best_scores(net: AlignmentNet, ids: Tensor) -> Tensor:
    """(N, R) scores of best local alignments, by Biopython."""
    aligner = PairwiseAligner(
        mode="local",
        substitution_matrix=substitution_matrices.load("BLOSUM62"),
        open_gap_score=-OPEN,
        extend_gap_score=-EXTEND,
    )
    texts = [[PROTEIN.decode(row) for row in each.numpy()] for each in (ids, net.references)]
    return torch.tensor([[aligner.score(one, other) for other in texts[1]] for one in texts[0]])


def gradient(net: AlignmentNet, ids: Tensor) -> Tensor:
    """(N, A, L) slope of the logit."""
    view = as_onehot(net, ids)
    return view.gradient(view.logits[:, 0])


def case(length: int) -> list[str]:
    torch.manual_seed(0)
    net = AlignmentNet(PROTEIN, REFERENCES, outputs=1, length=length).eval()
    net.references.random_(PROTEIN.size)
    ids = torch.randint(0, PROTEIN.size, (SEQUENCES, length), dtype=torch.uint8)
    with torch.no_grad():
        scores, sums = clocked(lambda: net.features(ids), REPEATS, median)
        usual, best = clocked(lambda: best_scores(net, ids), 1)
        assert (sums >= best).all()
        mutants, exact = clocked(lambda: substitution_scores(net, ids[:1]), REPEATS, median)
        passes, expected = clocked(lambda: forward_substitution_scores(net, ids[:1]), 1)
    slopes, _ = clocked(lambda: gradient(net, ids), REPEATS, median)
    pairs = SEQUENCES * REFERENCES
    return [
        f"{length:,} letters",
        f"{1e6 * scores / pairs:.0f} µs",
        f"{1e6 * usual / pairs:.0f} µs ({usual / scores:.0f})",
        f"{slopes / scores:.1f}",
        f"{1000 * mutants:.0f} ms",
        f"{1000 * passes:,.0f} ms ({passes / mutants:.0f})",
        f"{float((exact - expected).abs().max()):.0e}",
    ]


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for length in LENGTHS:
        rows.append(case(length))
        print(*rows[-1], sep="  ", flush=True)
    columns = [
        "",
        "a pair, all alignments",
        "a pair, the best one, by Biopython",
        "gradient / scores",
        f"all substitutions, {REFERENCES} references",
        "each mutant by itself",
        "largest difference",
    ]
    text = (
        "Random proteins and references of one length, BLOSUM62 and the same costs of gaps, one process, one thread, "
        "float32 (substitutions in float64). In brackets: how many times as long. Mutants by themselves are aligned "
        "by the same compiled loops; the difference is between logits."
    )
    write_section(__file__, "Local alignments", text + "\n\n" + markdown_table(columns, rows))


if __name__ == "__main__":
    main()
