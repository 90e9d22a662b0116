"""One server over HTTP: asks go out, values or refusals come back. Nothing is tried again here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, NamedTuple, TypeVar

import httpx
import msgspec

from progresshub import __version__
from progresshub.client.address import Address
from progresshub.client.asks import Ask
from progresshub.client.refusals import ClientError, Unreachable, refused

T = TypeVar("T")

CONNECT_S = 5.0
SILENCE_S = 60.0
"""Longer than a stream's heartbeat leaves it silent."""

LOCAL = ("http://127.", "http://localhost", "http://[::1]")


class Reply(NamedTuple):
    """The beginning of an answer that is read piece by piece."""

    headers: httpx.Headers
    chunks: AsyncGenerator[bytes, None]


class Connection:
    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = _client(address)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, ask: Ask[T]) -> T:
        with _trouble(self.address):
            response = await self._http.send(self._request(ask))
        if response.is_error and response.status_code not in ask.fine:
            raise refused(response.status_code, response.content)
        try:
            return msgspec.json.decode(response.content, type=ask.answer)
        except msgspec.DecodeError as error:
            raise ClientError(f"{self.address.url} is no progresshub: {error}", "NOT_UNDERSTOOD") from None

    @contextlib.asynccontextmanager
    async def stream(self, ask: Ask[bytes]) -> AsyncIterator[Reply]:
        with _trouble(self.address):
            response = await self._http.send(self._request(ask), stream=True)
        try:
            if response.is_error:
                with _trouble(self.address):
                    raise refused(response.status_code, await response.aread())
            yield Reply(response.headers, self._chunks(response))
        finally:
            await response.aclose()

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        with _trouble(self.address):
            async for chunk in response.aiter_raw():
                yield chunk

    def _request(self, ask: Ask[Any]) -> httpx.Request:
        headers, content = dict(ask.headers), None
        if isinstance(ask.body, str):
            headers["Content-Type"], content = "text/plain; charset=utf-8", ask.body.encode()
        elif ask.body is not None:
            headers["Content-Type"], content = "application/json", msgspec.json.encode(ask.body)
        return self._http.build_request(
            ask.method, ask.path.lstrip("/"), params=ask.query or None, headers=headers, content=content
        )


def _client(address: Address) -> httpx.AsyncClient:
    headers = {"User-Agent": f"progresshub/{__version__}", "Accept-Encoding": "identity"}
    if address.token:
        headers["Authorization"] = f"Bearer {address.token}"
    timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    if address.socket:
        transport = httpx.AsyncHTTPTransport(uds=address.socket, verify=False)
        return httpx.AsyncClient(base_url="http://localhost", headers=headers, timeout=timeout, transport=transport)
    if address.url.startswith(LOCAL):  # no proxy leads to this machine, and there is nothing to verify
        return httpx.AsyncClient(
            base_url=address.url, headers=headers, timeout=timeout, transport=httpx.AsyncHTTPTransport(verify=False)
        )
    try:
        return httpx.AsyncClient(base_url=address.url, headers=headers, timeout=timeout)
    except httpx.InvalidURL as error:
        raise Unreachable(f"{address.url} is no address: {error}") from None


@contextlib.contextmanager
def _trouble(address: Address) -> Iterator[None]:
    """What goes wrong on the way, in one line."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Unreachable(f"the server at {address.url} does not answer ({type(error).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"no server answers at {address.url} ({reason}); start one with: progresshub serve") from None
