"""Penalties and constraints in training loops of others: Lightning, accelerate, and several processes."""

import copy
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seqreg.constraints import SpectralNorm
from seqreg.penalties import Adversarial, Gradient, VirtualAdversarial

pytestmark = pytest.mark.slow

PENALTIES = (Gradient(weight=0.1), Adversarial(weight=0.1), VirtualAdversarial())
CONSTRAINT = SpectralNorm(radius=1.5)
N, L, BATCH = 32, 20, 8


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}: install the extra `interoperability`")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, 2)
    )


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids, y = torch.randint(4, (N, L), generator=generator), torch.arange(N) % 2
    ids[y == 1, 5:11] = torch.tensor([3, 2, 0, 1, 2, 3])
    return F.one_hot(ids, 4).mT.float(), y


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    x, y = data()
    yield from zip(x.split(BATCH), y.split(BATCH), strict=True)


def loss_of(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(net(x), y) + sum(penalty(net, x, y) for penalty in PENALTIES)


def plain_loop(epochs: int) -> nn.Module:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(epochs):
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(net, x, y).backward()
            optimizer.step()
            CONSTRAINT.project_(net, epoch)
    return net


@needs("lightning")
@pytest.mark.filterwarnings("ignore")  # of its loader's workers and of what it deprecates itself
def test_a_lightning_loop_with_validation_trains_what_a_plain_loop_does(tmp_path: Path) -> None:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.seen: list[float] = []

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

        def training_step(self, batch: Any, _: int) -> Tensor:
            return loss_of(self, *batch)

        def on_train_batch_end(self, *_: Any) -> None:
            CONSTRAINT.project_(self, self.current_epoch)

        def validation_step(self, batch: Any, _: int) -> None:
            assert not torch.is_grad_enabled()
            value = loss_of(self, *batch)
            assert not value.requires_grad
            self.seen.append(float(value))
            self.log("valid_loss", value)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    dataset = torch.utils.data.TensorDataset(*data())
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH)
    module = Module()
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader, loader)
    for name, value in plain_loop(3).state_dict().items():
        torch.testing.assert_close(module.net.state_dict()[name], value)
    per_epoch = N // BATCH
    assert sum(module.seen[-per_epoch:]) < sum(module.seen[:per_epoch])


@needs("accelerate")
@pytest.mark.filterwarnings("ignore")
def test_accelerate_with_bfloat16_and_accumulation_is_near_single_precision() -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=2)
    net = network()
    plain = copy.deepcopy(net)
    net, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.0))
    for x, y in list(batches())[:2]:
        with accelerator.accumulate(net):
            with accelerator.autocast():
                terms = [penalty(net, x, y) for penalty in PENALTIES]
                loss = F.cross_entropy(net(x), y) + sum(terms)
            for term, penalty in zip(terms, PENALTIES, strict=True):
                assert term.dtype == torch.float32
                assert float(term.detach()) > 0
                torch.testing.assert_close(term, penalty(plain, x, y), rtol=0.2, atol=1e-3)
            accelerator.backward(loss)
            optimizer.step()
            if not accelerator.sync_gradients:
                optimizer.zero_grad()
        (loss_of(plain, x, y) / 2).backward()
    mine, exact = (
        torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]) for model in (net, plain)
    )
    assert float(F.cosine_similarity(mine, exact, dim=0)) > 0.95
    assert float(mine.norm() / exact.norm()) == pytest.approx(1, abs=0.15)


def one_of_two(rank: int, folder: str) -> None:
    """Two steps of a process on its half of each batch; its gradients and buffers are saved."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    net = network()
    wrapped = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in list(batches())[:2]:
        optimizer.zero_grad()
        loss_of(wrapped, x[rank::2], y[rank::2]).backward()
        optimizer.step()
        CONSTRAINT.project_(wrapped, 0)
    torch.save(([w.grad for w in net.parameters()], net.state_dict()), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_average_the_gradients_of_their_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    halves = [network(), network()]  # the same weights; running statistics of the first are every process's
    for x, y in list(batches())[:2]:
        for rank, net in enumerate(halves):
            net.zero_grad()
            loss_of(net, x[rank::2], y[rank::2]).backward()
        mean = [
            torch.stack(pair).mean(0)
            for pair in zip(*([w.grad for w in net.parameters()] for net in halves), strict=True)
        ]
        for net in halves:
            with torch.no_grad():
                for weight, gradient in zip(net.parameters(), mean, strict=True):
                    weight -= 0.1 * gradient
            CONSTRAINT.project_(net, 0)
    for gradients, weights in found:
        for mine, expected in zip(gradients, mean, strict=True):
            torch.testing.assert_close(mine, expected)
        for name, weight in halves[0].named_parameters():
            torch.testing.assert_close(weights[name], weight.detach())
