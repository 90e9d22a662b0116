"""A Python client of a running server: `AsyncClient`, and `Client` that does the same without asyncio.

Answers are frozen values, a refusal is an exception with a code and a message, and what is watched
goes on where it was when the server comes back.
"""

from progresshub.client.address import Address, find
from progresshub.client.answers import Failure, FileInfo, Health, Progress, Queue, Step, Task
from progresshub.client.asynchronous import AsyncClient
from progresshub.client.blocking import Client
from progresshub.client.refusals import Ambiguous, ClientError, Refused, Unreachable

__all__ = [
    "Address",
    "Ambiguous",
    "AsyncClient",
    "Client",
    "ClientError",
    "Failure",
    "FileInfo",
    "Health",
    "Progress",
    "Queue",
    "Refused",
    "Step",
    "Task",
    "Unreachable",
    "find",
]
