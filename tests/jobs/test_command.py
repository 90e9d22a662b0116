import subprocess
import sys

import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs import command
from progresshub.kinds import Spawn
from progresshub.readers.percent import PercentReader
from progresshub.settings import Command
from tests import make

ENCODE = Command(
    argv=("printf", "%s|", "--out={name}.mp4", "{name}", "{speed}"),
    params={"name": r"[\w.-]+", "speed": r"-?\d+(\.\d+)?"},
    timeout_s=90,
)
KIND = command.kind({
    "encode": ENCODE,
    "quiet": Command(argv=("true",), progress="none", cwd="/srv", timeout_s=0),
    "after": Command(argv=("cat", "--", "{name}"), params={"name": ".+"}),
})  # fmt: skip


def launch(payload) -> Spawn:
    found = KIND.launch(make.task(kind="command", payload=KIND.check(payload)))
    assert isinstance(found, Spawn)
    return found


def refusal(payload) -> str:
    with pytest.raises(InvalidPayload) as refused:
        KIND.check(payload)
    return str(refused.value.details["reason"])


def test_a_template_is_filled_with_text_and_numbers():
    spawn = launch({"name": "encode", "args": {"name": "a", "speed": -1.5}})

    assert spawn.argv == ("printf", "%s|", "--out=a.mp4", "a", "-1.5")


def test_what_a_shell_would_act_on_is_only_text():
    spawn = launch({"argv": ["printf", "%s", "$(id); `id` | x > y && $HOME *"]})

    said = subprocess.run(spawn.argv, capture_output=True, check=True, text=True).stdout

    assert said == "$(id); `id` | x > y && $HOME *"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"name": "a"}, "args: speed is missing"),
        ({"name": "a", "speed": 1, "more": 2}, "args: there is no parameter more"),
        ({"name": "a/b", "speed": 1}, r"args: name does not fit its pattern [\w.-]+"),
        ({"name": "a\n", "speed": 1}, r"args: name does not fit its pattern [\w.-]+"),
        ({"name": "-rf", "speed": 1}, "args: name may not begin with a dash, that would make it an option"),
    ],
)
def test_values_that_do_not_fit_are_refused(args, reason):
    assert refusal({"name": "encode", "args": args}) == reason


def test_a_boolean_is_no_number():
    assert refusal({"name": "encode", "args": {"name": True, "speed": 1}}).startswith("args")


def test_a_value_may_begin_with_a_dash_where_it_can_not_be_an_option():
    assert launch({"name": "after", "args": {"name": "-rf"}}).argv == ("cat", "--", "-rf")


def test_an_unknown_command_is_refused():
    assert refusal({"name": "rm"}) == "there is no command rm in the settings"


def test_the_settings_say_where_and_how_long_it_runs_and_how_it_is_read():
    quiet = launch({"name": "quiet"})

    assert (quiet.cwd, quiet.reader) == ("/srv", None)
    assert launch({"name": "after", "args": {"name": "x"}}).reader is PercentReader
    assert KIND.timeout_of is not None
    assert KIND.timeout_of({"name": "encode"}) == 90_000
    assert KIND.timeout_of({"name": "quiet"}) is None
    assert KIND.timeout_of({"argv": ["x"]}) == KIND.timeout_ms == 1_800_000


def test_python_takes_no_module_from_what_clients_have_sent(tmp_path):
    (tmp_path / "json.py").write_text("print('taken over')")
    here = command.kind({"check": Command(argv=(sys.executable, "-c", "import json; print(json.dumps(1))"))})
    spawn = here.launch(make.task(kind="command", payload=here.check({"name": "check"})))
    assert isinstance(spawn, Spawn)

    said = subprocess.run(spawn.argv, cwd=tmp_path, env=spawn.env, capture_output=True, check=True, text=True).stdout

    assert said == "1\n"


def test_only_a_program_of_the_clients_choice_needs_the_scope():
    assert KIND.needs_command_scope({"argv": ["id"]})
    assert not KIND.needs_command_scope({"name": "quiet"})


def test_any_program_may_have_a_directory_and_variables():
    spawn = launch({"argv": ["make", "-j2"], "cwd": "/src", "env": {"CC": "cc"}})

    assert spawn == Spawn(argv=("make", "-j2"), cwd="/src", env={"CC": "cc"}, reader=PercentReader)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"argv": []},
        {"argv": [""]},
        {"argv": ["a\0b"]},
        {"argv": ["a", 3]},
        {"argv": "ls -l"},
        {"argv": ["a"], "name": "encode"},
        {"argv": ["a"], "cwd": "relative"},
        {"argv": ["a"], "cwd": "/x\0"},
        {"argv": ["a"], "env": {"A=B": "c"}},
        {"argv": ["a"], "env": {"A": "c\0"}},
        {"argv": ["a"], "env": {"PROGRESSHUB_FD": "1"}},
        {"name": "after", "args": {"name": "a\0"}},
    ],
)
def test_what_can_not_be_run_is_refused(payload):
    with pytest.raises(InvalidPayload):
        KIND.check(payload)


def test_a_command_that_left_the_settings_is_refused_when_it_is_due():
    with pytest.raises(InvalidPayload):
        command.kind({}).launch(make.task(kind="command", payload={"name": "quiet", "args": {}}))


def test_the_title_shows_the_command_and_no_secret():
    def title(*argv: str) -> str:
        return KIND.title(KIND.check({"argv": list(argv), "env": {"SECRET": "s3cret"}}))

    assert KIND.title(KIND.check({"name": "quiet"})) == "quiet"
    assert title("ls", "-l", "a b") == "ls -l 'a b'"
    for argv in (
        ["c", "--password", "s3cret"],
        ["c", "--api-key=s3cret"],
        ["git", "clone", "https://me:s3cret@host/x"],
    ):
        assert "s3cret" not in title(*argv)
    assert len(title("x" * 500)) == command.TITLE_CHARS


def test_its_schema_offers_the_commands_of_the_settings():
    commands = {
        "say": Command(argv=("echo", "{word}"), params={"word": "x+"}, summary="Says it"),
        "rest": Command(argv=("true",)),
    }

    rest, say, _direct = command.kind(commands).schema["oneOf"]

    assert (say["title"], say["description"], say["required"]) == ("say", "Says it", ["name", "args"])
    assert say["properties"]["args"]["properties"] == {"word": {"type": ["string", "number"], "pattern": "x+"}}
    assert (rest["properties"]["name"], rest["description"]) == ({"const": "rest"}, "true")


def test_without_commands_its_schema_is_still_one():
    named, direct = command.kind({}).schema["oneOf"]

    assert (named["title"], direct["title"]) == ("Named", "Direct")
