"""Tokens on disk and in the settings, sessions and launch codes."""

from __future__ import annotations

import json
import os
import stat
from hashlib import sha256

import pytest

from progresshub.edge import backoff, sessions, tokenfile
from progresshub.edge.tokens import LOOK_AGAIN_S, Tokens, implied
from progresshub.errors import InvalidField, StartupError, TooMany, Unauthorized
from progresshub.places import TOKEN
from progresshub.settings import Config, Limits, Token
from tests.parts import HandClock

PEER = "10.0.0.1"
OTHER = "10.0.0.2"
GUESSES = 3


@pytest.fixture
def clock():
    return HandClock()


def opened(data, clock, **named: Token) -> Tokens:
    return Tokens(Config(tokens=named, limits=Limits(auth_failures_per_min=GUESSES)), data, clock)


def configured(token: str, *scopes: str) -> Token:
    return Token(sha256=sha256(token.encode()).hexdigest(), scopes=scopes or ("read",))  # type: ignore[arg-type]


def scopes_of(tokens: Tokens, token: str) -> set[str]:
    holder = tokens.holder(token)
    return set() if holder is None else set(holder.scopes)


def test_the_first_start_makes_a_token_that_only_its_owner_can_read(tmp_path, clock):
    data = tmp_path / "new" / "data"

    tokens = opened(data, clock)

    path = data / TOKEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert scopes_of(tokens, path.read_text().strip()) == {"read", "submit", "command", "admin"}
    assert not tokens.configured


def test_a_later_start_keeps_the_local_token(tmp_path):
    first = tokenfile.local_token(tmp_path)

    assert tokenfile.local_token(tmp_path) == first
    assert len(first) > 40


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_file_that_others_can_touch_is_replaced(tmp_path, mode):
    first = tokenfile.local_token(tmp_path)
    (tmp_path / TOKEN).chmod(mode)

    second = tokenfile.local_token(tmp_path)

    assert second != first
    assert stat.S_IMODE((tmp_path / TOKEN).stat().st_mode) == 0o600


def test_a_token_file_cut_short_is_replaced(tmp_path):
    tokenfile.local_token(tmp_path)
    os.truncate(tmp_path / TOKEN, 0)

    assert tokenfile.local_token(tmp_path)


def test_a_link_in_place_of_the_token_file_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / TOKEN).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StartupError):
        tokenfile.local_token(tmp_path)


def test_a_token_that_was_made_is_recognised_and_kept_only_as_a_hash(tmp_path, clock):
    token = tokenfile.create(tmp_path, "ci", ["submit"])

    tokens = opened(tmp_path, clock)

    assert scopes_of(tokens, token) == {"read", "submit"}
    assert tokens.configured
    assert token not in (tmp_path / tokenfile.STORE).read_text()
    assert stat.S_IMODE((tmp_path / tokenfile.STORE).stat().st_mode) == 0o600
    assert list(tokenfile.listed(tmp_path)) == ["ci"]


def test_tokens_from_the_settings_are_recognised(tmp_path, clock):
    tokens = opened(tmp_path, clock, monitor=configured("let me see"))

    assert scopes_of(tokens, "let me see") == {"read"}
    assert tokens.holder("let me in") is None
    assert tokens.configured


@pytest.mark.parametrize("token", ["", "ph_", "\udc80\udcff", "x" * 100_000])
def test_odd_tokens_are_just_wrong(tmp_path, clock, token):
    assert opened(tmp_path, clock).holder(token) is None


def test_tokens_are_made_and_taken_away_while_the_server_runs(tmp_path, clock):
    tokens = opened(tmp_path, clock)
    token = tokenfile.create(tmp_path, "ci", ["read"])
    clock.s += LOOK_AGAIN_S
    known = tokens.holder(token)
    tokenfile.revoke(tmp_path, "ci")
    clock.s += LOOK_AGAIN_S

    assert known is not None
    assert tokens.holder(token) is None
    assert not tokens.configured


def test_a_list_that_can_not_be_read_changes_nothing_while_the_server_runs(tmp_path, clock):
    token = tokenfile.create(tmp_path, "ci", ["read"])
    tokens = opened(tmp_path, clock)
    (tmp_path / tokenfile.STORE).write_text("{")
    clock.s += LOOK_AGAIN_S

    assert tokens.holder(token) is not None
    assert tokens.configured


def test_a_list_that_can_not_be_read_stops_the_start(tmp_path, clock):
    (tmp_path / tokenfile.STORE).write_text("{")

    with pytest.raises(StartupError, match=r"tokens\.json"):
        opened(tmp_path, clock)


@pytest.mark.parametrize(("name", "scopes"), [("", ["read"]), ("a b", ["read"]), ("x", []), ("x", ["root"])])
def test_a_token_needs_a_sane_name_and_scopes(tmp_path, name, scopes):
    with pytest.raises(InvalidField):
        tokenfile.create(tmp_path, name, scopes)

    assert not tokenfile.listed(tmp_path)


def test_a_name_is_given_once(tmp_path):
    tokenfile.create(tmp_path, "ci", ["read"])

    with pytest.raises(InvalidField, match="ci"):
        tokenfile.create(tmp_path, "ci", ["read"])


def test_only_a_token_that_is_there_can_be_revoked(tmp_path):
    with pytest.raises(InvalidField, match="ci"):
        tokenfile.revoke(tmp_path, "ci")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], ""),
        (["read"], "read"),
        (["submit"], "read submit"),
        (["command"], "read submit command"),
        (["read", "admin"], "read submit command admin"),
    ],
)
def test_a_scope_includes_those_before_it(given, meant):
    assert implied(given) == set(meant.split())


def test_nobody_may_guess_for_ever(tmp_path, clock):
    tokens = opened(tmp_path, clock, ci=configured("right"))
    for _ in range(GUESSES):
        with pytest.raises(Unauthorized):
            tokens.verify("wrong", PEER)

    with pytest.raises(TooMany):
        tokens.verify("wrong", PEER)
    with pytest.raises(TooMany):
        tokens.verify("right", PEER)


def test_a_token_used_before_is_heard_behind_an_address_that_guesses(tmp_path, clock):
    tokens = opened(tmp_path, clock, ci=configured("right"))
    tokens.verify("right", PEER)
    for _ in range(GUESSES):
        with pytest.raises(Unauthorized):
            tokens.verify("wrong", PEER)

    assert tokens.verify("right", PEER)


def test_other_addresses_and_the_next_minute_are_not_held_responsible(tmp_path, clock):
    tokens = opened(tmp_path, clock, ci=configured("right"))
    for _ in range(GUESSES):
        with pytest.raises(Unauthorized):
            tokens.verify("wrong", PEER)

    assert tokens.verify("right", OTHER)
    clock.s += backoff.MINUTE_S
    assert tokens.verify("right", PEER)


def test_the_table_of_failures_is_bounded(clock):
    failures = backoff.Failures(GUESSES, clock)
    for n in range(backoff.MOST_ADDRESSES):
        failures.add(f"host-{n}")
    for _ in range(GUESSES):
        failures.add("one more")

    assert failures.too_many("yet another")
    assert not failures.too_many("host-0")


def test_a_client_is_its_network_in_ipv6(clock):
    failures = backoff.Failures(GUESSES, clock)
    for n in range(GUESSES):
        failures.add(f"fd00::1:{n}")

    assert failures.too_many("fd00::2")
    assert not failures.too_many("fd00:0:0:1::2")


def test_a_session_lasts_a_week(tmp_path, clock):
    tokens = opened(tmp_path, clock, ci=configured("right"))
    cookie = tokens.log_in(tokens.verify("right", PEER))

    clock.s += sessions.SESSION_S - 1
    assert tokens.session(cookie) == tokens.holder("right")
    clock.s += 1
    assert tokens.session(cookie) is None


def test_a_session_ends_with_its_token(tmp_path, clock):
    token = tokenfile.create(tmp_path, "ci", ["read"])
    tokens = opened(tmp_path, clock)
    cookie = tokens.log_in(tokens.verify(token, PEER))
    tokenfile.revoke(tmp_path, "ci")
    clock.s += LOOK_AGAIN_S

    assert tokens.session(cookie) is None


def test_logging_out_ends_the_session_and_no_other(tmp_path, clock):
    tokens = opened(tmp_path, clock, ci=configured("right"))
    one, other = (tokens.log_in(tokens.verify("right", PEER)) for _ in range(2))

    tokens.log_out(one)

    assert tokens.session(one) is None
    assert tokens.session(other)


def test_when_there_are_too_many_sessions_the_oldest_goes(clock):
    tickets = sessions.Tickets(clock, lasts_s=60, most=2)
    first, second, third = (tickets.issue(b"digest") for _ in range(3))

    assert len(tickets) == 2
    assert tickets.look(first) is None
    assert tickets.look(second) == tickets.look(third) == b"digest"


def test_a_launch_code_works_once(tmp_path, clock):
    tokens = opened(tmp_path, clock)
    code = tokens.launch_code()

    assert "admin" in tokens.redeem(code, PEER).scopes
    with pytest.raises(Unauthorized):
        tokens.redeem(code, PEER)


def test_a_launch_code_gets_too_old(tmp_path, clock):
    tokens = opened(tmp_path, clock)
    code = tokens.launch_code()
    clock.s += sessions.CODE_S

    with pytest.raises(Unauthorized):
        tokens.redeem(code, PEER)


def test_launch_codes_can_not_be_guessed_for_ever(tmp_path, clock):
    tokens = opened(tmp_path, clock)
    for _ in range(GUESSES):
        with pytest.raises(Unauthorized):
            tokens.redeem("guess", PEER)

    with pytest.raises(TooMany):
        tokens.redeem(tokens.launch_code(), PEER)


def test_two_servers_on_one_machine_have_cookies_of_their_own(tmp_path, clock):
    one, other = opened(tmp_path / "one", clock), opened(tmp_path / "other", clock)

    assert one.cookie != other.cookie
    assert one.cookie == opened(tmp_path / "one", clock).cookie


def test_the_list_is_json_for_people_too(tmp_path, clock):
    tokenfile.create(tmp_path, "ci", ["read"], clock)

    text = (tmp_path / tokenfile.STORE).read_text()

    assert json.loads(text)["ci"]["created_ms"] == clock.ms
    assert text.count("\n") > 3
