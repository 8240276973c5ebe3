"""The training loop, readable from top to bottom; everything that regularizes is visible in it."""

import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from seqreg.errors import DivergedError, option
from seqreg.linear import Array
from seqreg.networks import Objective, SequenceNetwork, objective, objective_for, objective_of
from seqreg.sequences import SequenceSet
from seqreg.training.checkpoint import FitState, load_checkpoint, save_checkpoint
from seqreg.training.closed_form import closed_form
from seqreg.training.config import Regularizers, TrainConfig, example_weights
from seqreg.training.optimizer import FlatAdamW, Nearby, Optimizer
from seqreg.training.start import start_from_windows

WARM_UP = 0.05  # share of all steps over which the learning rate rises
SECONDS_BETWEEN_CHECKPOINTS = 5.0  # no mutant: any are as good


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Told after every epoch: epochs done and planned, and its losses, which are the newest row of history.tsv.

    stage: "calibration" while networks are trained from which nothing is kept but their held-out predictions,
    "baselines" while these are fitted, which are counted then in place of epochs.
    """

    epoch: int
    epochs: int
    row: dict[str, float]
    stage: Literal["training", "calibration", "baselines", "folds"] = "training"

    def among(self, done: int, of: int) -> "Progress":
        """The same of several trainings together, of which so many are done."""
        return replace(self, epoch=done * self.epochs + self.epoch, epochs=of * self.epochs)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidentData:
    """A part of the data on the device: ids (N, L) uint8, targets y, weights (N,); lengths stay on the host.

    beside: logits (N, K) to which the network's are added, of what is not trained.
    """

    ids: Tensor
    y: Tensor
    weights: Tensor
    lengths: Tensor
    beside: Tensor | None = None

    @classmethod
    def of(
        cls,
        data: SequenceSet,
        class_weight: str | None,
        device: torch.device,
        dtype: torch.dtype,
        beside: Array | None = None,
    ) -> "ResidentData":
        """Pad once, move once."""
        target, y = data.labelled()
        return cls(
            ids=torch.from_numpy(data.padded()).to(device),
            y=torch.from_numpy(target.learned(y).copy())
            .to(dtype if target.one_class(y) is None else torch.int64)
            .to(device),
            weights=torch.from_numpy(example_weights(data, class_weight)).to(device, dtype),
            lengths=torch.from_numpy(data.lengths),
            beside=None if beside is None else torch.from_numpy(beside).to(device, dtype),
        )

    def batches(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
        """ids, y, weights and logits beside, of batches of a host permutation, cut to the longest sequence in each."""
        on_device = order.to(self.ids.device)
        for start in range(0, len(order), size):
            longest = int(self.lengths[order[start : start + size]].max())
            index = on_device[start : start + size]
            beside = None if self.beside is None else self.beside[index]
            yield self.ids[index, :longest], self.y[index], self.weights[index], beside


def epoch_order(y: Tensor, generator: torch.Generator, *, resampled: bool) -> Tensor:
    """(N,) which sequences an epoch sees, one after another: each of them once.

    resampled: as many of each class of y (N,) instead. A class with too few goes round, each time in another order, and
    of one with too many another draw is seen in each epoch.
    """
    if not resampled:
        return torch.randperm(len(y), generator=generator)
    drawn: list[Tensor] = []
    classes = torch.unique(y)
    for k, share in zip(classes, torch.arange(len(y)).tensor_split(len(classes)), strict=True):
        members = y.eq(k).nonzero()[:, 0]
        rounds = -(-len(share) // len(members))
        again = [members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)]
        drawn.append(torch.cat(again)[: len(share)])
    return torch.cat(drawn)[torch.randperm(len(y), generator=generator)]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then a half cosine down to nothing."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def fit(
    model: SequenceNetwork,
    config: TrainConfig,
    train: SequenceSet,
    valid: SequenceSet | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    nearby: Collection[Tensor] | None = None,
    beside: Array | None = None,
) -> list[dict[str, float]]:
    """Train in place and return the history rows; with a validation part the best epoch's weights are restored.

    config must be complete (`with_defaults`). With a folder, a checkpoint is kept in it and `resume` continues from
    it to the same bits. nearby: heads of a network whose weights stay near (`Nearby`). beside: logits (N, K), N those
    that are trained on, to which the network's are added in the loss, of a sum that is trained without validation part.
    Raises DivergedError, naming epoch and term, when the loss or the weights are no longer finite.
    """
    assert config.epochs is not None, "fill the configuration in by with_defaults"
    assert config.batch_size is not None
    assert config.lr is not None
    assert config.patience is not None
    assert config.weight_decay is not None
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    regularizers = Regularizers.of(config)
    assert train.y is not None
    labels, resampled = torch.from_numpy(train.y), config.class_weight == "resampled"
    criterion = objective(train.labelled()[0])
    model.learns(criterion)
    loss = partial(weighted_loss, criterion=criterion)
    data = ResidentData.of(train, "none" if resampled else config.class_weight, device, dtype, beside)
    held_out = None if valid is None else ResidentData.of(valid, config.class_weight, device, dtype)
    optimizer: Optimizer = (
        FlatAdamW(model, config.lr, config.weight_decay)
        if nearby is None
        else Nearby(model, config.lr, nearby, back=1 / math.sqrt(len(train)))
    )
    in_closed_form = closed_form(model, regularizers, loss)
    generator = torch.Generator().manual_seed(config.seed)
    state = load_checkpoint(folder, model, optimizer.state, generator) if folder and resume else None
    if state is None:
        state = FitState()
        if config.start == "windows":
            start_from_windows(model, train, config.seed)
    steps = config.epochs * math.ceil(len(train) / config.batch_size)
    saved = time.monotonic()

    while state.epoch < config.epochs and not _has_stalled(state, config.patience, held_out):
        model.train()
        order = epoch_order(labels, generator, resampled=resampled)
        summands: list[Tensor] = []
        sizes: list[int] = []
        for ids, y, weights, others in data.batches(order, config.batch_size):
            progress = state.step / steps
            optimizer.lr = learning_rate(state.step, steps, config.lr)
            for augment in regularizers.augment:
                ids = augment(ids, generator, model.alphabet)
            optimizer.zero_grad()
            if in_closed_form is not None:
                values = in_closed_form.step(ids, y, weights)
            else:
                x = regularizers.attack(model, ids, y) if regularizers.attack else ids
                logits = _score(model, x, ids)
                terms = {criterion.term: loss(logits if others is None else logits + others, y, weights)}
                for name, penalty in regularizers.penalties.items():
                    terms[name] = penalty(model, ids, y, progress=progress)
                values = torch.stack(list(terms.values()))
                values.sum().backward()
            optimizer.step()
            regularizers.project_(model, state.epoch)
            summands.append(values.detach())
            sizes.append(len(ids))
            state.step += 1

        row = {"epoch": state.epoch + 1, "learning_rate": optimizer.lr}
        row |= _epoch_means((criterion.term, *regularizers.penalties), summands, sizes, state.epoch)
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            raise _diverged("weights are not finite after its last step", state.epoch)
        if held_out is not None:
            row["valid_loss"] = validation_loss(model, held_out)
            if not math.isfinite(row["valid_loss"]):
                raise _diverged(f"valid_loss is {row['valid_loss']}", state.epoch)
            if row["valid_loss"] < state.best_loss:
                state.best_loss, state.best_epoch = row["valid_loss"], state.epoch
                state.best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        state.history.append(row)
        state.epoch += 1
        if folder and time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
            save_checkpoint(folder, state, model, optimizer.state, generator)
            saved = time.monotonic()
        if report:
            report(Progress(epoch=state.epoch, epochs=config.epochs, row=row))

    optimizer.release()
    if state.best_weights is not None:
        model.load_state_dict(state.best_weights)
    model.eval()
    return state.history


def weighted_loss(outputs: Tensor, y: Tensor, weights: Tensor, *, criterion: Objective | None = None) -> Tensor:
    """[] mean over a batch of losses of outputs (N, K) times weights (N,); criterion: None for what y can only mean."""
    known = criterion or objective_of(y, outputs.shape[1])
    return (known.loss(outputs, y) * weights).mean()


def validation_loss(model: SequenceNetwork, data: ResidentData, batch_size: int = 256) -> float:
    """Weighted mean loss in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        parts = [
            (_losses(model, ids, y) * weights).sum()
            for ids, y, weights, _ in data.batches(torch.argsort(data.lengths, stable=True), batch_size)
        ]
        return float(torch.stack(parts).sum() / data.weights.sum())


def _score(model: SequenceNetwork, x: Tensor, ids: Tensor) -> Tensor:
    """Logits of letters, or of one-hot x that an attack has moved away from ids."""
    return model(x) if x.dim() == 2 else model(x, lengths=model.lengths(ids))


def _losses(model: SequenceNetwork, ids: Tensor, y: Tensor) -> Tensor:
    outputs = model(ids)
    return objective_for(model, y, outputs.shape[1]).loss(outputs, y)


def _has_stalled(state: FitState, patience: int, held_out: ResidentData | None) -> bool:
    return held_out is not None and state.best_epoch >= 0 and state.epoch - 1 - state.best_epoch >= patience


def _epoch_means(names: tuple[str, ...], steps: list[Tensor], sizes: list[int], epoch: int) -> dict[str, float]:
    """Means over an epoch's sequences of the loss and its terms, from their values (terms,) at each step.

    Raises DivergedError naming the terms that were not finite at the first step where any was not: a step later the
    weights are gone, and every term with them.
    """
    values = torch.stack(steps).double()
    bad = ~values.isfinite()
    if bool(bad.any()):
        first = int(bad.any(1).int().argmax())
        found = [f"{name} is {float(values[first, i])}" for i, name in enumerate(names) if bad[first, i]]
        raise _diverged(", ".join(found), epoch)
    shares = torch.tensor(sizes, dtype=values.dtype, device=values.device) / sum(sizes)
    means = (shares @ values).tolist()
    return {"loss": sum(means), **dict(zip(names, means, strict=True))}


def _diverged(what: str, epoch: int) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {epoch + 1}: {what}. "
        f"Lower the strength of the penalties, epsilon of the attack, or {option('lr')}"
    )
