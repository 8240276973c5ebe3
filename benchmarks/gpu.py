"""What a CUDA device does for seqreg: one command of under nine minutes that needs the device and nothing else.

    python benchmarks/gpu.py                            # writes build/gpu.json part by part
    python benchmarks/gpu.py --small --device cpu       # seconds, for a look and for the tests

Random proteins; no data are read. Four parts, each kept as soon as it is done: throughput of training steps and of
predictions by size; how much of the loop is in kernels, and how often it waits for the device; whether CPU and device
agree, for every model and penalty, to the digits of float32; and what a stack of M models of one architecture gains,
one table of look-ups for all with offsets by model, over the same M one after another. Parts that would begin after
`--minutes` are left out and named.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from seqreg.alphabet import DNA, PROTEIN, Alphabet
from seqreg.errors import SeqregError
from seqreg.networks import CNN, MODELS, NetworkSpec, SequenceNetwork, per_example_loss
from seqreg.networks.lookup import first_argmax, symbol_table, window_rows
from seqreg.penalties import PENALTIES
from seqreg.records import dump_json, to_plain

LARGE = {"sizes": [(32, 100), (256, 400), (2048, 400)], "stack": (1, 4, 16, 64), "filters": 128, "rounds": 9}
SMALL = {"sizes": [(4, 30)], "stack": (1, 3), "filters": 8, "rounds": 2}
WIDTH = 10
CLOSE = 2e-3  # float32 sums in another order, relative to the largest entry
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")


def letters(alphabet: Alphabet, n: int, length: int, device: torch.device, seed: int = 0) -> tuple[Tensor, Tensor]:
    """ids (N, L) with some padding, and y (N,) of two classes."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, alphabet.size, (n, length), generator=generator).to(torch.uint8)
    ends = torch.randint(max(WIDTH, length // 2), length + 1, (n,), generator=generator)
    ids[torch.arange(length) >= ends[:, None]] = alphabet.pad
    return ids.to(device), (torch.arange(n) % 2).to(device)


def built(spec: NetworkSpec, alphabet: Alphabet, length: int, device: torch.device) -> SequenceNetwork:
    torch.manual_seed(0)
    return spec.for_alphabet(alphabet).build(alphabet, outputs=1, length=length).to(device)


def waited(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Median time of a call, after two that compile and fill caches."""
    times = []
    for _ in range(rounds + 2):
        waited(device)
        begun = time.perf_counter()
        work()
        waited(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[2:])


def trainer(model: SequenceNetwork, ids: Tensor, y: Tensor, penalty: Any = None) -> Callable[[], None]:
    """A training step, without a look at its loss."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def step() -> None:
        loss = per_example_loss(model(ids), y).mean()
        if penalty is not None:
            loss = loss + penalty(model, ids, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def throughput(device: torch.device, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Sequences per second of training and of prediction by size."""
    rows = []
    for n, length in about["sizes"]:
        model = built(CNN(filters=about["filters"], width=WIDTH), PROTEIN, length, device)
        ids, y = letters(PROTEIN, n, length, device)
        step = seconds(trainer(model, ids, y), device, about["rounds"])
        regularized = seconds(trainer(model, ids, y, PENALTIES["gradient"](weight=0.01)), device, about["rounds"])
        with torch.inference_mode():
            scored = seconds(lambda model=model, ids=ids: model(ids), device, about["rounds"])
        per_second = {"train": n / step, "train_gradient_penalty": n / regularized, "predict": n / scored}
        rows.append({"batch": n, "length": length, "sequences_per_second": per_second})
    return rows


def loop(device: torch.device, about: dict[str, Any]) -> dict[str, Any]:
    """Share of the time of some training steps that kernels run, and how often the host waits for the device."""
    n, length = about["sizes"][-1]
    model = built(CNN(filters=about["filters"], width=WIDTH), PROTEIN, length, device)
    step = trainer(model, *letters(PROTEIN, n, length, device), PENALTIES["gradient"](weight=0.01))
    step()
    waited(device)
    steps, on_gpu = 10, device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        issued = time.perf_counter() - begun
        waited(device)
        passed = time.perf_counter() - begun
    events = seen.key_averages()
    kernels = sum(getattr(event, "self_device_time_total", 0) for event in events) / 1e6 if on_gpu else None
    waits = {event.key: event.count for event in events if event.key in WAITS}
    if on_gpu:  # the one at the end is this function's own
        waits["cudaDeviceSynchronize"] = max(0, waits.get("cudaDeviceSynchronize", 0) - 1)
    return {
        "steps": steps,
        "seconds": passed,
        "seconds_until_issued": issued,
        "share_in_kernels": None if kernels is None else kernels / passed,
        "waits_per_step": {name: count / steps for name, count in waits.items() if count},
        "kernels_per_step": sum(e.count for e in events if getattr(e, "self_device_time_total", 0)) / steps,
    }


def agreement(device: torch.device, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Largest difference between CPU and device, relative to the largest entry, of values and of gradients."""
    rows = []
    for name, spec in MODELS.items():
        for penalty_name, kind in {"": None, **PENALTIES}.items():
            row: dict[str, Any] = {"model": name, "penalty": penalty_name or None}
            rows.append(row)
            try:
                sides = [_computed(spec(), kind, place) for place in (torch.device("cpu"), device)]
            except SeqregError as error:  # a penalty of another model
                row["left_out"] = str(error)
                continue
            found = [float((a - b).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in zip(*sides, strict=True)]
            row |= {"value": found[0], "gradient": max(found[1:]), "agree": max(found) < CLOSE}
    return rows


def _computed(spec: NetworkSpec, penalty: Any, device: torch.device) -> list[Tensor]:
    """The loss, or the penalty, and its gradients, in host memory."""
    model = built(spec, DNA, 40, device)
    ids, y = letters(DNA, 6, 40, device)
    value = per_example_loss(model(ids), y).mean() if penalty is None else penalty()(model, ids, y)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    zeros = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    return [each.detach().cpu() for each in (value, *zeros)]


class Stack(nn.Module):
    """M max-pooled CNNs of one layer as one: rows of one table (M W V, C), a model's own begin at its offset."""

    def __init__(self, models: list[SequenceNetwork]) -> None:
        super().__init__()
        nets = [net for model in models if (net := model.windowed()) is not None]
        self.mixtures, self.pad = nets[0].mixtures, nets[0].alphabet.pad
        self.kernel = nn.Parameter(torch.stack([net.first_kernel().detach() for net in nets]))  # M, C, A, W
        self.bias = nn.Parameter(torch.stack([net.first_bias().detach() for net in nets]))
        self.weight = nn.Parameter(torch.stack([net.output.weight.detach() for net in nets]))  # M, K, C
        self.offset = nn.Parameter(torch.stack([net.output.bias.detach() for net in nets]))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (M, N, K) from ids (M, N, L): a batch for each model."""
        m, n, length = ids.shape
        width, symbols = self.kernel.shape[3], len(self.mixtures)
        table = torch.vmap(symbol_table, in_dims=(0, None))(self.kernel, self.mixtures)  # M, W, V, C
        flat = table.flatten(0, 2)
        begin = torch.arange(m, device=ids.device, dtype=torch.int32) * (width * symbols)
        rows = window_rows(ids.flatten(0, 1), width, symbols).view(m, n, -1, width) + begin[:, None, None, None]
        with torch.no_grad():
            scores = F.embedding_bag(rows.reshape(-1, width), flat, mode="sum").view(m * n, -1, flat.shape[1])
            counts = (ids != self.pad).sum(2).flatten().clamp(min=width) - width + 1
            outside = torch.arange(length - width + 1, device=ids.device) >= counts[:, None]
            best = first_argmax(scores.masked_fill_(outside[:, :, None], -torch.inf))  # M N, C
        chosen = rows.flatten(0, 1).long().gather(1, best[:, :, None].expand(-1, -1, width))  # M N, C, W
        channel = torch.arange(flat.shape[1], device=ids.device)[:, None]
        pooled = flat[chosen, channel].sum(2).view(m, n, -1)
        return F.relu(pooled + self.bias[:, None]) @ self.weight.transpose(1, 2) + self.offset[:, None]


def stacks(device: torch.device, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Training steps of M models as one and one after another, and whether they come to the same logits."""
    n, length = 32, about["sizes"][0][1]
    rows = []
    for m in about["stack"]:
        models = [
            CNN(filters=about["filters"], width=WIDTH).build(PROTEIN, outputs=1, length=length).to(device)
            for _ in range(m)
        ]
        batches = [letters(PROTEIN, n, length, device, seed) for seed in range(m)]
        stack = Stack(models)
        ids, y = torch.stack([ids for ids, _ in batches]), torch.stack([y for _, y in batches]).flatten()
        with torch.no_grad():
            apart = torch.stack([model(one) for model, (one, _) in zip(models, batches, strict=True)])
            difference = float((stack(ids) - apart).abs().max())
        optimizer = torch.optim.Adam(stack.parameters(), lr=1e-3)

        def together(stack: Stack = stack, ids: Tensor = ids, y: Tensor = y, optimizer: Any = optimizer) -> None:
            loss = per_example_loss(stack(ids).flatten(0, 1), y).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        steps = [trainer(model, *batch) for model, batch in zip(models, batches, strict=True)]
        one = seconds(together, device, about["rounds"])
        each = seconds(lambda steps=steps: [step() for step in steps], device, about["rounds"])
        rows.append(
            {
                "models": m,
                "seconds_as_one": one,
                "seconds_one_after_another": each,
                "gain": each / one,
                "largest_difference": difference,
            }
        )
    return rows


PARTS: dict[str, Callable[[torch.device, dict[str, Any]], Any]] = {
    "agreement": agreement,
    "throughput": throughput,
    "loop": loop,
    "stacks": stacks,
}


def measure(device: torch.device, *, small: bool, minutes: float, kept: Callable[[dict[str, Any]], None]) -> None:
    """Every part that begins before the time is over; kept is called with all that is known after each."""
    about, begun = (SMALL if small else LARGE), time.monotonic()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    found: dict[str, Any] = {"device": name, "torch": torch.__version__, "small": small, "left_out": []}
    for part, work in PARTS.items():
        if time.monotonic() - begun > 60 * minutes:
            found["left_out"].append(part)
        else:
            found[part] = work(device, about)
            found.setdefault("seconds", {})[part] = time.monotonic() - begun
        kept(to_plain(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/gpu.json"))
    asked = parser.parse_args()
    asked.output.parent.mkdir(parents=True, exist_ok=True)

    def kept(found: dict[str, Any]) -> None:
        asked.output.write_text(dump_json(found), encoding="utf-8")
        part = list(found)[-1]
        print(f"{part}: {found[part]}", flush=True)

    measure(torch.device(asked.device), small=asked.small, minutes=asked.minutes, kept=kept)


if __name__ == "__main__":
    main()
