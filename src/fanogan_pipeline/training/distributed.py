"""Several processes that train as one: each takes its share of every batch, gradients are averaged.

Every process draws the rows and the noise of the whole batch, as one process alone would, and keeps
the images rank, rank + size, rank + 2 size, ... of it. Losses are means, so the average of the
shares' gradients is the whole batch's gradient: weights agree with those of one process to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Group:
    """The processes that train one model; one alone (the default) communicates with nobody.

    Attributes:
        rank: of this process, from 0; rank 0 reports and keeps the resumable states.
        size: number of processes; divides every batch.
    """

    rank: int = 0
    size: int = 1

    def share(self, count: int) -> int:
        """How many of `count` images are this process's."""
        return count // self.size

    def shard(self, batch: Tensor) -> Tensor:
        """This process's rows of a whole batch [N, ...]: [N / size, ...]."""
        return batch if self.size == 1 else batch[self.rank :: self.size]

    def gather(self, shard: Tensor) -> Tensor:
        """The whole batch [N, ...] of everybody's shards, in its order."""
        if self.size == 1:
            return shard
        parts = [torch.empty_like(shard, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, shard.contiguous())
        return torch.stack(parts, 1).flatten(0, 1)

    def rand(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """This process's share [shape] of uniform numbers in [0, 1) drawn for the whole batch."""
        whole = (shape[0] * self.size, *shape[1:])
        return self.shard(torch.rand(*whole, generator=generator, device=generator.device))

    def randn(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """This process's share [shape] of standard normal numbers drawn for the whole batch."""
        whole = (shape[0] * self.size, *shape[1:])
        return self.shard(torch.randn(*whole, generator=generator, device=generator.device))

    @torch.no_grad()
    def mean_gradients(self, module: nn.Module) -> None:
        """Replace every gradient by its mean over the processes, in one message."""
        if self.size == 1:
            return
        gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
        message = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(message)
        message /= self.size
        for gradient, part in zip(gradients, message.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))

    def mean(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each scalar's mean over the processes."""
        if self.size == 1:
            return terms
        message = torch.stack(list(terms.values()))
        dist.all_reduce(message)
        return dict(zip(terms, (message / self.size).unbind(), strict=True))

    def most(self, numbers: Sequence[float]) -> list[float]:
        """Each number's largest over the processes, the very same for all of them."""
        if self.size == 1:
            return list(numbers)
        message = torch.tensor(numbers, device=_message_device())
        dist.all_reduce(message, dist.ReduceOp.MAX)
        return message.tolist()

    @torch.no_grad()
    def align(self, step: int, modules: Iterable[nn.Module]) -> None:
        """Check that all stand at the same step, and give everybody the weights and statistics of rank 0.

        Raises:
            RuntimeError: some have read another state than others; starting again mends it.
        """
        if self.size == 1:
            return
        first = torch.tensor(step, device=_message_device())
        dist.broadcast(first, 0)
        if any(self.most([int(first) != step])):
            raise RuntimeError(f"rank {self.rank} stands at step {step}, others at another")
        for module in modules:
            for tensor in module.state_dict().values():
                whole = tensor.contiguous()
                dist.broadcast(whole, 0)
                tensor.copy_(whole)

    def share_statistics(self, module: nn.Module) -> None:
        """Have every batch norm in the module take its statistics over the whole batch."""
        if self.size == 1:
            return
        for name, child in module.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, SharedBatchNorm.of(child, self))
            else:
                self.share_statistics(child)


SOLO = Group()


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, on any device and differentiable twice.

    `nn.SyncBatchNorm` is neither. The variance of the whole is the mean of the shares' variances and the
    variance of their means, which loses no digits where a mean is large.
    """

    group: Group

    @classmethod
    def of(cls, norm: nn.modules.batchnorm._BatchNorm, group: Group) -> SharedBatchNorm:
        """In place of `norm`, with its very weights and statistics."""
        shared = cls(norm.num_features, norm.eps, norm.momentum, device="meta")
        for name, tensor in {**norm._parameters, **norm._buffers}.items():
            setattr(shared, name, tensor)
        shared.group = group
        return shared.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        dims, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
        wide = x.to(self.weight.dtype)  # activations may come in fewer bits; statistics are never taken in them
        means, variances = of_every_process(torch.stack([wide.mean(dims), wide.var(dims, correction=0)]), self.group)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        count = self.group.size * x.numel() // x.size(1)
        self._note(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return ((wide - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


class _Total(torch.autograd.Function):
    """A sum over the processes. Each process's share counts in every sum, so its gradient is such a sum again."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Total.apply(gradient)  # differentiable once more, as the gradient penalty needs


def of_every_process(x: Tensor, group: Group) -> Tensor:
    """x [A, ...] of every process, the same shape everywhere, as [A, size, ...]; differentiable twice."""
    mine = (torch.arange(group.size, device=x.device) == group.rank).to(x)  # nothing that a GPU has to wait for
    return _Total.apply(x.unsqueeze(1) * mine.view(1, -1, *[1] * (x.dim() - 1)))


def _message_device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
