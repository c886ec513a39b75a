"""Stops a run after a step when one of its ranks was asked to: all ranks decide alike, after the same step."""

import torch

from experiment.backend.backend import Backend
from experiment.training import supervisor

LOOK_EVERY_S = 5.0  # how often several ranks ask each other whether one of them should stop


class StopAskedError(Exception):
    """This run was asked to stop after the current step."""


class StopRequests:
    """Looks for a request to stop. Several ranks look together, and not after every step: it takes an exchange."""

    def __init__(self, backend: Backend):
        self.backend = backend
        self._every = 1  # how many steps there are from one look to the next

    def heed(self, step: int) -> None:
        """After step number `step`: raise StopAskedError, on all ranks, if one of them was asked to stop."""
        supervisor.beat()
        if step % self._every:
            return
        asked = supervisor.stop_asked()
        if self.backend.world_size > 1:
            asked = self.backend.all_reduce(torch.tensor([float(asked)]).to(self.backend.device)).item() > 0
        if asked:
            raise StopAskedError

    def agree_when_to_look(self, steps_per_s: float) -> None:
        """Set after how many steps the ranks look, the same number on each, from the speed of this rank."""
        if self.backend.world_size > 1:
            speeds = torch.tensor([steps_per_s]).to(self.backend.device)
            speed = self.backend.all_reduce(speeds).item() / self.backend.world_size
            self._every = max(int(LOOK_EVERY_S * speed), 1)
