"""Where a Kaggle token is found, what is no token, and that no message quotes it."""

import json
import sys
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.kaggle_token import (
    Token,
    checked_secret,
    config_folder,
    find_api_key,
    find_token,
)

from kaggle_stand_in import ACCESS_TOKEN, KEY, USERNAME, newer_client, write_kaggle_json

pytest.importorskip("kagglesdk")
pytest_plugins = ["kaggle_stand_in"]
pytestmark = pytest.mark.usefixtures("home", "no_secret_is_ever_shown")


def parts(token: Token) -> tuple[str, str | None, str | None]:
    return token.origin, token.username, token.secret


def test_a_token_shows_where_it_was_found_and_nothing_else():
    token = Token("/home/reader/.kaggle/kaggle.json", USERNAME, KEY)
    assert repr(token) == str(token) == "Token(/home/reader/.kaggle/kaggle.json)"


def test_the_key_of_the_file(home):
    path = write_kaggle_json(home)
    assert parts(find_token()) == (str(path), USERNAME, KEY)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_key_of_a_file_that_windows_wrote(home, encoding):
    path = write_kaggle_json(home)
    path.write_bytes(path.read_text().replace(", ", ",\r\n").encode(encoding))
    assert parts(find_token()) == (str(path), USERNAME, KEY)


def test_the_environment_wins_over_the_file(home, monkeypatch):
    path = write_kaggle_json(home, json.dumps({"username": "other", "key": "outdated"}))
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert parts(find_api_key()) == (str(path), "other", KEY)  # each of the two is looked for by itself
    monkeypatch.setenv("KAGGLE_USERNAME", f" {USERNAME}\n")
    assert parts(find_api_key()) == ("KAGGLE_USERNAME and KAGGLE_KEY", USERNAME, KEY)


@newer_client
def test_access_tokens_win_over_the_key(home, monkeypatch):
    write_kaggle_json(home)
    path = home / ".kaggle" / "access_token"
    path.write_text(ACCESS_TOKEN + "\n")
    path.chmod(0o600)
    assert parts(find_token()) == (str(path), None, ACCESS_TOKEN)
    monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN)
    assert parts(find_token()) == ("KAGGLE_API_TOKEN", None, ACCESS_TOKEN)


@newer_client
def test_the_login_of_the_client_itself_comes_last(home, shown):
    path = home / ".kaggle" / "credentials.json"
    path.parent.mkdir()
    path.write_text("{}")
    path.chmod(0o644)
    assert parts(find_token()) == (str(path), None, None)
    assert shown().err == f"warning: {path} can be read by others; run `chmod 600 {path}`\n"


def test_no_token_at_all():
    assert find_api_key() is None
    with pytest.raises(
        InputError, match=r"^no Kaggle token: make one at https://www\.kaggle\.com/settings/api and"
    ):
        find_token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON " + KEY,
        json.dumps([KEY]),
        json.dumps({"username": USERNAME}),
        json.dumps({"username": USERNAME, "key": ""}),
        json.dumps({"username": USERNAME, "key": 5}),
        json.dumps({"username": USERNAME, "key": KEY + "\nmore"}),
        json.dumps({"username": USERNAME, "key": KEY + "é"}),
    ],
)
def test_a_malformed_file_is_named_and_not_quoted(home, text):
    path = write_kaggle_json(home, text)
    with pytest.raises(InputError, match="not a Kaggle token") as error:
        find_token()
    assert str(path) in str(error.value) and KEY not in str(error.value)


@pytest.mark.parametrize(
    ("name", "lacking"), [("KAGGLE_USERNAME", "KAGGLE_KEY"), ("KAGGLE_KEY", "KAGGLE_USERNAME")]
)
def test_half_a_key_in_the_environment(monkeypatch, name, lacking):
    monkeypatch.setenv(name, KEY)
    with pytest.raises(InputError, match=f"^{lacking} is not set; set both KAGGLE_USERNAME and KAGGLE_KEY$"):
        find_token()


@newer_client
def test_a_malformed_access_token_is_not_quoted(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN + " \n x")
    with pytest.raises(InputError, match="KAGGLE_API_TOKEN: not a Kaggle token") as error:
        find_token()
    assert ACCESS_TOKEN not in str(error.value)


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="about the client of Python 3.10")
def test_access_tokens_need_a_newer_python(monkeypatch):
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN)
    with pytest.raises(InputError, match=r"access tokens need Python 3\.11"):
        find_token()


def test_where_kaggle_json_is_looked_for(home, monkeypatch):
    if sys.platform.startswith("linux"):
        assert config_folder() == home / ".config" / "kaggle"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
        assert config_folder() == home / "xdg" / "kaggle"
    (home / ".kaggle").mkdir()
    assert config_folder() == home / ".kaggle"
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", "elsewhere")
    assert config_folder() == Path("elsewhere")


@pytest.mark.parametrize("text", [None, 5, "", " ", "a b", "a\nb", "é"])
def test_what_cannot_stand_in_a_header_is_no_token(text):
    with pytest.raises(InputError, match=r"^the file: not a Kaggle token"):
        checked_secret(text, "the file")
    assert checked_secret(f" {KEY}\n", "the file") == KEY
