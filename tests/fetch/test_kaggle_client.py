"""The client of a competition, turned to a local stand-in, and the pauses that a server asks for."""

import time

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.kaggle_client import Competition, Pause, asked_pause_s

from kaggle_stand_in import COMPETITION, newer_client, one_page, write_kaggle_json

pytest.importorskip("kagglesdk")
pytest_plugins = ["kaggle_stand_in"]
pytestmark = pytest.mark.usefixtures("no_secret_is_ever_shown")


@newer_client
def test_a_file_comes_as_a_streamed_answer(server):
    with Competition(COMPETITION, 2).open(one_page()) as response:
        assert response.headers["Content-Length"] == str(len(server.files[one_page()]))
        assert b"".join(response.iter_content(1000)) == server.files[one_page()]


@newer_client
def test_an_unknown_environment_of_the_client(home, monkeypatch):
    write_kaggle_json(home)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "nonsense")
    with pytest.raises(InputError, match="unset KAGGLE_API_ENVIRONMENT"):
        Competition(COMPETITION, 2).connect()


def test_without_a_token_there_is_no_client(home):
    with pytest.raises(InputError, match="no Kaggle token"):
        Competition(COMPETITION, 2).connect()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 1.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0), ("nonsense", 60.0), (None, 60.0)],
)
def test_how_long_a_rate_limit_lasts(header, seconds):
    class Answer:
        headers = {} if header is None else {"Retry-After": header}

    assert asked_pause_s(Answer) == seconds


def test_a_pause_is_announced_once_and_kept(shown):
    pause = Pause()
    for _ in range(3):  # three threads that are refused at the same time do the same
        pause.ask(0.2)
    pause.keep()
    assert pause._until_s <= time.monotonic()
    assert shown().err == "Kaggle asks for a pause of 0 s (rate limit)\n"
