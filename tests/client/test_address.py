"""Where a client looks for its server, and which token it takes along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from progresshub.client import Address, Unreachable, find


def left(data: Path, *urls: str, token: str = "ph_local") -> Path:
    data.mkdir(parents=True, exist_ok=True)
    (data / "server.json").write_text(json.dumps({"urls": urls, "pid": 1, "version": "9.9"}))
    (data / "token").write_text(f"{token}\n")
    return data


def test_a_data_directory_names_the_server_and_its_token(tmp_path: Path):
    left(tmp_path, "http://127.0.0.1:1234", "unix:/run/hub")

    assert find(data=tmp_path, environment={}) == Address("http://127.0.0.1:1234", "ph_local", "9.9")


@pytest.mark.parametrize(
    "environment",
    [{"PROGRESSHUB_DATA_DIR": "{}"}, {"PROGRESSHUB_SERVER_DATA_DIR": "{}"}, {"PROGRESSHUB_CONFIG": "{}/c"}],
)
def test_the_environment_names_the_data_directory(tmp_path: Path, environment: dict[str, str]):
    left(tmp_path, "http://127.0.0.1:1234")
    (tmp_path / "c").write_text(f'[server]\ndata_dir = "{tmp_path}"\n')
    environment = {name: value.format(tmp_path) for name, value in environment.items()}

    assert find(environment=environment).url == "http://127.0.0.1:1234"


def test_the_usual_place_is_the_users_data_directory(tmp_path: Path):
    left(tmp_path / "progresshub", "http://127.0.0.1:1234")

    assert find(environment={"XDG_DATA_HOME": str(tmp_path)}).token == "ph_local"


def test_the_local_token_goes_to_its_own_server_alone(tmp_path: Path):
    left(tmp_path, "http://127.0.0.1:1234")
    environment = {"PROGRESSHUB_DATA_DIR": str(tmp_path)}

    assert find("http://localhost:1234/", environment=environment).token == "ph_local"
    assert find("http://127.0.0.1:4321", environment=environment).token == ""
    assert find(environment={**environment, "PROGRESSHUB_URL": "https://hub.example"}) == Address("https://hub.example")


def test_what_is_told_outweighs_what_is_found(tmp_path: Path):
    left(tmp_path, "http://127.0.0.1:1234")
    environment = {"PROGRESSHUB_URL": "http://a.example", "PROGRESSHUB_TOKEN": "theirs"}

    assert find(environment=environment, data="/nowhere", url="http://b.example") == Address(
        "http://b.example", "theirs"
    )
    assert find(data=tmp_path, environment=environment) == Address("http://127.0.0.1:1234", "theirs", "9.9")
    assert find(token="mine", environment=environment) == Address("http://a.example", "mine")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"urls": []}', '{"urls": 3}'])
def test_where_no_server_has_run_it_says_how_to_start_one(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "server.json").write_text(content)

    with pytest.raises(Unreachable, match="progresshub serve"):
        find(data=tmp_path, environment={})


def test_without_a_home_directory_an_address_is_enough():
    assert find("http://a.example", environment={}) == Address("http://a.example")
    with pytest.raises(Unreachable, match="home"):
        find(environment={})
