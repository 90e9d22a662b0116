"""What can't be done with a song, in words for people."""

from __future__ import annotations


class Unfit(Exception):
    """This song can't be worked on: `error_type` is a stable word for programs."""

    def __init__(self, message: str, error_type: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.retry = retry


class Unheard(Exception):
    """One part of the work found nothing; the rest goes on."""
