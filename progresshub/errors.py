"""Everything the hub can refuse, as a code and a message.

No HTTP here: each dialect's own table turns a code into a status and a body. The first line of a
class's docstring is its message; `{names}` in it are filled from the details given to it.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HubError(Exception):
    """The hub refuses this."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str = "", **details: Any) -> None:
        template = (type(self).__doc__ or "").partition("\n")[0]
        self.message = message or template.format_map(details)
        self.details = details
        super().__init__(self.message)


class InvalidRequest(HubError):
    """The request can't be read: {reason}."""

    code = "invalid_request"


class InvalidField(HubError):
    """{field}: {reason}."""

    code = "invalid_field"


class InvalidPayload(HubError):
    """The payload does not fit a task of type {kind}: {reason}."""

    code = "invalid_payload"


class UnknownPipeline(InvalidPayload):
    """There is no pipeline {name}."""

    code = "unknown_pipeline"


class UnknownKind(HubError):
    """There is no task type {kind}."""

    code = "unknown_kind"


class UnknownPath(HubError):
    """There is nothing at {path}."""

    code = "unknown_path"


class WrongMethod(HubError):
    """{path} does not answer {method}."""

    code = "wrong_method"


class UpgradeNeeded(HubError):
    """{path} speaks WebSocket; ask for an upgrade."""

    code = "upgrade_needed"


class UnknownTask(HubError):
    """There is no task {task_id}."""

    code = "unknown_task"


class UnknownQueue(HubError):
    """There is no queue {queue}."""

    code = "unknown_queue"


class UnknownFile(HubError):
    """Task {task_id} has no file {name}."""

    code = "unknown_file"


class NoProgress(HubError):
    """Task {task_id} has not reported progress yet."""

    code = "no_progress"


class NotCancellable(HubError):
    """Task {task_id} is {state} and can't be cancelled."""

    code = "not_cancellable"


class NotDeletable(HubError):
    """Task {task_id} is {state} and can't be deleted; cancel it first."""

    code = "not_deletable"


class NotRetryable(HubError):
    """Task {task_id} is {state}; only failed and cancelled tasks can be retried."""

    code = "not_retryable"


class NotReportable(HubError):
    """Task {task_id} is {state} and of type {kind}; only active external tasks take reports."""

    code = "not_reportable"


class DuplicateTask(HubError):
    """Task {task_id} is already doing this."""

    code = "duplicate_task"


class IdempotencyMismatch(HubError):
    """The Idempotency-Key {key} was used with another request."""

    code = "idempotency_mismatch"


class Unauthorized(HubError):
    """A valid token is needed."""

    code = "unauthorized"


class Forbidden(HubError):
    """This is not allowed: {reason}."""

    code = "forbidden"


class ForeignHost(HubError):
    """This server does not answer for the host {host}; name it in server.allowed_hosts."""

    code = "foreign_host"


class UnsupportedMedia(HubError):
    """The content type {content_type} is not taken here; send {expected}."""

    code = "unsupported_media"


class TooLarge(HubError):
    """The body is larger than {limit_bytes} bytes."""

    code = "too_large"


class TooSlow(HubError):
    """The body did not come within {limit_s} s."""

    code = "too_slow"


class TooMany(HubError):
    """Too many: {reason}."""

    code = "too_many"


class Unavailable(HubError):
    """Not just now: {reason}."""

    code = "unavailable"


class StorageFull(HubError):
    """There is no space left to keep this; free some space and try again."""

    code = "storage_full"


class Internal(HubError):
    """The server made a mistake; its log says more."""

    code = "internal"


class StartupError(HubError):
    """The server can't start: {reason}."""

    code = "startup"


class InvalidConfig(StartupError):
    """{where}: {reason}."""

    code = "invalid_config"


class StoreLocked(StartupError):
    """Another server (process {pid}) uses {path}; stop it, or name another --data-dir."""

    code = "store_locked"


class StoreUnreadable(StartupError):
    """{path} can't be used as the database ({reason}); put a backup in its place, or move it away to start afresh."""

    code = "store_unreadable"


class StoreTooNew(StartupError):
    """{path} was written by a newer version (schema {found}, this one knows {known}); install that version or newer."""

    code = "store_too_new"


class AddressTaken(StartupError):
    """Can't listen on {address}: {reason}; stop what uses it, or choose another with --host and --port."""

    code = "address_taken"
