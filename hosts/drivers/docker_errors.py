"""The container engine's errors turned into ours, by status code and class and never by message text."""

from __future__ import annotations

import docker.errors
import requests.exceptions
import urllib3.exceptions

from hosts.errors import DriverError, Refused, Rejected, StowageError, TimedOut, Unreachable, Vanished

# What a call to the engine may raise; catch these and nothing else.
ENGINE_ERRORS = (
    docker.errors.DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
)
_TIMEOUTS = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
_NOT_REACHED = "The container engine cannot be reached. Is dockerd running?"


def foreign_error(error: Exception, doing: str) -> StowageError:
    """Our error for the engine's; `doing` says what was tried ("start the container web-1")."""
    detail = f"{doing}: {type(error).__name__}: {error}"[:2000]
    status = status_of(error)
    if status is not None:
        return _by_status(status, doing, detail)
    if _is_timeout(error):
        return TimedOut("The container engine did not answer in time.", detail)
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.exceptions.HTTPError):
        return Unreachable(_NOT_REACHED, detail)
    if isinstance(error, docker.errors.DockerException) and not isinstance(error, docker.errors.APIError):
        # The client's constructor wraps whatever kept it from asking for the engine's version.
        return Unreachable(_NOT_REACHED, detail)
    return DriverError(f"The container engine could not {doing}.", detail)


def status_of(error: Exception) -> int | None:
    """The HTTP status that the engine answered with, if it answered."""
    response = getattr(error, "response", None)
    return response.status_code if response is not None else None


def _by_status(status: int, doing: str, detail: str) -> StowageError:
    if status == 404:
        return Vanished("The container engine no longer has what this is about.", detail)
    if status == 409:
        return Refused(f"The container engine could not {doing}: its state does not allow that now.", detail)
    if status in (401, 403):
        return Rejected("The container engine does not allow us to do this.", detail)
    if 400 <= status < 500:
        return Rejected(f"The container engine refused to {doing}.", detail)
    return DriverError(f"The container engine could not {doing}.", detail)


def _is_timeout(error: BaseException) -> bool:
    # A read timeout on a unix socket arrives as a ConnectionError around urllib3's ReadTimeoutError.
    inner = error.args[0] if error.args else None
    return isinstance(error, _TIMEOUTS) or isinstance(inner, _TIMEOUTS)
