"""How a running program tells the hub about its progress; for users' own scripts, standard library only.

Harmless everywhere: without a hub (no `PROGRESSHUB_FD`, or nobody reads it any more) nothing is
written and nothing fails, so a script runs the same with and without one.

    from progresshub.report import report, track

    for page in track(pages, description="Reading"):
        ...
    report(80, stage="upload", message="Sending the index")
"""

from __future__ import annotations

import atexit
import json
import math
import operator
import os
import stat
import threading
import time
from types import TracebackType
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Type, TypeVar, Union

GAP_S = 0.05
"""Between two reports that say nothing but how far it is, unless `pace` says otherwise; the newest waits for its
turn, and no longer."""
RESULT_BYTES = 1_048_576
"""A result larger than this is replaced by a note that says so."""

T = TypeVar("T")
Fields = Dict[str, Any]
Plan = Union[Mapping[str, float], Iterable[str]]


class Reporter:
    """Writes reports as JSON lines to one descriptor; their fields are those of `protocol.Report`.

    Without a number the descriptor is the one that the environment names when the first line is due.
    """

    def __init__(self, fd: Optional[int] = None) -> None:
        self._given_fd = fd
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget what was said and where, for the next piece of work in this process."""
        self._fd: Optional[int] = None
        self._open = False
        self._waiting: Fields = {}
        self._said: Fields = {}
        self._gap_s = GAP_S
        self._not_before_s = 0.0
        self._timer: Optional[threading.Timer] = None
        self._plan: Dict[str, float] = {}
        self._steps: List[str] = []

    def report(
        self,
        percent: Optional[float] = None,
        *,
        current: Optional[float] = None,
        total: Optional[float] = None,
        unit: Optional[str] = None,
        stage: Optional[str] = None,
        message: Optional[str] = None,
        speed_bps: Optional[float] = None,
        eta_s: Optional[float] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        step: Optional[str] = None,
    ) -> None:
        """Say how far it is: `percent` (0 to 100), or `current` of `total`; the rest is optional.

        Inside `with step(...)` it speaks of that step, elsewhere of the whole.
        """
        step = self._steps[-1] if step is None and self._steps else step
        numbers = {"percent": percent, "current": current, "total": total, "speed_bps": speed_bps, "eta_s": eta_s}
        texts = {"unit": unit, "stage": stage, "message": message, "step": step}
        fields: Fields = {name: float(number) for name, number in numbers.items() if number is not None}
        fields = {name: number for name, number in fields.items() if math.isfinite(number)}
        fields.update((name, str(text)) for name, text in texts.items() if text is not None)
        if metadata is not None:
            fields["metadata"] = dict(metadata)
        self._say(fields)

    def done(self, result: Any = None) -> None:
        """Say that the work ended well, and what came of it (any JSON)."""
        self.end(success(result))

    def failed(self, error: object, retry: bool = True, error_type: Optional[str] = None) -> None:
        """Say that the work failed, and whether trying again may help."""
        self.end(failure(error, retry, error_type))

    def end(self, fields: Fields, mark: bytes = b"") -> None:
        """Send the last word, together with the report that still waits and a closing mark."""
        with self._lock:
            if "step" in self._waiting:
                self._send({})
            self._send(fields, mark)

    def pace(self, reports_per_s: float) -> None:
        """Let mere progress through that often at the most."""
        self._gap_s = 1 / reports_per_s

    def steps(self, plan: Plan) -> None:
        """Declare the steps to come, by name; with a mapping, each with its share of the whole."""
        self._plan.update(plan if isinstance(plan, Mapping) else dict.fromkeys(plan, 1.0))
        self._say({"steps": [{"name": name, "weight": weight} for name, weight in self._plan.items()]})

    def step(self, name: str, weight: float = 1.0) -> Step:
        """`with step("encode") as it:` is done when the block ends, and failed when it raises."""
        return Step(self, name, weight)

    def track(self, iterable: Iterable[T], total: Optional[float] = None, description: str = "") -> Iterator[T]:
        """The same items; how many of them are done is reported on the way."""
        total = operator.length_hint(iterable) or None if total is None else total
        count = 0
        for item in iterable:
            self.report(current=count, total=total, message=description or None)
            yield item
            count += 1
        self.report(current=count, total=total, message=description or None)
        self.flush()

    def flush(self) -> None:
        """Send the report that still waits for its turn, if there is one."""
        with self._lock:
            self._send({})

    def begin_step(self, name: str, weight: float = 1.0) -> None:
        """What entering `with step(...)` does."""
        if name not in self._plan:
            self.steps({name: weight})
        self._steps.append(name)
        self._say({"step": name})

    def end_step(self, fields: Fields) -> None:
        """What leaving `with step(...)` does; `fields` say how it went."""
        self._say({"step": self._steps.pop(), **fields})

    def _say(self, fields: Fields) -> None:
        """Send it now if it says something new or its turn has come; otherwise it waits."""
        with self._lock:
            if self._waiting and self._waiting.get("step") != fields.get("step"):
                self._send({})
            if self._is_news(fields) or time.monotonic() >= self._not_before_s:
                self._send(fields)
            else:
                self._wait(fields)
                self._send_in_time()

    def _send_in_time(self) -> None:
        """See to it that the newest report is sent in its turn, even if none follows that would take it along."""
        if self._timer is None:
            self._timer = threading.Timer(self._not_before_s - time.monotonic(), self._send_due)
            self._timer.daemon = True
            self._timer.start()

    def _send_due(self) -> None:
        with self._lock:
            self._timer = None
            if self._waiting:
                self._send({})

    def _is_news(self, fields: Fields) -> bool:
        if "status" in fields or "steps" in fields:
            return True
        return any(name in fields and fields[name] != self._said.get(name) for name in ("stage", "message", "step"))

    def _wait(self, fields: Fields) -> None:
        """The newest wins, field by field; a percentage and a count are two ways to say one thing."""
        if "percent" in fields or "current" in fields:
            self._waiting.pop("percent", None)
            self._waiting.pop("current", None)
        self._waiting.update(fields)

    def _send(self, fields: Fields, mark: bytes = b"") -> None:
        self._wait(fields)
        fields, self._waiting = self._waiting, {}
        if fields:
            self._said = {**self._said, **fields}
            if "percent" in fields or "current" in fields:
                self._not_before_s = time.monotonic() + self._gap_s
            self._write(encode(fields) + mark)

    def _write(self, line: bytes) -> None:
        """One `write` for a line, so that the lines of several processes don't mix while they are short."""
        if not self._open:
            self._fd = _channel(self._given_fd)
            self._open = True
        while line and self._fd is not None:
            try:
                line = line[os.write(self._fd, line) :]
            except OSError:
                self._fd = None


class Step:
    """One step while it is being done."""

    def __init__(self, reporter: Reporter, name: str, weight: float) -> None:
        self._reporter = reporter
        self._name = name
        self._weight = weight
        self._end = success()

    def keep(self, result: Any) -> None:
        """What came of it (any JSON), to be told when it is done."""
        self._end = success(result)

    def skip(self, reason: str) -> None:
        """Have it end as skipped."""
        skipped = {"skipped": True, "reason": reason}
        self._end = {"status": "skipped", "message": reason, "result": skipped}

    def fail(self, reason: str) -> None:
        """Have it end as failed, for this reason in place of what it may raise."""
        self._end = {"status": "failed", "error": reason}

    def __enter__(self) -> "Step":  # noqa: PYI034 - older Pythons know no Self
        self._reporter.begin_step(self._name, self._weight)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if error is not None and self._end["status"] != "failed":
            self.fail(in_words(error))
        self._reporter.end_step(self._end)


def in_words(error: BaseException) -> str:
    """`ValueError: what it says`, or the bare name of an exception that says nothing."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def success(result: Any = None) -> Fields:
    """The fields of a last word that says done."""
    if result is None:
        return {"status": "done"}
    size = len(encode({"result": result}))
    if size > RESULT_BYTES:
        result = {"left_out": f"{size} bytes, more than the {RESULT_BYTES} that are kept"}
    return {"status": "done", "result": result}


def failure(error: object, retry: bool = True, error_type: Optional[str] = None) -> Fields:
    """The fields of a last word that says failed."""
    fields: Fields = {"status": "failed", "error": str(error), "retry": retry}
    return fields if error_type is None else {**fields, "error_type": error_type}


def encode(fields: Fields) -> bytes:
    """One line of strict JSON: what JSON can't say becomes text, and numbers that are not finite null."""
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":"))
    except ValueError:
        finite = json.loads(json.dumps(fields, default=str), parse_constant=lambda name: None)
        text = json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _channel(fd: Optional[int]) -> Optional[int]:
    """The descriptor to write to, if it is a pipe or a socket.

    A program started by ours inherits the variable but not always the descriptor, and then the
    number may be that of a file of its own.
    """
    if fd is None:
        number = os.environ.get("PROGRESSHUB_FD", "")
        fd = int(number) if number.isdigit() else -1
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return None
    return fd if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


reporter = Reporter()
"""The reporter of this process; the functions below are its own."""

report = reporter.report
done = reporter.done
failed = reporter.failed
steps = reporter.steps
step = reporter.step
track = reporter.track
flush = reporter.flush
atexit.register(flush)
