"""Python functions in warm workers: how they are called, how they end, and what becomes of their worker."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from progresshub.errors import StartupError
from progresshub.kinds import Call, Outcome
from progresshub.model import Failure
from progresshub.processes import warm
from progresshub.processes.forks import Worker
from progresshub.processes.runner import Runner, Setup
from progresshub.protocol import Report, StepPlan
from tests.processes.conftest import SOMEBODYS, MakeRunner, MakeWork
from tests.processes.kit import Work, call, gone, lives, sh

PATH = (str(SOMEBODYS.parent),)


async def pid_of(job: Work) -> int:
    pid = ((await job.says("waiting")).metadata or {})["pid"]
    assert isinstance(pid, int)
    return pid


async def worker_of(runner: Runner, job: Work, **given: Any) -> dict[str, Any]:
    outcome = await job.run(runner, call("whoami", **given))
    assert isinstance(outcome.result, dict)
    return outcome.result


async def workers_at_once(runner: Runner, jobs: list[Work], gate: Path) -> set[int]:
    """The workers of calls that all run at the same time."""
    with gate.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running = [asyncio.create_task(job.run(runner, call("waits_at", gate=str(gate)))) for job in jobs]
        for job in jobs:
            await job.says("waiting")
    return {(await task).result for task in running}


async def test_a_function_s_value_is_the_result(runner: Runner, work: MakeWork) -> None:
    assert await work().run(runner, call("add", first=40)) == Outcome(status="done", result=42)


async def test_an_async_function_reports_and_returns(runner: Runner, work: MakeWork) -> None:
    job = work()

    outcome = await job.run(runner, call("later"))

    assert outcome.result == "later"
    assert job.heard == [Report(percent=50, message="async")]


async def test_what_it_says_and_prints_belongs_to_its_own_task(runner: Runner, work: MakeWork) -> None:
    jobs = [work() for _ in range(5)]

    for job in jobs:
        await job.run(runner, call("speak"))

    for job in jobs:
        assert [report.message for report in job.heard] == ["one", "two"]
        assert sorted(job.log.splitlines()) == [b"printed", b"written"]


async def test_the_steps_of_one_task_are_not_those_of_the_next(runner: Runner, work: MakeWork) -> None:
    first, second = work(), work()

    await first.run(runner, call("plans", step="a"))
    await second.run(runner, call("plans", step="b"))

    assert [report.steps for report in first.heard + second.heard] == [(StepPlan(name="a"),), (StepPlan(name="b"),)]


async def test_an_exception_fails_the_task_and_is_in_its_log(runner: Runner, work: MakeWork) -> None:
    job = work()

    outcome = await job.run(runner, call("fails"))

    failure = Failure(type="exception", message="ValueError: no such song")
    assert outcome == Outcome(status="failed", failure=failure, retry=True)
    assert job.log.startswith(b"Traceback")
    assert b"in fails" in job.log
    assert b"progresshub/jobs" not in job.log


@pytest.mark.parametrize(
    ("launch", "type_", "retry"),
    [
        (call("add", first="one"), "invalid_payload", False),
        (call("add", first=1, third=3), "invalid_payload", False),
        (call("strange"), "result", False),
        (call("deep", depth=20_000), "result", False),
        (call("deep", depth=1_200), "result", False),
        (call("nothing_of_the_kind"), "unknown_target", False),
        (Call(pool="python", target="no.such.module:f"), "unknown_target", False),
    ],
)
async def test_what_can_not_work_fails_for_good(
    runner: Runner, work: MakeWork, launch: Call, type_: str, retry: bool
) -> None:
    outcome = await work().run(runner, launch)

    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.type, outcome.retry) == ("failed", type_, retry)


async def test_arguments_and_results_may_be_large(runner: Runner, work: MakeWork) -> None:
    assert (await work().run(runner, call("size", text="x" * 5_000_000))).result == 5_000_000
    assert (await work().run(runner, call("echo", value="x" * 1_000_000))).result == "x" * 1_000_000


async def test_a_result_too_large_to_keep_is_noted(runner: Runner, work: MakeWork) -> None:
    outcome = await work().run(runner, call("echo", value="x" * 2_000_000))

    assert outcome.status == "done"
    assert "left_out" in outcome.result


async def test_a_call_has_the_surroundings_of_a_program(
    runner: Runner, work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_SECRET", "secret")
    job = work(attempt=3)

    told = await worker_of(runner, job)

    assert told["session"] == told["pid"]
    assert (told["task"], told["attempt"]) == (job.task_id, 3)
    assert (told["secret"], told["stdin"]) == (None, "")


async def test_a_worker_has_the_limits_of_a_program(make_runner: MakeRunner, work: MakeWork) -> None:
    told = (await work().run(await make_runner(oom_score_adj=321), call("limits"))).result

    assert told == {"subreaper": True, "oom": 321}


async def test_a_worker_serves_one_call_after_another(runner: Runner, work: MakeWork) -> None:
    workers = {(await worker_of(runner, work()))["pid"] for _ in range(5)}

    assert len(workers) == 1


async def test_a_worker_is_replaced_after_its_share_of_tasks(make_runner: MakeRunner, work: MakeWork) -> None:
    runner = await make_runner(tasks_per_worker=2)

    workers = [(await worker_of(runner, work()))["pid"] for _ in range(4)]

    assert workers[0] == workers[1] != workers[2] == workers[3]
    assert not lives(workers[0])


async def test_a_fresh_call_has_a_worker_for_itself(runner: Runner, work: MakeWork) -> None:
    shared = (await worker_of(runner, work()))["pid"]

    fresh = [(await worker_of(runner, work(), fresh=True))["pid"] for _ in range(2)]

    assert len({shared, *fresh}) == 3
    assert not any(lives(pid) for pid in fresh)
    assert (await worker_of(runner, work()))["pid"] == shared


async def test_no_more_idle_workers_are_kept_than_wanted(
    make_runner: MakeRunner, work: MakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(warm, "SURPLUS_S", 0.01)
    runner = await make_runner(idle_workers=1)
    pids = await workers_at_once(runner, [work() for _ in range(3)], tmp_path / "gate")

    kept = (await worker_of(runner, work()))["pid"]
    assert len(pids) == 3
    for pid in pids - {kept}:
        await gone(pid)


async def test_an_idle_worker_is_not_kept_for_ever(make_runner: MakeRunner, work: MakeWork) -> None:
    runner = await make_runner(idle_s=0.01)

    pid = (await worker_of(runner, work()))["pid"]

    await gone(pid)
    assert (await worker_of(runner, work()))["pid"] != pid


async def test_the_working_directory_is_put_back_between_calls(runner: Runner, work: MakeWork) -> None:
    job = work()
    before = (await worker_of(runner, work()))["cwd"]

    kept = (await job.run(runner, call("keep"))).result

    assert kept == str(job.directory)
    assert (job.directory / "kept").read_text() == "kept"
    assert (await worker_of(runner, work()))["cwd"] == before


@pytest.mark.parametrize("how", ["program", "daemon"])
async def test_a_process_that_a_call_left_behind_ends_with_the_task(
    make_runner: MakeRunner, work: MakeWork, how: str
) -> None:
    runner = await make_runner(drain_s=0.1)
    before = (await worker_of(runner, work()))["pid"]

    left = (await work().run(runner, call("leaves_a_child", how=how))).result

    assert not lives(left)
    assert (await worker_of(runner, work()))["pid"] != before


@pytest.mark.parametrize("name", ["leaves_a_thread", "closes_its_output"])
async def test_a_worker_that_a_call_spoiled_serves_no_other(runner: Runner, work: MakeWork, name: str) -> None:
    outcome = await work().run(runner, call(name))

    assert outcome.status == "done"
    assert (await worker_of(runner, work()))["pid"] != outcome.result
    assert not lives(outcome.result)


@pytest.mark.parametrize(
    ("launch", "how"), [(call("leaves", code=4), "exited with 4"), (call("crashes"), "killed by SIGSEGV")]
)
async def test_a_worker_that_dies_takes_one_attempt_with_it(
    runner: Runner, work: MakeWork, launch: Call, how: str
) -> None:
    outcome = await work().run(runner, launch)

    failure = Failure(type="crashed", message=f"its process ended before the call did: {how}")
    assert outcome == Outcome(status="failed", failure=failure, retry=True)
    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_an_idle_worker_that_dies_is_forgotten(runner: Runner, work: MakeWork) -> None:
    pid = (await worker_of(runner, work()))["pid"]

    os.kill(pid, signal.SIGKILL)
    await gone(pid)

    assert (await worker_of(runner, work()))["pid"] != pid


@pytest.mark.parametrize("name", ["waits", "waits_in_asyncio"])
async def test_a_stop_is_a_keyboard_interrupt_to_the_function(runner: Runner, work: MakeWork, name: str) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, call(name)))
    await job.says("waiting")

    job.stop.request()

    assert await running == Outcome(status="cancelled")
    assert job.log == b"tidied up\n"
    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_a_function_that_ignores_everything_is_killed(make_runner: MakeRunner, work: MakeWork) -> None:
    job = work()
    runner = await make_runner(interrupt_grace_s=0.05, terminate_grace_s=0.05)
    running = asyncio.create_task(job.run(runner, call("stubborn")))
    pid = await pid_of(job)

    job.stop.request()

    assert await running == Outcome(status="cancelled")
    assert not lives(pid)


async def test_a_call_that_takes_too_long_is_stopped(runner: Runner, work: MakeWork) -> None:
    outcome = await work(timeout_s=0.2).run(runner, call("waits"))

    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.type) == ("failed", "timeout")
    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_a_cancelled_caller_leaves_no_worker_behind(runner: Runner, work: MakeWork) -> None:
    job = work()
    running = asyncio.create_task(job.run(runner, call("stubborn")))
    pid = await pid_of(job)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not lives(pid)


@pytest.mark.parametrize("cold", [True, False])
@pytest.mark.parametrize("passes", range(4))
async def test_a_stop_before_the_worker_is_there_is_not_lost(
    runner: Runner, work: MakeWork, passes: int, cold: bool
) -> None:
    if not cold:
        await runner.warm("python")
    job = work()
    running = asyncio.create_task(job.run(runner, call("waits")))
    for _ in range(passes):
        await asyncio.sleep(0)

    job.stop.request()

    assert await running == Outcome(status="cancelled")
    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_a_caller_cancelled_before_the_worker_is_there_costs_nobody(runner: Runner, work: MakeWork) -> None:
    running = asyncio.create_task(work().run(runner, call("waits")))
    await asyncio.sleep(0)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_a_caller_cancelled_as_its_worker_comes_leaves_it_to_others(
    runner: Runner, work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runner.warm("python")
    pool = runner._pools["python"]
    running = asyncio.create_task(work().run(runner, call("waits")))
    on_worker = pool.on_worker
    come: list[Worker] = []

    def cancel_as_it_comes(worker: Worker) -> None:
        on_worker(worker)
        come.append(worker)
        running.cancel()

    monkeypatch.setattr(pool, "on_worker", cancel_as_it_comes)

    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await worker_of(runner, work()))["pid"] == come[0].child.pid


async def test_a_used_worker_is_not_given_to_who_wants_a_fresh_one(runner: Runner, work: MakeWork) -> None:
    used = (await worker_of(runner, work()))["pid"]
    pool = runner._pools["python"]
    fresh, shared = pool.want(fresh=True), pool.want(fresh=False)
    next_one = pool.want(fresh=False)

    pool.give_back(shared.result())

    assert shared.result().child.pid == used
    assert not fresh.done()
    assert next_one.result() is shared.result()
    pool.give_back(await fresh)
    pool.give_back(next_one.result())


async def test_a_pool_still_importing_keeps_no_stopped_job_waiting(
    make_runner: MakeRunner, work: MakeWork, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "slow.py").write_text(f"open({str(tmp_path / 'gate')!r}).read()")
    runner = await make_runner(setup=Setup(modules=("slow",), path=(str(tmp_path),)))
    job, late = work(), work(timeout_s=0.05)
    running = asyncio.create_task(job.run(runner, call("add", first=1)))

    late_outcome = await late.run(runner, call("add", first=1))
    job.stop.request()

    assert await running == Outcome(status="cancelled")
    assert late_outcome.failure is not None
    assert late_outcome.failure.type == "timeout"


async def test_a_pool_that_can_not_import_says_why_and_is_not_tried_for_ever(
    make_runner: MakeRunner, work: MakeWork, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    (tmp_path / "broken.py").write_text(f"open({str(count)!r}, 'a').write('x')\nimport no_such_module")
    runner = await make_runner(setup=Setup(modules=("broken",), path=(str(tmp_path),)))

    outcomes = await asyncio.gather(*(work().run(runner, call("add", first=1)) for _ in range(5)))
    with pytest.raises(StartupError, match="No module named 'no_such_module'"):
        await runner.warm("python")
    with pytest.raises(StartupError, match="No module named 'no_such_module'"):
        await runner.describe("python")

    message = "The Python pool python can't start: ModuleNotFoundError: No module named 'no_such_module'."
    assert all(outcome.failure == Failure(type="pool", message=message) for outcome in outcomes)
    assert count.read_text() == "x"


async def test_a_pool_whose_modules_end_the_process_says_so(
    make_runner: MakeRunner, work: MakeWork, tmp_path: Path
) -> None:
    (tmp_path / "ends.py").write_text("import os; os._exit(9)")
    runner = await make_runner(setup=Setup(modules=("ends",), path=(str(tmp_path),)))

    outcome = await work().run(runner, call("add", first=1))

    assert outcome.failure is not None
    assert outcome.failure.message.endswith("its fork server ended: exited with 9.")


async def test_a_fork_server_that_died_is_replaced(runner: Runner, work: MakeWork) -> None:
    await runner.warm("python")
    forks = runner._pools["python"]._forks
    assert forks is not None
    os.kill(forks.child.pid, signal.SIGKILL)

    outcomes = await asyncio.gather(*(work().run(runner, call("add", first=1)) for _ in range(3)))

    assert [outcome.result for outcome in outcomes] == [3, 3, 3]


async def test_a_warm_up_is_called_once_for_all_workers(make_runner: MakeRunner, work: MakeWork) -> None:
    setup = Setup(modules=("somebodys",), path=PATH, warmup="somebodys:warm_up")
    runner = await make_runner(setup=setup)

    await runner.warm("python")

    assert (await worker_of(runner, work(), fresh=True))["warmed"] == 1
    assert (await worker_of(runner, work(), fresh=True))["warmed"] == 1


async def test_a_pool_can_be_declared_when_it_is_warmed(runner: Runner, work: MakeWork) -> None:
    await runner.warm("another", Setup(modules=("somebodys",), path=PATH))

    assert (await work().run(runner, call("add", pool="another", first=1))).result == 3


async def test_a_pool_describes_its_functions(runner: Runner) -> None:
    described = {one["name"]: one for one in await runner.describe("python")}

    assert described["add"]["summary"] == "Add two numbers."
    assert described["add"]["module"] == "somebodys"
    assert described["add"]["schema"]["required"] == ["first"]


async def test_without_warm_processes_each_call_has_an_interpreter_of_its_own(
    make_runner: MakeRunner, work: MakeWork
) -> None:
    runner = await make_runner(enabled=False)

    first, second = (await worker_of(runner, work())), (await worker_of(runner, work()))

    assert first["pid"] != second["pid"]
    assert runner._pools == {}
    assert (await runner.describe("python"))[0]["name"] == "add"


async def test_many_calls_and_programs_at_once_all_end(runner: Runner, work: MakeWork) -> None:
    calls = [work().run(runner, call("add", first=number, fresh=number % 4 == 0)) for number in range(60)]
    programs = [work().run(runner, sh("exit 0")) for _ in range(30)]

    outcomes = await asyncio.gather(*calls, *programs)

    assert [outcome.result for outcome in outcomes[:60]] == [number + 2 for number in range(60)]
    assert {outcome.status for outcome in outcomes} == {"done"}


async def test_more_calls_at_once_than_the_fork_server_can_be_asked_for_all_end(runner: Runner, work: MakeWork) -> None:
    outcomes = await asyncio.gather(*(work().run(runner, call("add", first=number)) for number in range(200)))

    assert [outcome.result for outcome in outcomes] == [number + 2 for number in range(200)]


async def test_a_burst_leaves_workers_for_the_next_moment(
    make_runner: MakeRunner, work: MakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(warm, "SURPLUS_S", 3600.0)
    runner = await make_runner(idle_workers=1)

    first = await workers_at_once(runner, [work() for _ in range(5)], tmp_path / "gate")
    then = await workers_at_once(runner, [work() for _ in range(5)], tmp_path / "gate")

    assert len(first) == 5
    assert then == first


async def test_those_who_wait_while_forks_are_refused_are_all_told(
    runner: Runner, work: MakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runner.warm("python")

    def exhausted(pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", exhausted)
        outcomes = await asyncio.gather(*(work().run(runner, call("add", first=1)) for _ in range(30)))

    message = "The Python pool python can't start: Too many open files."
    assert all(outcome.failure == Failure(type="pool", message=message) for outcome in outcomes)
    assert (await work().run(runner, call("add", first=1))).result == 3


async def test_closing_leaves_no_process(make_runner: MakeRunner, work: MakeWork) -> None:
    runner = await make_runner()
    pid = (await worker_of(runner, work()))["pid"]
    forks = runner._pools["python"]._forks
    assert forks is not None

    await runner.close()

    assert not lives(pid)
    assert not lives(forks.child.pid)
