"""The last to hear of a mistake: refusals pass, mistakes are logged once and told as nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from progresshub.errors import Internal, UnknownTask
from progresshub.supervisor import supervised


def test_a_refusal_passes_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnknownTask), supervised("GET", "/somewhere"):
        raise UnknownTask(task_id="x")

    assert caplog.records == []


def test_a_mistake_becomes_internal_and_is_logged_with_what_broke_off(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Internal) as told, supervised("GET", "/somewhere"):
        raise ZeroDivisionError("the secret reason")

    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "GET /somewhere broke off")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert "secret" not in told.value.message


def test_who_is_cancelled_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(asyncio.CancelledError), supervised("waiting"):
        raise asyncio.CancelledError

    assert caplog.records == []
