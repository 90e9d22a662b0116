"""How settings are put together: who outweighs whom, what is refused and in which words."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progresshub.config import Config, Loaded, data_dir, explain, load, template
from progresshub.errors import InvalidConfig
from progresshub.settings import Queue

NOTHING: dict[str, str] = {}


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def refusal(file: Path | None = None, environment: dict[str, str] | None = None, *flags: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load(file, environment or NOTHING, flags)
    return caught.value.message


def examples() -> str:
    """The commented tables of the template, without their marks."""
    marked = [line.removeprefix("# ") for line in template().splitlines() if line.startswith("# ")]
    return "\n".join(line for line in marked if line.startswith("[") or " = " in line)


def test_without_anything_given_the_defaults_hold():
    loaded = load(None, NOTHING)

    assert loaded == Loaded(Config(), {})


def test_each_layer_outweighs_the_one_below_and_is_remembered(tmp_path):
    file = written(tmp_path, "[server]\nhost = 'file'\nport = 1\nbase_path = '/file'\n")
    environment = {"PROGRESSHUB_SERVER_HOST": "env", "PROGRESSHUB_SERVER_PORT": "2"}

    loaded = load(file, environment, ["server.port=3"])

    assert (loaded.config.server.base_path, loaded.config.server.host, loaded.config.server.port) == ("/file", "env", 3)
    assert loaded.sources == {
        "server.base_path": str(file),
        "server.host": "PROGRESSHUB_SERVER_HOST",
        "server.port": "--set",
    }


@pytest.mark.parametrize(
    ("text", "on"), [("true", True), ("True", True), ("1", True), ("on", True), ("false", False), ("No", False)]
)
def test_a_switch_has_a_name_that_clients_of_another_server_know(text, on):
    loaded = load(None, {"ENABLE_FEATURE_PROGRESS_TRACKING": text, "ENABLE_FEATURE_OTHER": "x"})

    assert loaded.config.features.progress_tracking is on
    assert loaded.sources["features.progress_tracking"] == "ENABLE_FEATURE_PROGRESS_TRACKING"


def test_our_own_name_of_a_switch_outweighs_the_other():
    both = {"ENABLE_FEATURE_PROGRESS_TRACKING": "false", "PROGRESSHUB_FEATURES_PROGRESS_TRACKING": "true"}

    assert load(None, both).config.features.progress_tracking is True
    assert "must be true or false" in refusal(None, {"ENABLE_FEATURE_PROGRESS_TRACKING": "perhaps"})


def test_the_environment_may_name_the_file_and_the_argument_outweighs_it(tmp_path):
    named, argument = tmp_path / "named.toml", tmp_path / "argument.toml"
    named.write_text("server.port = 1")
    argument.write_text("server.port = 2")
    environment = {"PROGRESSHUB_CONFIG": str(named)}

    by_name, by_argument = load(None, environment), load(argument, environment)

    assert (by_name.config.server.port, by_argument.config.server.port) == (1, 2)


@pytest.mark.parametrize(
    ("variable", "flag", "source"),
    [
        ("PROGRESSHUB_HOST", "host=there", "--host"),
        ("PROGRESSHUB_DATA_DIR", "data_dir=there", "--data-dir"),
    ],
)
def test_short_forms_name_the_same_settings(variable, flag, source):
    by_variable, by_flag = load(None, {variable: "there"}), load(None, NOTHING, [flag])

    assert by_variable.config == by_flag.config != Config()
    assert list(by_variable.sources.values()) == [variable]
    assert list(by_flag.sources.values()) == [source]


def test_the_variables_of_children_and_of_the_tests_are_not_settings():
    names = ("FD", "URL", "TOKEN", "TASK_ID", "STEP", "SERVER", "TESTS_FULL")

    loaded = load(None, {f"PROGRESSHUB_{name}": "17" for name in names} | {"PATH": "/bin", "PROGRESS": "1"})

    assert loaded == Loaded(Config(), {})


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ('server.data_dir="quoted"', "quoted"),
        ("server.data_dir=bare words", "bare words"),
        ("server.data_dir=2024", "2024"),
        ("server.data_dir=true", "true"),
        ("server.data_dir=a=b", "a=b"),
        ("server.data_dir=", ""),
        ('server.data_dir="a"\nother = 2', '"a"\nother = 2'),
    ],
)
def test_a_flag_takes_toml_or_else_a_bare_text(flag, value):
    loaded = load(None, NOTHING, [flag])

    assert loaded.config.server.data_dir == value


def test_a_list_is_given_as_toml():
    loaded = load(None, {"PROGRESSHUB_SERVER_LISTEN": '[":80", "[::1]:8080", "unix:/run/hub"]'})

    assert loaded.config.server.listen == (":80", "[::1]:8080", "unix:/run/hub")


def test_a_whole_number_serves_where_seconds_are_asked_for():
    loaded = load(None, NOTHING, ["streams.heartbeat_s=3"])

    assert loaded.config.streams.heartbeat_s == 3.0
    assert isinstance(loaded.config.streams.heartbeat_s, float)


def test_a_queue_keeps_what_is_not_said_about_it(tmp_path):
    file = written(tmp_path, "[queues.critical]\nslots = 2\n[queues.nightly]\npaused = true\n")

    loaded = load(file, {"PROGRESSHUB_QUEUES_LOW_WEIGHT": "2"}, ["queues.site.a.weight=7"])

    assert loaded.config.queues == {
        "critical": Queue(weight=10, slots=2),
        "high": Queue(weight=5),
        "default": Queue(weight=3),
        "low": Queue(weight=2),
        "nightly": Queue(paused=True),
        "site.a": Queue(weight=7),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server.port = 99999", "server.port in {file}: must be between 0 and 65535, not 99999."),
        ("server.port = '80'", 'server.port in {file}: must be a whole number between 0 and 65535, not "80".'),
        ("server.port = true", "server.port in {file}: must be a whole number between 0 and 65535, not true."),
        ("server.insecure = 1", "server.insecure in {file}: must be true or false, not 1."),
        ("scheduler.jitter = nan", "scheduler.jitter in {file}: must be between 0 and 1, not nan."),
        ("scheduler.backoff_s = inf", "scheduler.backoff_s in {file}: must be between 0 and 1000000000, not inf."),
        ("store.kind = 'redis'", 'store.kind in {file}: must be one of memory, sqlite, not "redis".'),
        ("server.prot = 1", "server.prot in {file}: there is no such setting; the nearest is server.port."),
        ("[servre]", "servre in {file}: there is no such section; the nearest is server."),
        ("server = 5", "server in {file}: must be a table."),
        ("[queues.a]", "queues.a in {file}: is empty; leave it out or set something."),
        ("queues.weight = 5", "queues.weight in {file}: must be a table."),
        ("queues.a.wait = 5", "queues.a.wait in {file}: there is no such setting; the nearest is queues.a.weight."),
        ("server.listen = ['a:70000']", 'server.listen in {file}: must be "host:port" or "unix:PATH", not "a:70000".'),
        (
            "server.base_path = 'hub/'",
            'server.base_path in {file}: must begin with "/" and not end with one, not "hub/".',
        ),
    ],
)
def test_what_does_not_fit_in_the_file_is_told_in_words(tmp_path, text, message):
    file = written(tmp_path, text)

    told = refusal(file)

    assert told == message.format(file=file)


def test_a_file_that_can_not_be_read_is_told_in_words(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff")

    assert refusal(tmp_path / "none.toml") == f"{tmp_path / 'none.toml'}: can't be read (No such file or directory)."
    assert refusal(binary) == f"{binary}: is not UTF-8 text."
    assert refusal(written(tmp_path, "a = ")).startswith(f"{tmp_path / 'config.toml'}: is not TOML: ")
    assert "is not TOML" in refusal(written(tmp_path, "a = " + "[" * 20_000))


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("PROGRESSHUB_PROT", "PROGRESSHUB_PORT"),
        ("PROGRESSHUB_STREAM_HEARTBEAT_S", "PROGRESSHUB_STREAMS_HEARTBEAT_S"),
        ("PROGRESSHUB_QUEUES_WEIGHT", "PROGRESSHUB_QUEUES_NAME_WEIGHT"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(variable, nearest):
    told = refusal(None, {variable: "1"})

    assert told == f"{variable} in the environment: there is no such setting; the nearest is {nearest}."


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("server.port", "--set server.port: must be section.name=VALUE."),
        ("server.port=x", 'server.port in --set: must be a whole number between 0 and 65535, not "x".'),
        ("port=-1", "server.port in --port: must be between 0 and 65535, not -1."),
        ("server=5", "server in --set: there is no such setting; the nearest is server.port."),
        ("queues.weight=1", "queues.weight in --set: needs a name, as in queues.NAME.weight."),
    ],
)
def test_what_does_not_fit_in_a_flag_is_told_in_words(flag, message):
    told = refusal(None, None, flag)

    assert told == message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("argv = ['ls', '{dir}']", "argv in {file}: uses {{dir}}, which params does not declare."),
        ("argv = ['ls']\nparams = {dir = '.'}", "params in {file}: declares dir, which argv does not use as {{dir}}."),
        ("argv = ['ls', '{d}']\nparams = {d = '('}", "params in {file}: has a pattern for d that is not"),
        ("argv = []", "argv in {file}: must be a list, each a text, and not empty, not []."),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(tmp_path, text, reason):
    file = written(tmp_path, f"[commands.list]\n{text}")

    told = refusal(file)

    assert told.startswith(f"commands.list.{reason.format(file=file)}")


def test_a_command_without_a_program_is_refused(tmp_path):
    told = refusal(written(tmp_path, "[commands.list]\ncwd = '/'"))

    assert "needs argv" in told


def test_braces_that_are_no_placeholder_are_left_alone(tmp_path):
    file = written(tmp_path, "[commands.first]\nargv = ['awk', '{print $1}', '{}']\n")

    loaded = load(file, NOTHING)

    assert loaded.config.commands["first"].argv == ("awk", "{print $1}", "{}")


def test_a_token_pasted_where_its_hash_belongs_is_not_repeated():
    told = refusal(None, {"PROGRESSHUB_TOKENS_CI_SHA256": "hunter2"})

    assert told.startswith("tokens.ci.sha256 in PROGRESSHUB_TOKENS_CI_SHA256: must be a text that fits")
    assert "hunter2" not in told


@settings(deadline=None)
@given(st.sampled_from(["port", "host", "tokens.a.sha256", "python.path", "queues.a b.slots"]) | st.text(), st.text())
def test_whatever_a_flag_holds_is_refused_in_words_or_taken_and_explained(key, value):
    with contextlib.suppress(InvalidConfig):
        loaded = load(None, NOTHING, [f"{key}={value}"])

        assert tomllib.loads(explain(loaded))


def test_the_template_sets_nothing_but_defaults(tmp_path):
    loaded = load(written(tmp_path, template()), NOTHING)

    assert loaded.config == Config()
    assert loaded.sources.keys() >= {"server.port", "downloads.reports_per_s"}


def test_the_template_has_one_short_commented_line_a_setting():
    lines = [line for line in template().splitlines() if " = " in line]

    assert [line for line in lines if "  # " not in line or len(line) > 120] == []


def test_the_examples_of_the_template_can_be_used_as_they_are(tmp_path):
    loaded = load(written(tmp_path, examples()), NOTHING)

    assert loaded.config.queues["nightly"].slots == 2
    assert loaded.config.kinds["download"].recovery == "retry"
    assert loaded.config.commands["encode"].params.keys() == {"source"}
    assert [step.name for step in loaded.config.pipelines["transcode"].steps][:2] == ["fetch", "probe"]
    assert loaded.config.tokens["build-server"].scopes == ("read", "submit")


def test_explaining_shows_each_value_where_it_came_from_and_no_secret(tmp_path):
    digest = "ab" * 32
    file = written(tmp_path, f"[tokens.ci]\nsha256 = '{digest}'\nscopes = ['admin']\n")

    told = explain(load(file, {"PROGRESSHUB_PORT": "9000"}))

    lines = {line.partition(" = ")[0]: line.partition(" = ")[2].split("  # ") for line in told.splitlines()}
    assert [part.strip() for part in lines["server.port"]] == ["9000", "PROGRESSHUB_PORT"]
    assert [part.strip() for part in lines["server.host"]] == ['"127.0.0.1"', "default"]
    assert [part.strip() for part in lines["tokens.ci.scopes"]] == ['["admin"]', str(file)]
    assert digest not in told
    assert tomllib.loads(told)["server"]["port"] == 9000


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x00", "\x7f", "é", "\u2028", "# no comment"])
def test_what_is_explained_can_be_read_back(text):
    loaded = load(None, NOTHING, [f"server.data_dir={text}", f"queues.{text}.weight=2"])

    told = tomllib.loads(explain(loaded))

    assert told["server"]["data_dir"] == text
    assert told["queues"][text]["weight"] == 2


@pytest.mark.parametrize(
    ("chosen", "environment", "expected"),
    [
        ("/srv/hub", {}, "/srv/hub"),
        ("~/hub", {"HOME": "/home/me"}, "/home/me/hub"),
        ("", {"XDG_DATA_HOME": "/data", "HOME": "/home/me"}, "/data/progresshub"),
        ("", {"XDG_DATA_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/share/progresshub"),
        ("", {"HOME": "/home/me"}, "/home/me/.local/share/progresshub"),
    ],
)
def test_the_data_directory_is_as_set_or_the_users_own(chosen, environment, expected):
    config = load(None, NOTHING, [f"data_dir={chosen}"]).config

    assert data_dir(config, environment) == Path(expected)


def test_without_a_home_the_data_directory_has_to_be_set():
    with pytest.raises(InvalidConfig, match=r"server\.data_dir: must be set"):
        data_dir(Config(), {})
