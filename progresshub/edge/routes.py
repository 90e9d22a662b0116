"""What a dialect tells the server of itself: its routes, and how it says no.

A route names the types that its query and body are read into; the same types make the OpenAPI
document, so the two can't differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web

from progresshub.errors import HubError
from progresshub.registry.hub import Hub
from progresshub.release import Current
from progresshub.settings import Config

Q = TypeVar("Q")
B = TypeVar("B")

Scope = Literal["read", "submit", "command", "admin"]

DOWNLOADER = web.AppKey("downloader", Current)
"""The yt-dlp that downloads use."""

JSON = "application/json"
TEXT = "text/plain"
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """One request, its query and body read; `scopes` are those of whoever asks, `names` what the path names."""

    hub: Hub
    config: Config
    request: web.Request
    query: Q
    body: B
    scopes: frozenset[str]
    names: Mapping[str, str]

    def path(self, name: str) -> str:
        return self.names[name]


Handler = Callable[[Call[Any, Any]], Awaitable[web.StreamResponse]]
Prompt = Callable[[Call[Any, Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A form with files, which `uploads.receive` reads: what it looks like, and how much its files may be.

    `check` is given each file's name and its first bytes as soon as they are here, and refuses what they show.
    """

    form: type[Any]
    most_bytes: Callable[[Config], int] = lambda config: config.uploads.most_bytes
    most_files: Callable[[Config], int] = lambda config: config.uploads.most_files
    check: Callable[[str, bytes], object] = lambda name, head: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`scope` None is open to everybody. `body` None takes no body; `raw` hands the body on unread. What is
    `shared` answers also to whoever has a link to the task that the path's `id` names.

    With an `upload` it takes forms as well, which the handler receives itself; `body` is None for those.
    `answers` describes each status: a type for JSON, several of which it is one, or a text that says what comes.
    One that is asked again and again may be `prompt`: a function that gives at once the value which the handler
    would answer as JSON with 200, or None where it would have to wait.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: Scope | None = "read"
    query: type[Any] | None = None
    body: type[Any] | None = None
    raw: bool = False
    upload: Upload | None = None
    shared: bool = False
    takes: tuple[str, ...] = (JSON,)
    answers: Mapping[int, Any] = field(default_factory=dict)
    prompt: Prompt | None = None

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.raw or self.upload is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`prefixes` are the paths it answers for even where it has no route; `refuse` says no in its words."""

    name: str
    summary: str
    routes: tuple[Route, ...]
    prefixes: tuple[str, ...]
    refuse: Callable[[HubError], web.Response]
