"""Every setting there is: its type, default, bounds and what it means.

A value that stands here is valid. Durations are seconds (`_s`), sizes bytes; the descriptions are
what `config.toml` says. How values get here is `config`'s business.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=10**9)]
AtLeastOne = Annotated[int, Meta(ge=1, le=10**9)]
Bytes = Annotated[int, Meta(ge=0, le=10**15)]
Seconds = Annotated[float, Meta(ge=0, le=10**9)]
Period = Annotated[float, Meta(ge=0.1, le=10**9)]
Texts = tuple[str, ...]

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):\d{1,5}")
_PROXY = re.compile(r"http://(?:[^\s:/@]+:[^\s:/@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):\d{1,5}/?")
_API = re.compile(r"https?://[^\s/@]+(?:/[^\s?#]*)?")
_FAMILY = r"^[\w -]*\Z"
_COLOUR = r"^(#[0-9A-Fa-f]{6})?\Z"
_ADDRESS = re.compile(r"unix:.+|(?:\[[0-9A-Fa-f:.%]+\]|[^\s:/]*):(\d{1,5})")


class Misfit(ValueError):
    """A value of the right type that makes no sense: names the setting and says what it must be."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting} {reason}")
        self.setting = setting
        self.reason = reason


class Server(Struct, frozen=True, kw_only=True):
    """Where the server listens and who may talk to it."""

    host: Annotated[str, Meta(description="Address to listen on; any but loopback needs a token")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on; 0 takes a free one", ge=0, le=65535)] = 8080
    listen: Annotated[Texts, Meta(description='Several "host:port" or "unix:PATH", in place of host and port')] = ()
    data_dir: Annotated[str, Meta(description="Where all is kept; empty: progresshub in the user's data directory")] = (
        ""
    )
    base_path: Annotated[str, Meta(description='Path a proxy serves this under, such as "/hub"')] = ""
    allowed_hosts: Annotated[Texts, Meta(description="Other host names the server is reached by")] = ()
    allowed_origins: Annotated[Texts, Meta(description='Origins whose pages may call the APIs, or "*" for any')] = ()
    trusted_proxies: Annotated[Texts, Meta(description="Addresses or networks whose forwarding headers hold")] = ()
    max_connections: Annotated[AtLeastOne, Meta(description="Connections at once; more are refused")] = 10_000
    keepalive_s: Annotated[Seconds, Meta(description="How long an idle connection is kept")] = 75.0
    request_timeout_s: Annotated[Period, Meta(description="Time a client has to send a whole request")] = 30.0
    shutdown_grace_s: Annotated[Seconds, Meta(description="Time that open requests get at shutdown")] = 2.0
    shortcuts: Annotated[bool, Meta(description="Answer what is asked again and again before all else")] = True
    insecure: Annotated[bool, Meta(description="Listen beyond loopback without a token")] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe records logged")
    ] = "info"

    def __post_init__(self) -> None:
        for address in self.listen:
            match = _ADDRESS.fullmatch(address)
            if not match or int(match[1] or 0) > 65535:
                raise Misfit("listen", f'must be "host:port" or "unix:PATH", not {json.dumps(address)}')
        if self.base_path and not re.fullmatch(r"(/[\w.~-]+)+", self.base_path):
            raise Misfit("base_path", f'must begin with "/" and not end with one, not {json.dumps(self.base_path)}')


class Limits(Struct, frozen=True, kw_only=True):
    """What one request may ask for."""

    body_bytes: Annotated[Bytes, Meta(description="Largest request body, uploads aside")] = 16_777_216
    batch: Annotated[AtLeastOne, Meta(description="Most tasks in one batch")] = 10_000
    header_bytes: Annotated[int, Meta(description="Largest header line", ge=1024, le=1_048_576)] = 16_384
    auth_failures_per_min: Annotated[AtLeastOne, Meta(description="Wrong tokens taken from one address")] = 30
    share_s: Annotated[Seconds, Meta(description="Longest that a link to a task lasts; 0 gives none")] = 2_592_000.0


class Uploads(Struct, frozen=True, kw_only=True):
    """Files that clients hand in."""

    most_bytes: Annotated[Bytes, Meta(description="Most bytes of the files of one upload")] = 1_073_741_824
    most_files: Annotated[AtLeastOne, Meta(description="Most files of one upload")] = 64
    at_once: Annotated[AtLeastOne, Meta(description="Uploads at once; more are refused")] = 32
    slowest_bps: Annotated[AtLeastOne, Meta(description="Bytes a second below which an upload is given up")] = 8192


class Store(Struct, frozen=True, kw_only=True):
    """Where tasks and events are kept."""

    kind: Annotated[Literal["sqlite", "memory"], Meta(description='"memory" forgets all at exit')] = "sqlite"
    recent: Annotated[Count, Meta(description="Finished tasks kept at hand; older ones are read when asked for")] = 1000
    write_behind_ms: Annotated[int, Meta(description="Longest that progress waits for disk", ge=0, le=60_000)] = 250
    busy_timeout_ms: Annotated[int, Meta(description="Longest wait for a locked database", ge=0, le=60_000)] = 2000
    cache_bytes: Annotated[Bytes, Meta(description="Memory for the database's pages")] = 8_388_608
    min_free_bytes: Annotated[Bytes, Meta(description="Disk space below which no new work is taken")] = 16_777_216


class Scheduler(Struct, frozen=True, kw_only=True):
    """How much is done at once, and what follows a failure."""

    slots: Annotated[AtLeastOne, Meta(description="Tasks that run at once")] = 8
    queue_weight: Annotated[AtLeastOne, Meta(description="Weight of a queue that has no table of its own")] = 1
    max_queues: Annotated[AtLeastOne, Meta(description="Most queues there may be")] = 1000
    max_crashes: Annotated[
        AtLeastOne, Meta(description="Server deaths that a task survives; the next one parks it")
    ] = 3
    backoff_s: Annotated[Seconds, Meta(description="Delay before the first retry; doubles with each")] = 1.0
    backoff_max_s: Annotated[Seconds, Meta(description="Longest delay before a retry")] = 600.0
    jitter: Annotated[float, Meta(description="Share of a delay that is left to chance", ge=0, le=1)] = 0.2
    stalled_after_s: Annotated[Period, Meta(description="Silence after which a task counts as stalled")] = 60.0
    retention_s: Annotated[Seconds, Meta(description="How long finished tasks and their files are kept")] = 604_800.0
    max_progress_entries: Annotated[AtLeastOne, Meta(description="Recorded progress of one task; thinned beyond")] = (
        10_000
    )


class Runner(Struct, frozen=True, kw_only=True):
    """How child processes are stopped and bounded."""

    interrupt_grace_s: Annotated[Seconds, Meta(description="From the interrupt to the request to end")] = 2.0
    terminate_grace_s: Annotated[Seconds, Meta(description="From the request to end to the kill")] = 3.0
    drain_s: Annotated[Seconds, Meta(description="How long output is read on after the exit")] = 1.0
    log_bytes: Annotated[Bytes, Meta(description="Output kept of a task; beyond it only the end")] = 10_485_760
    memory_bytes: Annotated[Bytes, Meta(description="Address space of a child; 0 sets no bound")] = 0
    open_files: Annotated[Count, Meta(description="Files a child may have open; 0 sets no bound")] = 0
    oom_score_adj: Annotated[
        int, Meta(description="How readily a child is sacrificed for memory", ge=-1000, le=1000)
    ] = 500
    environment: Annotated[Texts, Meta(description="Variables passed on from the server's environment")] = ()


class Warm(Struct, frozen=True, kw_only=True):
    """Python processes kept ready with their modules imported."""

    enabled: Annotated[bool, Meta(description="Keep them; else each task starts an interpreter")] = True
    ahead: Annotated[bool, Meta(description="Start them with the server, not with the first task that needs them")] = (
        True
    )
    tasks_per_worker: Annotated[AtLeastOne, Meta(description="Tasks after which a worker is replaced")] = 100
    idle_workers: Annotated[Count, Meta(description="Idle workers kept")] = 2
    idle_s: Annotated[Seconds, Meta(description="How long they are kept")] = 30.0


class Streams(Struct, frozen=True, kw_only=True):
    """What a watcher gets, and what a slow one may cost."""

    heartbeat_s: Annotated[Period, Meta(description="Silence after which a stream shows it is alive")] = 15.0
    stalled_deadline_s: Annotated[Period, Meta(description="Time after which a stuck watcher is cut off")] = 30.0
    high_water_bytes: Annotated[Bytes, Meta(description="Unsent bytes that make a watcher slow")] = 32_768
    send_buffer_bytes: Annotated[Bytes, Meta(description="Kernel's buffer per watcher; 0: its default")] = 65_536
    owed_events: Annotated[AtLeastOne, Meta(description="Events owed to a slow watcher before the cut")] = 1000
    retry_ms: Annotated[int, Meta(description="When a cut-off watcher comes again", ge=0, le=3_600_000)] = 2000


class Python(Struct, frozen=True, kw_only=True):
    """Where registered Python functions come from."""

    modules: Annotated[Texts, Meta(description='Modules with functions marked "@task"')] = ()
    path: Annotated[Texts, Meta(description="Directories to find them in, before all others")] = ()


class Downloads(Struct, frozen=True, kw_only=True):
    """How downloads go about it."""

    socket_timeout_s: Annotated[Period, Meta(description="Longest silence of a site")] = 20.0
    stalled_after_s: Annotated[Period, Meta(description="Silence after which a download counts as stalled")] = 10.0
    buffer_bytes: Annotated[int, Meta(description="Bytes read at a time", ge=1024, le=2**30)] = 131_072
    reports_per_s: Annotated[float, Meta(description="Most progress reports of one download", ge=0.1, le=100)] = 8.0
    rate_limit_bps: Annotated[Bytes, Meta(description="Most bytes a second for one download; 0 sets no bound")] = 0
    per_host: Annotated[Count, Meta(description="Downloads from one host at once; 0 sets no bound")] = 4
    max_entries: Annotated[int, Meta(description="Entries of a playlist that are taken", ge=1, le=1000)] = 200
    min_free_bytes: Annotated[Bytes, Meta(description="Disk space that downloads leave free")] = 268_435_456
    quota_bytes: Annotated[
        Bytes, Meta(description="Most that downloads may keep; unfinished ones go first, then the oldest; 0: no bound")
    ] = 0
    allow_private: Annotated[bool, Meta(description="Also fetch from private addresses, such as this machine")] = False
    allow_hosts: Annotated[Texts, Meta(description='Private places to fetch from even so, as "host:port"')] = ()
    proxy: Annotated[
        str, Meta(description='Proxy that downloads go through, as "http://host:port"', extra={"secret": True})
    ] = ""
    cookies_file: Annotated[str, Meta(description="Cookies for sites that want a login, in Netscape's format")] = ""

    def __post_init__(self) -> None:
        for place in self.allow_hosts:
            if not _PLACE.fullmatch(place):
                raise Misfit("allow_hosts", f'must be "host:port", not {json.dumps(place)}')
        if self.proxy and not _PROXY.fullmatch(self.proxy):
            raise Misfit("proxy", 'must be "http://host:port", with user:password@ before the host if it wants them')


class Audio(Struct, frozen=True, kw_only=True):
    """How songs are taken apart."""

    roots: Annotated[Texts, Meta(description="Directories whose files may be named by path; uploads need none")] = ()
    most_bytes: Annotated[Bytes, Meta(description="Largest song that may be uploaded")] = 104_857_600
    at_once: Annotated[AtLeastOne, Meta(description="Songs worked on at once; demucs uses all processors")] = 1
    engine: Annotated[
        Literal["auto", "builtin", "demucs"], Meta(description='"auto" is demucs where it and its model are there')
    ] = "auto"
    demucs_models: Annotated[str, Meta(description="Directory of demucs's models; nothing is ever fetched")] = ""
    demucs_model: Annotated[str, Meta(description="The one used unless a song asks for another")] = "htdemucs"
    whisper_models: Annotated[str, Meta(description="Directory of faster-whisper's; without it, no words")] = ""
    whisper_model: Annotated[str, Meta(description="The one used unless a song asks for another")] = "small"
    max_duration_s: Annotated[float, Meta(description="Longest song taken", ge=1, le=7200)] = 1800.0
    max_channels: Annotated[int, Meta(description="Most channels of a song", ge=1, le=64)] = 8
    reports_per_s: Annotated[float, Meta(description="Most progress reports of one song", ge=0.1, le=100)] = 8.0
    min_free_bytes: Annotated[Bytes, Meta(description="Disk space that has to be free for a song")] = 268_435_456

    def __post_init__(self) -> None:
        for root in self.roots:
            if not root.startswith("/"):
                raise Misfit("roots", f"must be absolute paths, not {json.dumps(root)}")


class Video(Struct, frozen=True, kw_only=True):
    """How films of slides are made."""

    theme: Annotated[Literal["light", "dark"], Meta(description="Colours of films that ask for none")] = "light"
    accent: Annotated[
        str, Meta(description='Colour of what stands out, as "#rrggbb"; empty: the theme\'s', pattern=_COLOUR)
    ] = ""
    font: Annotated[str, Meta(description="Font family; empty: the best there is", pattern=_FAMILY)] = ""
    height: Annotated[Literal[480, 720, 1080], Meta(description="Lines of the picture, which is 16:9")] = 720
    words_per_min: Annotated[int, Meta(description="How fast espeak-ng speaks", ge=80, le=450)] = 160
    piper_voices: Annotated[
        Texts, Meta(description="Models of piper's voices, such as /srv/en_US-amy-medium.onnx")
    ] = ()
    max_slides: Annotated[int, Meta(description="Most slides of a film", ge=1, le=50)] = 50
    max_duration_s: Annotated[Period, Meta(description="Longest film")] = 3600.0
    image_bytes: Annotated[Bytes, Meta(description="Largest picture that is taken")] = 20_971_520
    image_pixels: Annotated[Count, Meta(description="Most pixels of a picture")] = 40_000_000
    min_free_bytes: Annotated[Bytes, Meta(description="Disk space that films leave free")] = 268_435_456
    llm_url: Annotated[
        str, Meta(description='OpenAI-compatible API that writes slides, as "http://localhost:11434/v1"; empty: none')
    ] = ""
    llm_model: Annotated[str, Meta(description="Model that is asked there")] = ""
    llm_api_key: Annotated[str, Meta(description="Its key, where one is wanted", extra={"secret": True})] = ""
    llm_api_key_file: Annotated[str, Meta(description="File with its key, in place of the key itself")] = ""
    llm_timeout_s: Annotated[Period, Meta(description="Time it has for one answer")] = 300.0
    llm_answer_bytes: Annotated[Bytes, Meta(description="Longest answer that is read")] = 262_144
    llm_tries: Annotated[AtLeastOne, Meta(description="Times it is asked when it can't be reached")] = 3

    def __post_init__(self) -> None:
        if self.llm_url and not _API.fullmatch(self.llm_url):
            raise Misfit("llm_url", f"must begin with http:// or https://, not {json.dumps(self.llm_url)}")
        if self.llm_url and not self.llm_model:
            raise Misfit("llm_url", "needs llm_model beside it")


class Generations(Struct, frozen=True, kw_only=True):
    """How those who watch a video being made are kept informed."""

    heartbeat_s: Annotated[Period, Meta(description="How often they are told how it stands")] = 2.0
    wait_s: Annotated[Period, Meta(description="How long one that has not begun is waited for")] = 300.0
    rerun_wait_s: Annotated[Seconds, Meta(description="How long one that has ended is given to begin anew")] = 5.0


class Features(Struct, frozen=True, kw_only=True):
    """What the downloads API answers to; what is switched off is refused with 403."""

    progress_tracking: Annotated[bool, Meta(description="/api/progress; ENABLE_FEATURE_PROGRESS_TRACKING, too")] = True


class Inquiries(Struct, frozen=True, kw_only=True):
    """Questions about an address, which are answered without a task."""

    at_once: Annotated[AtLeastOne, Meta(description="Processes that answer them at once")] = 2
    waiting: Annotated[Count, Meta(description="Questions that may wait for one; more are refused")] = 16
    timeout_s: Annotated[Period, Meta(description="Time for one answer, the wait included")] = 60.0


class Queue(Struct, frozen=True, kw_only=True):
    """A queue's share of the slots; critical, high, default and low have weights 10, 5, 3 and 1."""

    weight: Annotated[AtLeastOne, Meta(description="Share of the slots when queues compete")] = 1
    slots: Annotated[Count, Meta(description="Tasks of it that run at once; 0 sets no bound of its own")] = 0
    paused: Annotated[bool, Meta(description="Take tasks, but start none")] = False


class KindSettings(Struct, frozen=True, kw_only=True):
    """What holds for tasks of one kind; what is left out stays as the kind has it."""

    timeout_s: Annotated[Seconds | None, Meta(description="Time for one attempt; 0 sets no bound")] = None
    max_retries: Annotated[Count | None, Meta(description="Retries after failures")] = None
    recovery: Annotated[
        Literal["retry", "fail", "resume"] | None, Meta(description="What follows the server's death")
    ] = None
    retention_s: Annotated[Seconds | None, Meta(description="How long finished tasks are kept")] = None
    backoff_s: Annotated[Seconds | None, Meta(description="Delay before the first retry")] = None


class Command(Struct, frozen=True, kw_only=True):
    """A program clients may run by name; {placeholders} are filled with checked parameters."""

    argv: Annotated[Texts, Meta(description="Program and arguments; never a shell", min_length=1)]
    params: Annotated[dict[str, str], Meta(description="Pattern that each parameter fits as a whole")] = {}
    cwd: Annotated[str, Meta(description="Directory to run in; empty: the task's own")] = ""
    timeout_s: Annotated[Seconds | None, Meta(description="Time for one attempt; 0 sets no bound")] = None
    progress: Annotated[Literal["auto", "json", "percent", "none"], Meta(description="How its output is read")] = "auto"
    summary: Annotated[str, Meta(description="What it does, for people")] = ""

    def __post_init__(self) -> None:
        used = {name for argument in self.argv for name in PLACEHOLDER.findall(argument)}
        for name in sorted(used - self.params.keys()):
            raise Misfit("argv", f"uses {{{name}}}, which params does not declare")
        for name in sorted(self.params.keys() - used):
            raise Misfit("params", f"declares {name}, which argv does not use as {{{name}}}")
        for name, pattern in self.params.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise Misfit("params", f"has a pattern for {name} that is not a regular expression: {error}") from None


class PipelineStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step: a task type with its payload, in which ${inputs.x} and ${steps.x.result} stand for values.

    Without `needs` it waits for the step before it, and in any case for those it refers to. When it has failed
    for good, the pipeline stops, or what needs it is skipped, or all goes on with null for its result.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}\Z", description="Names it among the steps")]
    type: Annotated[str, Meta(max_length=200, description="Task type")]
    payload: Annotated[dict[str, Any], Meta(description="What the task type is given")] = {}
    needs: Annotated[Texts | None, Meta(description="Steps that must have ended before")] = None
    weight: Annotated[float, Meta(ge=0, le=10**9, description="Share of the whole while no durations are known")] = 1.0
    retries: Annotated[int, Meta(ge=0, le=1000, description="Retries after failures")] = 0
    timeout_s: Annotated[Seconds | None, Meta(description="Time for one try; 0 sets no bound")] = None
    on_failure: Annotated[Literal["stop", "skip", "continue"], Meta(description="What follows when it fails")] = "stop"


class Pipeline(Struct, frozen=True, kw_only=True):
    """Steps that clients may have done by one name; ${inputs.x} and ${steps.x.result} are filled in."""

    steps: Annotated[
        tuple[PipelineStep, ...], Meta(description="What is done, each with a name, a type and a payload", min_length=1)
    ]
    inputs: Annotated[dict[str, Any], Meta(description="Inputs that may be left out, with their defaults")] = {}
    at_once: Annotated[int, Meta(description="Steps that run side by side, if their needs let them", ge=1, le=64)] = 4
    summary: Annotated[str, Meta(description="What it does, for people")] = ""


class Callbacks(Struct, frozen=True, kw_only=True):
    """Requests that tell others how an execution ended."""

    secret: Annotated[str, Meta(description="Key of the signature they carry; empty: none", extra={"secret": True})] = (
        ""
    )
    allow_private: Annotated[bool, Meta(description="Also to addresses that are not public")] = False
    timeout_s: Annotated[Period, Meta(description="Time for one request")] = 10.0
    tries: Annotated[AtLeastOne, Meta(description="Times it is tried before it is given up")] = 10
    backoff_s: Annotated[Period, Meta(description="Delay after the first failure; doubles with each")] = 1.0


class Token(Struct, frozen=True, kw_only=True):
    """Who may use the APIs."""

    sha256: Annotated[
        str, Meta(description="SHA-256 of the token, in hex", pattern=r"^[0-9a-f]{64}\Z", extra={"secret": True})
    ]
    scopes: Annotated[
        tuple[Literal["read", "submit", "command", "admin"], ...], Meta(description="What it may do", min_length=1)
    ] = ("read",)


def _queues() -> dict[str, Queue]:
    return {name: Queue(weight=weight) for name, weight in (("critical", 10), ("high", 5), ("default", 3), ("low", 1))}


class Config(Struct, frozen=True, kw_only=True):
    """All of them, by section."""

    server: Server = Server()
    limits: Limits = Limits()
    uploads: Uploads = Uploads()
    store: Store = Store()
    scheduler: Scheduler = Scheduler()
    runner: Runner = Runner()
    warm: Warm = Warm()
    streams: Streams = Streams()
    python: Python = Python()
    downloads: Downloads = Downloads()
    audio: Audio = Audio()
    video: Video = Video()
    generations: Generations = Generations()
    features: Features = Features()
    inquiries: Inquiries = Inquiries()
    callbacks: Callbacks = Callbacks()
    queues: dict[str, Queue] = msgspec.field(default_factory=_queues)
    kinds: dict[str, KindSettings] = {}
    commands: dict[str, Command] = {}
    pipelines: dict[str, Pipeline] = {}
    tokens: dict[str, Token] = {}
