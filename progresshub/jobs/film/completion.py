"""Asks a language model over an OpenAI-compatible API, and reads its answer as it is written.

An answer is bounded in time and in size; asked again is only who can't be reached or is too busy. The key
is sent to the address of the settings and nowhere else: no redirect is followed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from progresshub.jobs.film.failures import Unfit
from progresshub.settings import Video

LINE_BYTES = 65_536
TOLD_CHARS = 300
BACKOFF_S = 1.0
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 529})

Messages = Sequence[Mapping[str, str]]
Hear = Callable[[str], None]


class Model:
    """The model that the settings name."""

    def __init__(self, settings: Video) -> None:
        self._url = f"{settings.llm_url.rstrip('/')}/chat/completions"
        self._name = settings.llm_model
        self._key = _key(settings)
        self._timeout_s = settings.llm_timeout_s
        self._most_bytes = settings.llm_answer_bytes
        self._tries = settings.llm_tries

    def ask(self, messages: Messages, hear: Hear) -> str:
        """Its answer; `hear` gets what there is of it, again and again. Unfit says why there is none."""
        return asyncio.run(self._ask(messages, hear))

    async def _ask(self, messages: Messages, hear: Hear) -> str:
        last = _unreachable("")
        for tried in range(self._tries):
            if tried:
                await asyncio.sleep(BACKOFF_S * 2 ** (tried - 1))
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._answer(messages, hear)
            except TimeoutError:
                raise Unfit(f"the language model did not answer within {self._timeout_s:g} s", "llm_timeout") from None
            except (aiohttp.ClientError, OSError) as error:
                last = _unreachable(f": {_system_said(error)}")
            except Unfit as error:
                if not error.retry:
                    raise
                last = error
        raise last

    async def _answer(self, messages: Messages, hear: Hear) -> str:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        body = {"model": self._name, "messages": list(messages), "stream": True}
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, read_bufsize=LINE_BYTES) as session,
            session.post(self._url, json=body, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise _refused(response.status, (await response.content.read(LINE_BYTES)).decode(errors="replace"))
            if response.content_type == "application/json":
                return await self._whole(response)
            return await self._streamed(response, hear)

    async def _whole(self, response: aiohttp.ClientResponse) -> str:
        """From a server that does not stream."""
        read = b""
        async for piece in response.content.iter_any():
            read += piece
            self._check_size(len(read))
        try:
            return str(json.loads(read)["choices"][0]["message"]["content"] or "")
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _not_understood() from None

    async def _streamed(self, response: aiohttp.ClientResponse, hear: Hear) -> str:
        text, read = "", 0
        async for line in _lines(response.content):
            read += len(line)
            self._check_size(read // 16)  # a token of a few characters comes in a frame of some two hundred
            if not line.startswith(b"data:"):
                continue
            if (data := line[5:].strip()) == b"[DONE]":
                break
            if token := _token(data):
                text += token
                self._check_size(len(text))
                hear(text)
        return text

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise Unfit(f"the language model's answer is longer than {self._most_bytes} bytes", "llm_answer")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise _not_understood()
        for line in lines:
            yield line
    yield rest


def _token(data: bytes) -> str:
    try:
        frame = json.loads(data)
        if told := frame.get("error"):
            raise Unfit(f"the language model failed: {_told(json.dumps(told))}", "llm_refused", retry=True)
        choices = frame.get("choices") or [{}]
        return str(choices[0].get("delta", {}).get("content") or "")
    except (ValueError, AttributeError, LookupError, RecursionError):
        raise _not_understood() from None


def _key(settings: Video) -> str:
    if not settings.llm_api_key_file:
        return settings.llm_api_key
    try:
        return Path(settings.llm_api_key_file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Unfit("the file with the language model's key can't be read", "llm_refused") from None


def _refused(status: int, body: str) -> Unfit:
    try:
        told = json.loads(body)["error"]
        body = told["message"] if isinstance(told, dict) else str(told)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass  # some say it in plain text
    return Unfit(
        f"the language model's server answered {status}: {_told(body) or 'nothing more'}",
        "llm_refused",
        retry=status in BUSY,
    )


def _told(text: str) -> str:
    return " ".join(str(text).split())[:TOLD_CHARS]


def _system_said(error: Exception) -> str:
    """What went wrong, and not the address, which is nobody's business but the settings'."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if not isinstance(cause, OSError) or isinstance(error, aiohttp.ClientSSLError) or cause.errno is None:
        return type(error).__name__
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)  # below zero: names that are unknown


def _unreachable(why: str) -> Unfit:
    return Unfit(f"the language model can't be reached{why}", "llm_unreachable", retry=True)


def _not_understood() -> Unfit:
    return Unfit("the language model's server does not speak the OpenAI API", "llm_answer")
