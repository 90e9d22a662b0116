"""Programs as jobs: what they get, what is heard of them, and how they end."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from progresshub.kinds import Outcome, Spawn
from progresshub.model import Failure
from progresshub.processes import proc, program
from progresshub.processes.child import LOOKED_AFTER
from progresshub.processes.runner import Runner, RunnerSettings
from progresshub.protocol import Report
from tests.processes.conftest import MakeRunner, MakeWork
from tests.processes.kit import gone, py, say, sh

ROOT = Path(program.__file__).parents[2]
FD = ">/dev/fd/$PROGRESSHUB_FD"
UP = say("up", '{"pid":$$}')


async def test_a_program_that_exits_with_zero_is_done(runner: Runner, work: MakeWork) -> None:
    assert await work().run(runner, sh("exit 0")) == Outcome(status="done")


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "exited with 3"), ("kill -SEGV $$", "killed by SIGSEGV"), ("kill -KILL $$", "killed by SIGKILL")],
)
async def test_another_exit_has_failed(runner: Runner, work: MakeWork, script: str, message: str) -> None:
    outcome = await work().run(runner, sh(script))

    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.type, outcome.failure.message) == ("failed", "exit", message)
    assert outcome.retry


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (Spawn(argv=("no-such-program", "x")), "can't start no-such-program: the program: No such file or directory"),
        (sh("true", cwd="/no/such/place"), "can't start sh: its working directory: No such file or directory"),
        (Spawn(argv=("/etc/passwd",)), "can't start passwd: the program: Permission denied"),
        (Spawn(argv=("echo", "a\0b")), "can't start echo: embedded null byte"),
        (Spawn(argv=()), "can't start nothing: there is no program to start"),
    ],
)
async def test_a_program_that_can_not_be_started_fails_for_good(
    runner: Runner, work: MakeWork, launch: Spawn, message: str
) -> None:
    outcome = await work().run(runner, launch)

    assert outcome == Outcome(status="failed", failure=Failure(type="spawn", message=message), retry=False)


async def test_output_and_errors_are_kept_in_the_order_they_were_written(runner: Runner, work: MakeWork) -> None:
    job = work()

    await job.run(runner, sh("echo one; echo two >&2; echo three"))

    assert job.log == b"one\ntwo\nthree\n"


async def test_attempts_share_one_log(runner: Runner, work: MakeWork) -> None:
    await work(task_id="same").run(runner, sh("echo first"))
    again = work(task_id="same", attempt=2)

    await again.run(runner, sh("echo second"))

    assert again.log == b"first\nsecond\n"


async def test_output_past_the_bound_is_left_out(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()

    outcome = await job.run(await make_runner(log_bytes=1000), py("print('x' * 200_000); print('the end')"))

    assert outcome.status == "done"
    assert b"bytes of output left out" in job.log
    assert job.log.endswith(b"the end\n")


async def test_reports_are_heard_while_it_runs(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, sh(f"{say('up')}; exec sleep 1000")))

    await job.says("up")

    assert not running.done()
    job.stop.request()
    await running


async def test_its_last_word_sets_the_result_and_is_no_report(runner: Runner, work: MakeWork) -> None:
    job = work()

    outcome = await job.run(runner, sh(f'echo \'{{"status":"done","result":{{"n":3}},"percent":99}}\' {FD}'))

    assert outcome == Outcome(status="done", result={"n": 3})
    assert job.heard == [Report(percent=99)]


async def test_a_step_s_end_is_a_report_like_any_other(runner: Runner, work: MakeWork) -> None:
    job = work()

    await job.run(runner, sh(f'echo \'{{"step":"a","status":"failed","error":"no"}}\' {FD}'))

    assert job.heard == [Report(step="a", status="failed", error="no")]


async def test_it_may_say_that_it_failed_and_why(runner: Runner, work: MakeWork) -> None:
    said = '{"status":"failed","error":"no disk","error_type":"disk","retry":false}'

    outcome = await work().run(runner, sh(f"echo '{said}' {FD}; exit 7"))

    assert outcome == Outcome(status="failed", failure=Failure(type="disk", message="no disk"), retry=False)


async def test_all_that_was_reported_before_the_exit_is_heard(runner: Runner, work: MakeWork) -> None:
    job = work()
    script = (
        "import os; fd = int(os.environ['PROGRESSHUB_FD'])\n"
        'for n in range(2000): os.write(fd, b\'{"message":"%d"}\\n\' % n)'
    )

    await job.run(runner, py(script))

    assert [report.message for report in job.heard] == [str(number) for number in range(2000)]


async def test_a_large_result_arrives_whole(runner: Runner, work: MakeWork) -> None:
    script = (
        "import os, json; line = json.dumps({'status': 'done', 'result': 'x' * 1_000_000}).encode() + b'\\n'\n"
        "while line: line = line[os.write(int(os.environ['PROGRESSHUB_FD']), line):]"
    )

    outcome = await work().run(runner, py(script))

    assert outcome.result == "x" * 1_000_000


async def test_a_reader_is_fed_the_output(runner: Runner, work: MakeWork) -> None:
    class Counter:
        def feed(self, data: bytes) -> list[Report]:
            return [Report(current=len(data), message="read")]

    job = work()

    await job.run(runner, sh("printf 12345", reader=Counter))

    assert job.heard == [Report(current=5, message="read")]
    assert job.log == b"12345"


async def test_the_environment_is_made_from_scratch(
    make_runner: MakeRunner, work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_SECRET", "secret")
    monkeypatch.setenv("PASSED_ON", "yes")
    job = work()

    await job.run(await make_runner(environment=("PASSED_ON",)), Spawn(argv=("env",), env={"OWN": "1"}))

    variables = dict(line.split("=", 1) for line in job.log.decode().splitlines())
    passed = {name: os.environ[name] for name in program.PASSED_ON if name in os.environ}
    ours = {name: value for name, value in variables.items() if name.startswith("PROGRESSHUB_")}
    assert set(ours) == {"PROGRESSHUB_FD", "PROGRESSHUB_TASK_ID", "PROGRESSHUB_SERVER", "PROGRESSHUB_URL"}
    assert ours["PROGRESSHUB_TASK_ID"] == job.task_id
    assert {**passed, **ours, "OWN": "1", "PASSED_ON": "yes"} == variables


async def test_it_has_a_session_of_its_own_no_input_and_a_careful_umask(runner: Runner, work: MakeWork) -> None:
    job = work()
    script = "import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()), oct(os.umask(0)))"

    await job.run(runner, py(script))

    assert job.log == b"True '' 0o77\n"


async def test_it_is_given_no_other_descriptor(runner: Runner, work: MakeWork) -> None:
    job = work()
    script = (
        "import os\nfor fd in map(int, os.listdir('/proc/self/fd')):\n"
        "  if fd > 2 and str(fd) != os.environ['PROGRESSHUB_FD']:\n"
        "    try: print(fd, os.readlink(f'/proc/self/fd/{fd}'))\n"
        "    except OSError: pass"  # the directory that was listed
    )

    await job.run(runner, py(script))

    assert job.log == b""


async def test_its_own_directory_is_made_and_left_only_with_files_in_it(runner: Runner, work: MakeWork) -> None:
    empty, full = work(), work()

    await empty.run(runner, sh("pwd"))
    await full.run(runner, sh("echo kept > file"))

    assert empty.log.decode().strip() == str(empty.directory)
    assert not empty.directory.exists()
    assert (full.directory / "file").read_text() == "kept\n"
    assert full.directory.stat().st_mode & 0o777 == 0o700


async def test_no_descriptor_of_the_server_is_left_open(
    runner: Runner, work: MakeWork, open_descriptors: Callable[[], int]
) -> None:
    before = open_descriptors()

    for launch in (sh("exit 0"), sh("exit 3"), Spawn(argv=("no-such-program",)), sh("true", cwd="/no/such/place")):
        await work().run(runner, launch)

    assert open_descriptors() == before


async def test_a_start_that_fails_half_way_leaves_nothing_and_may_be_tried_again(
    runner: Runner, work: MakeWork, open_descriptors: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    others = set(proc.children())  # of tests before this one, dead perhaps and not yet reaped

    def exhausted(pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", exhausted)
        outcome = await work().run(runner, sh("exec sleep 1000"))

    assert outcome.failure is not None
    assert outcome.failure.message == "can't start sh: the program: Too many open files"
    assert outcome.retry
    assert open_descriptors() == before
    assert set(proc.children()) - others <= LOOKED_AFTER


async def test_a_launch_can_not_pass_for_somebody_else_s_task(runner: Runner, work: MakeWork) -> None:
    job = work()

    await job.run(
        runner,
        sh(
            'echo "$PATH $PROGRESSHUB_TASK_ID $PROGRESSHUB_SERVER"',
            env={"PATH": "/bin", "PROGRESSHUB_TASK_ID": "other", "PROGRESSHUB_SERVER": "other"},
        ),
    )

    assert job.log.decode() == f"/bin {job.task_id} {runner._mark}\n"


def test_limits_are_set_from_outside() -> None:
    settings = RunnerSettings(memory_bytes=1 << 40, open_files=123, oom_score_adj=456)
    sleeper = subprocess.Popen(["sleep", "1000"])
    try:
        program.limit(sleeper.pid, settings)

        assert resource.prlimit(sleeper.pid, resource.RLIMIT_NOFILE) == (123, 123)
        assert resource.prlimit(sleeper.pid, resource.RLIMIT_AS) == (1 << 40, 1 << 40)
        assert Path(f"/proc/{sleeper.pid}/oom_score_adj").read_text() == "456\n"
    finally:
        sleeper.kill()
        sleeper.wait()
    program.limit(sleeper.pid, settings)


def test_a_shell_can_write_to_the_number_of_the_report_pipe() -> None:
    """`sh` knows descriptors of one digit only; few are open in a process of its own."""
    script = (
        "import os\n"
        "from progresshub.processes.program import ShortNumber, start\n"
        "taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]\n"
        "short = ShortNumber()\n"
        "taken += [os.open(os.devnull, os.O_RDONLY) for _ in range(9)]\n"
        "for word in ('one', 'two'):\n"
        "  started = start(['sh', '-c', f'echo {word} >&$PROGRESSHUB_FD'], '/', {'PATH': os.defpath}, short)\n"
        "  print(os.read(started.report_fd, 100), os.read(started.report_fd, 100), os.read(started.output_fd, 100))\n"
    )

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=30, check=True).stdout

    assert said == b"b'one\\n' b'' b''\nb'two\\n' b'' b''\n"


async def test_many_at_once_all_end(runner: Runner, work: MakeWork) -> None:
    jobs = [work() for _ in range(40)]

    outcomes = await asyncio.gather(*(job.run(runner, sh(f"echo {job.task_id}")) for job in jobs))

    assert {outcome.status for outcome in outcomes} == {"done"}
    assert all(job.log == f"{job.task_id}\n".encode() for job in jobs)


async def test_what_it_is_fed_can_not_hurt_the_job(runner: Runner, work: MakeWork) -> None:
    job = work()
    script = r"""
import os
fd = int(os.environ["PROGRESSHUB_FD"])
def say(data):
    while data:
        data = data[os.write(fd, data):]
for line in (b"\0\0", b"\xff\xfe", b'{"percent":NaN}', b"[" * 100_000, b'{"percent":1e999}', b"{" * 5000, b"null"):
    say(line + b"\n")
say(b'{"message":"after"}\n')
os.write(1, b"\0\xff\x1b[31m")
"""

    outcome = await job.run(runner, py(script))

    assert outcome.status == "done"
    assert [report.message for report in job.heard] == ["after"]
    assert job.log == b"\0\xff\x1b[31m"


async def test_a_hundred_megabytes_without_a_line_s_end_are_cut(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    script = (
        "import os; fd = int(os.environ['PROGRESSHUB_FD']); part = b'x' * 65536\n"
        "for _ in range(1600): os.write(1, part); os.write(fd, part)\n"
        'os.write(fd, b\'\\n{"message":"after"}\\n\')'
    )

    outcome = await job.run(await make_runner(log_bytes=100_000), py(script))

    assert outcome.status == "done"
    assert [report.message for report in job.heard] == ["after"]
    assert len(job.log) < 200_000


async def test_a_flood_does_not_keep_others_from_being_heard(runner: Runner, work: MakeWork) -> None:
    floods = [work() for _ in range(8)]
    scripts = ("yes", f"yes '{{\"percent\":5}}' {FD}", f'yes \'{{"message":"m"}}\' {FD}', "cat /dev/zero")
    running = [asyncio.create_task(job.run(runner, sh(scripts[number % 4]))) for number, job in enumerate(floods)]
    other = work()

    outcome = await other.run(runner, sh(say("heard")))

    assert outcome.status == "done"
    assert [report.message for report in other.heard] == ["heard"]
    assert not any(task.done() for task in running)
    for job in floods:
        job.stop.request()
    assert {(await task).status for task in running} == {"cancelled"}


async def test_closing_ends_what_is_left(
    make_runner: MakeRunner, work: MakeWork, caplog: pytest.LogCaptureFixture
) -> None:
    runner = await make_runner()
    job = work()
    running = asyncio.create_task(job.run(runner, sh(f"{UP}; exec sleep 1000")))
    pid = ((await job.says("up")).metadata or {})["pid"]

    running.cancel()
    await runner.close()

    await gone(pid)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert caplog.records == []


def test_signals_are_as_a_program_expects_them() -> None:
    """Nothing here installs handlers or ignores signals that children would inherit."""
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
