"""Why a film can't be made, in words for people and with a word for programs."""

from __future__ import annotations


class Unfit(Exception):
    """What is asked for can't be made; `retry` says whether another try may help."""

    def __init__(self, message: str, error_type: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.retry = retry
