"""What a regularized training step costs, relative to a plain one in PyTorch.

    OMP_NUM_THREADS=1 python benchmarks/step_cost.py                      # some minutes
    OMP_NUM_THREADS=1 python benchmarks/step_cost.py --rounds 2 --only gradient

Every step trains on 100 random proteins of 400 residues. The yardstick is the step that anybody would write:
`nn.Conv1d` on one-hot, ReLU, maximum over windows, `nn.Linear`, Adam, no regularizer. Beside seqreg's step stand the
penalty written by hand with autograd, sharing what can be shared, and the way of the published code of Bietti et al.
(one copy of the batch per class, a forward pass of its own, gradients by `backward`). All run in turn in one process;
times are of the processor, on one thread, medians over rounds with quartiles.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from page import SECTIONS, markdown_table, write_section
from torch import Tensor, nn

from seqreg.alphabet import PROTEIN
from seqreg.attacks import PGD, Substitution
from seqreg.networks import CNN, per_example_loss
from seqreg.penalties import PENALTIES

N, A, L, C, W = 100, 20, 400, 128, 10
EPSILON, STEPS, STEP = 1.0, 5, 0.3
GOALS = {
    (1, 1): {"plain": 0.25, "loss-gradient": 0.45, "gradient": 0.40, "adversarial": 4, "pgd": 4, "substitution": 0.6},
    (1, 10): {"plain": 0.25, "loss-gradient": 0.45, "gradient": 1.0, "adversarial": 15, "pgd": 15, "substitution": 0.6},
}
KINDS = ("seqreg", "by hand", "reference")
EXPLAINED = f"""Processor time of a training step on {N} proteins of {L} residues ({C} filters of width {W}, global
maximum, Adam), as a multiple of the same step in plain PyTorch without regularizer (`nn.Conv1d` on one-hot). *By hand*
is the penalty written with autograd, sharing what can be shared; *reference* has one copy of the batch per class, as
the published code of Bietti et al. `pgd` trains on the attacked batch; `adversarial` and `pgd` take {STEPS} steps. On a
shared machine, whose load is given, processor time also measures the neighbours: the yardstick itself moves by half.
"""
# More than this many seconds a round, and one round has to do.
PATIENCE = 5.0


class Plain(nn.Module):
    """The network of the yardstick, for one-hot x (N, A, L)."""

    def __init__(self, depth: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(C if layer else A, C, W) for layer in range(depth))
        self.output = nn.Linear(C, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.output(x.amax(2))


# ---- penalties by hand: shared forward passes, gradients by torch.autograd.grad


def normed(g: Tensor) -> Tensor:
    return g / g.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]


def projected(delta: Tensor) -> Tensor:
    return delta * (EPSILON / delta.flatten(1).norm(dim=1).clamp(min=EPSILON))[:, None, None]


def climb(net: nn.Module, x: Tensor, value: Callable[[Tensor], Tensor]) -> Tensor:
    delta = torch.zeros_like(x)
    for _ in range(STEPS):
        delta.requires_grad_()
        (g,) = torch.autograd.grad(value(net(x + delta)), delta)
        delta = projected(delta.detach() + STEP * normed(g))
    return delta


def hand_loss_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(per_example_loss(net(leaf), y).sum(), leaf, create_graph=True)
    return 0.1 * g.square().sum() / len(x)


def hand_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    logits = net(leaf)
    squares = [
        torch.autograd.grad(logits[:, k].sum(), leaf, retain_graph=True)[0].square().sum((1, 2))
        for k in range(logits.shape[1])
    ]
    leaf = x[torch.stack(squares).argmax(1)].clone().requires_grad_()
    (g,) = torch.autograd.grad(net(leaf).trace(), leaf, create_graph=True)
    return 0.1 * g.square().sum()


def hand_adversarial(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        clean = net(x)
    winners, deltas = [], []
    for k in range(clean.shape[1]):
        delta = climb(net, x, lambda logits, k=k: logits[:, k].sum())
        with torch.no_grad():
            winner = (net(x + delta)[:, k] - clean[:, k]).argmax()
        winners.append(winner)
        deltas.append(delta[winner])
    chosen = x[torch.stack(winners)]
    return (net(chosen + torch.stack(deltas)) - net(chosen)).diagonal().square().sum()


def hand_virtual_adversarial(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        clean = net(x)

    def divergence(moved: Tensor) -> Tensor:
        if clean.shape[1] == 1:
            p = clean.sigmoid()
            return F.binary_cross_entropy_with_logits(moved, p) - F.binary_cross_entropy_with_logits(clean, p)
        return F.kl_div(moved.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True)

    small = (1e-3 * normed(torch.randn_like(x))).requires_grad_()
    (g,) = torch.autograd.grad(divergence(net(x + small)), small)
    return divergence(net(x + EPSILON * normed(g)))


def hand_pgd(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return x + climb(net, x, lambda logits: per_example_loss(logits, y).sum())


# ---- the way of the published code: a copy of the batch for every class


def copies(net: nn.Module, x: Tensor, delta: Tensor | None = None) -> Tensor:
    """(N, K, K): logits of K copies of the batch, of which the diagonal is wanted."""
    logits = net(x if delta is None else x + delta)
    k = logits.shape[1]
    return logits.view(k, -1, k).transpose(0, 1)


def reference_loss_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return hand_loss_gradient(net, x, y)


def reference_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    k = net.output.out_features
    many = x.repeat(k, 1, 1).requires_grad_()
    (g,) = torch.autograd.grad(copies(net, many).sum(0).trace(), many)
    leaf = x[g.view(k, len(x), -1).square().sum(2).argmax(1)].clone().requires_grad_()
    (g,) = torch.autograd.grad(net(leaf).trace(), leaf, create_graph=True)
    return 0.1 * g.square().sum()


def reference_adversarial(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    k = net.output.out_features
    many = x.repeat(k, 1, 1)
    delta = torch.zeros_like(many)
    for _ in range(STEPS):
        delta.requires_grad_()
        copies(net, many, delta).sum(0).trace().backward()
        assert delta.grad is not None
        delta = projected(delta.detach() + STEP * normed(delta.grad))
    for weight in net.parameters():
        weight.grad = None
    with torch.no_grad():
        rise = (copies(net, many, delta) - net(x)[:, None]).diagonal(dim1=1, dim2=2)  # N, K
        winner = rise.argmax(0)
    chosen = delta.view(k, *x.shape)[torch.arange(k), winner]
    return (net(x[winner] + chosen) - net(x[winner])).diagonal().square().sum()


HAND = {
    "loss-gradient": hand_loss_gradient,
    "gradient": hand_gradient,
    "adversarial": hand_adversarial,
    "virtual-adversarial": hand_virtual_adversarial,
}
REFERENCE = {
    "loss-gradient": reference_loss_gradient,
    "gradient": reference_gradient,
    "adversarial": reference_adversarial,
}


# ---- steps


def steps(depth: int, outputs: int) -> dict[tuple[str, str], Callable[[], None]]:
    """One training step for every (regularizer, implementation)."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(A, (N, L), dtype=torch.uint8, generator=generator)
    x = F.one_hot(ids.long(), A).transpose(1, 2).float().contiguous()
    y = torch.randint(max(2, outputs), (N,), generator=generator)
    torch.manual_seed(0)
    plain = Plain(depth, outputs)
    ours = CNN(filters=C, width=W, depth=depth).build(PROTEIN, outputs=outputs, length=L)

    def step(net: nn.Module, batch: Tensor, penalty: Any = None, attack: Any = None) -> Callable[[], None]:
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)

        def run() -> None:
            loss = per_example_loss(net(attack(net, batch, y) if attack else batch), y).mean()
            if penalty:
                loss = loss + penalty(net, batch, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return run

    table = {("plain", "by hand"): step(plain, x), ("plain", "seqreg"): step(ours, ids)}
    for name, cls in PENALTIES.items():
        if name == "rkhs":  # for smooth-cnn only
            continue
        table[name, "seqreg"] = step(ours, ids, penalty=cls())
        if name in HAND:
            table[name, "by hand"] = step(plain, x, penalty=HAND[name])
        if name in REFERENCE and depth == 1:
            table[name, "reference"] = step(plain, x, penalty=REFERENCE[name])
    for norm in ("l2", "linf"):
        table[f"pgd-{norm}", "seqreg"] = step(ours, ids, attack=PGD(norm=norm))
    table["substitution", "seqreg"] = step(ours, ids, attack=Substitution(budget=STEPS))
    table["pgd-l2", "by hand"] = step(plain, x, attack=hand_pgd)
    return table


def measure(table: dict[tuple[str, str], Callable[[], None]], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Processor seconds of every step, all in turn, after a first round that does not count."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in table}
    for turn in range(rounds + 1):
        for key, run in table.items():
            if times[key] and min(times[key]) > PATIENCE:
                continue
            start = time.process_time()
            run()
            seconds = time.process_time() - start
            if turn or seconds > PATIENCE:
                times[key].append(seconds)
    return times


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def summary(depth: int, outputs: int, times: dict[tuple[str, str], list[float]]) -> list[dict[str, Any]]:
    """One row per regularizer: medians and quartiles as multiples of the plain step written by hand."""
    unit, load = statistics.median(times["plain", "by hand"]), os.getloadavg()[0]
    rows = []
    for name in dict.fromkeys(name for name, _ in times):
        row: dict[str, Any] = {
            "depth": depth,
            "outputs": outputs,
            "regularizer": name,
            "plain_ms": unit * 1e3,
            "load": load,
        }
        for kind in KINDS:
            values = times.get((name, kind))
            if values:
                low, high = quartiles(values)
                ratio = statistics.median(values) / unit
                row[kind] = {"ratio": ratio, "quartiles": [low / unit, high / unit], "rounds": len(values)}
        row["goal"] = GOALS.get((depth, outputs), {}).get(name.removesuffix("-l2"))
        rows.append(row)
    return rows


def table_of(rows: list[dict[str, Any]]) -> str:
    """The rows of one network as Markdown."""
    cells = []
    for row in rows:
        ratios = [f"{row[kind]['ratio']:.2f}" if kind in row else "" for kind in KINDS]
        low, high = row["seqreg"]["quartiles"]
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        cells.append([row["regularizer"], ratios[0], f"{low:.2f}-{high:.2f}", *ratios[1:], goal])
    columns = ["", "seqreg", "quartiles", "by hand", "reference", "goal"]
    low, high = (quartile * rows[0]["plain_ms"] for quartile in rows[0]["by hand"]["quartiles"])
    title = f"{rows[0]['depth']} layer(s), {rows[0]['outputs']} logit(s); 1.00 is {rows[0]['plain_ms']:.0f} ms"
    title += f" (quartiles {low:.0f}-{high:.0f}), load average {rows[0]['load']:.1f}"
    return f"**{title}**\n\n{markdown_table(columns, cells)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", help="names of regularizers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, tables = [], []
    for depth, outputs in ((1, 1), (1, 10), (3, 1), (3, 10)):
        runs = steps(depth, outputs)
        if options.only:
            runs = {key: run for key, run in runs.items() if key[0] in ("plain", *options.only)}
        rounds = options.rounds if depth == 1 else max(1, options.rounds // 3)
        network = summary(depth, outputs, measure(runs, rounds))
        rows += network
        tables.append(table_of(network))
        print(tables[-1], flush=True)
    if not options.only:
        write_section(__file__, "The cost of a regularized training step", "\n".join([EXPLAINED, *tables]))
        (SECTIONS / "step_cost.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
