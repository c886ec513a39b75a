"""AdamW that ignores bad steps.

All parameters are updated as one vector, so that a step takes only a few operations on any device. A step is good if
the gradient's norm and the loss are finite. The device decides this by itself, without anyone waiting for it: after a
bad step, `torch.where` leaves weights, both moments and the step count exactly as they were.
"""

import torch

from experiment.config import OptimizerConfig

EPSILON = 1e-8


class GuardedAdamW(torch.optim.Optimizer):
    """AdamW with gradient clipping, warm-up and a guard against values that are not finite.

    Weight decay leaves out biases and normalisation (parameters of one dimension). A scheduler may change the
    learning rate after warm-up, `param_groups[0]["lr"]`.
    """

    def __init__(self, model: torch.nn.Module, config: OptimizerConfig):
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        super().__init__(self.parameters, {"lr": config.lr})
        self.config = config
        self._sizes = [parameter.numel() for parameter in self.parameters]
        device = self.parameters[0].device
        decay = [torch.full((p.numel(),), float(p.dim() > 1)) for p in self.parameters]
        self.decay = (torch.cat(decay) * config.weight_decay).to(device)
        self.first = torch.zeros_like(self.decay)
        self.second = torch.zeros_like(self.decay)
        self.steps = torch.zeros((), device=device)
        self.bad_steps = torch.zeros((), device=device)
        self.bad_in_a_row = torch.zeros((), device=device)
        self.worst_row = torch.zeros((), device=device)

    @property
    def lr(self) -> float:
        """The learning rate after warm-up."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self.param_groups[0]["lr"] = value

    def gradient(self) -> torch.Tensor:
        """All gradients as one vector (P,); zero where a parameter has none."""
        return _flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters])

    @torch.no_grad()
    def step(self, gradient: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
        """Update the weights by `gradient` (P,), the mean over all ranks; return whether the step was good.

        `loss` () is the mean loss over all ranks. If it or the gradient is not finite, only the counters change.
        The result is a bool () on the device.
        """
        norm = torch.linalg.vector_norm(gradient)
        good = torch.isfinite(norm) & torch.isfinite(loss)
        gradient = gradient * (self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        steps = self.steps + 1
        first, second, change = self._update(gradient, steps)
        self._write(torch.where(good, change, torch.zeros_like(change)), good)
        self.first = torch.where(good, first, self.first)
        self.second = torch.where(good, second, self.second)
        self.steps = torch.where(good, steps, self.steps)
        self._count(good)
        return good

    def _update(self, gradient: torch.Tensor, steps: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The new moments and the change of the weights, all (P,)."""
        beta1, beta2 = self.config.betas
        first = beta1 * self.first + (1 - beta1) * gradient
        second = beta2 * self.second + (1 - beta2) * gradient * gradient
        scale = torch.sqrt(second / (1 - beta2**steps)) + EPSILON
        step = first / (1 - beta1**steps) / scale
        rate = self.lr * (steps / max(self.config.warmup_steps, 1)).clamp(max=1.0)
        return first, second, -rate * (step + self.decay * _flat(self.parameters))

    def _write(self, change: torch.Tensor, good: torch.Tensor) -> None:
        for parameter, piece in zip(self.parameters, change.split(self._sizes), strict=True):
            parameter.copy_(torch.where(good, parameter + piece.view_as(parameter), parameter))

    def _count(self, good: torch.Tensor) -> None:
        bad = 1 - good.to(self.bad_steps.dtype)
        self.bad_steps = self.bad_steps + bad
        self.bad_in_a_row = (self.bad_in_a_row + bad) * bad
        self.worst_row = torch.maximum(self.worst_row, self.bad_in_a_row)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The state by name, without the learning rate."""
        return {name: getattr(self, name) for name in _STATE}

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Go on with a state that `tensors` gave. Raises ValueError if it is damaged or of another network."""
        for name in _STATE:
            old, new = getattr(self, name), tensors.get(name)
            if new is None or (new.shape, new.dtype) != (old.shape, old.dtype) or not new.isfinite().all():
                raise ValueError(f"no finite tensor {name} of shape {tuple(old.shape)}")
            setattr(self, name, new.to(self.decay.device))


_STATE = ("first", "second", "steps", "bad_steps", "bad_in_a_row", "worst_row")


def _flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
