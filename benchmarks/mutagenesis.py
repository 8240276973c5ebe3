"""All single substitutions of a sequence: seqreg against forward passes, tangermeme and captum, on one network.

Needs `pip install tangermeme captum` beside the development install; what is not installed is left out and named.
"""

from importlib.util import find_spec

import torch
from clock import clocked
from page import markdown_table, write_section
from torch import Tensor, nn

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.mutagenesis import substitution_scores
from seqreg.networks import CNN, ConvNet

CASES = ((PROTEIN, 400, 10, 1), (DNA, 1000, 12, 1), (PROTEIN, 400, 10, 2), (DNA, 1000, 12, 2))
FILTERS = 128
BATCH = 256
REPEATS = 5


class PlainNetwork(nn.Module):
    """The same network as a PyTorch user writes it, over one-hot x (N, A, L)."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__()
        self.convs, self.output = net.convs, net.output

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.relu(conv(x))
        return self.output(x.amax(2))


def naive(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (L, A) by forward passes on batches of all mutants, each built as one-hot."""
    _, letters, length = x.shape
    places = torch.arange(length).repeat_interleave(letters)
    written = torch.eye(letters).repeat(length, 1)
    scores = []
    for rows in torch.arange(len(places)).split(BATCH):
        mutants = x.repeat(len(rows), 1, 1)
        mutants[torch.arange(len(rows)), :, places[rows]] = written[rows]
        scores.append(model(mutants)[:, 0])
    return torch.cat(scores).view(length, letters)


def with_tangermeme(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (L, A) by tangermeme with its defaults, which recompute what an edit touches where that pays."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    found = saturation_mutagenesis(model, x, batch_size=BATCH, raw_outputs=True, device="cpu")
    return found.y_hat.reshape(x.shape[1], x.shape[2]).t()


def with_captum(model: nn.Module, x: Tensor) -> Tensor:
    """Falls (L, A) of the logit when single entries of one-hot x are set to 0: what captum offers that comes nearest.

    Feature ablation takes a letter away; it cannot write another. It makes as many forward passes.
    """
    from captum.attr import FeatureAblation

    return FeatureAblation(model).attribute(x, perturbations_per_eval=BATCH)[0].t()


@torch.no_grad()
def case(alphabet: Alphabet, length: int, width: int, depth: int) -> list[str]:
    torch.manual_seed(0)
    net = CNN(filters=FILTERS, width=width, depth=depth).build(alphabet, outputs=1, length=length).eval()
    ids = torch.randint(0, alphabet.size, (1, length), dtype=torch.uint8)
    plain, x = PlainNetwork(net).eval(), net.one_hot(ids).contiguous()
    fast, scores = clocked(lambda: substitution_scores(net, ids)[0, :, :, 0], REPEATS)
    slow, expected = clocked(lambda: naive(plain, x), 1)
    name = f"{alphabet.name}, {length} letters, width {width}, {depth} layer{'s' if depth > 1 else ''}"
    cells = [
        name,
        f"{length * (alphabet.size - 1):,}",
        f"{1000 * fast:.1f} ms",
        f"{1000 * slow:.0f} ms ({slow / fast:.0f})",
    ]
    for package, function in (("tangermeme", with_tangermeme), ("captum", with_captum)):
        if find_spec(package) is None:
            cells.append("not installed")
            continue
        seconds, found = clocked(lambda function=function: function(plain, x), 1)
        if package == "tangermeme":
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        cells.append(f"{1000 * seconds:.0f} ms ({seconds / fast:.0f})")
    return [*cells, f"{float((scores - expected).abs().max()):.0e}"]


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for setting in CASES:
        rows.append(case(*setting))
        print(*rows[-1], sep="  ", flush=True)
    columns = ["", "mutants", "seqreg", "forward passes", "tangermeme", "captum", "largest difference"]
    text = (
        f"One untrained network of {FILTERS} filters per layer, ReLU, global max pooling and a linear head; one "
        f"sequence, one process, one thread, float32; the other methods in batches of {BATCH}. In brackets: how many "
        "times as long as seqreg takes. tangermeme runs `saturation_mutagenesis` with its defaults. captum has no "
        "substitutions; its `FeatureAblation`, which takes single letters away, makes as many passes. The difference "
        "is between seqreg and forward passes."
    )
    write_section(__file__, "All single substitutions of a sequence", text + "\n\n" + markdown_table(columns, rows))


if __name__ == "__main__":
    main()
