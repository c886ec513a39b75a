"""A request to stop: all ranks stop after the same step, whichever of them was asked."""

from types import SimpleNamespace

import pytest
import torch

from experiment.training.stop_requests import LOOK_EVERY_S, StopAskedError, StopRequests


def rank_of(world_size: int, sum_of) -> SimpleNamespace:
    """As much of a backend as looking for a stop needs; `sum_of` is the exchange with the other ranks."""
    return SimpleNamespace(world_size=world_size, device=torch.device("cpu"), all_reduce=sum_of)


def test_a_rank_stops_once_it_is_asked(monkeypatch):
    asked = {"now": False}
    monkeypatch.setattr("experiment.training.supervisor.stop_asked", lambda: asked["now"])
    requests = StopRequests(rank_of(1, None))
    requests.heed(1)
    asked["now"] = True
    with pytest.raises(StopAskedError):
        requests.heed(2)


def test_several_ranks_look_at_the_same_steps_and_stop_if_one_was_asked():
    exchanges = []

    def another_was_asked(mine: torch.Tensor) -> torch.Tensor:
        exchanges.append(mine)
        return mine + 1

    requests = StopRequests(rank_of(2, another_was_asked))
    requests.agree_when_to_look(1.0)  # two ranks: together 2 steps per second, 1 on average
    exchanges.clear()
    for step in range(1, int(LOOK_EVERY_S)):
        requests.heed(step)
    assert not exchanges  # not at every step
    with pytest.raises(StopAskedError):
        requests.heed(int(LOOK_EVERY_S))
