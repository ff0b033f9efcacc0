"""How a command ends: its exit code, and an error in words instead of a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import click
from botocore import exceptions as botocore_exceptions
from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.errors import (
    AWS_ERRORS,
    HandlerError,
    denied_action,
    service_code,
    service_message,
)
from awstut_ecr_autopurgerepository.pacing import OutOfTimeError


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    FINE = 0
    ERROR = 1
    USAGE = 2  # click's own, for an unknown option or a missing argument
    FOUND = 3  # something is refused, or not deleted, or a template has a finding


class Failure(click.ClickException):
    """An error in words: what was not done, why, what to do. Exit code 1."""

    exit_code = ExitCode.ERROR

    def show(self, file: object = None) -> None:  # noqa: ARG002 (click's signature)
        """Print the message on standard error."""
        click.echo(f"Error: {self.message}", err=True)


_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"})
_HINTS: tuple[tuple[type[Exception], str], ...] = (
    (botocore_exceptions.NoRegionError, "No Region is set. Add --region, or set AWS_REGION."),
    (
        botocore_exceptions.NoCredentialsError,
        "No credentials were found. Log in as for the AWS CLI, or add --profile.",
    ),
    (
        botocore_exceptions.ProfileNotFound,
        "The profile does not exist. `aws configure list-profiles` shows those that do.",
    ),
    (
        botocore_exceptions.EndpointConnectionError,
        "The endpoint cannot be reached. Check the network, --endpoint-url and AWS_ENDPOINT_URL.",
    ),
)


def failure(error: Exception) -> Failure:
    """What to tell the user about an error of AWS or botocore."""
    code, said = service_code(error), " ".join(service_message(error).split())
    if not isinstance(error, ClientError):
        hint = next((words for kind, words in _HINTS if isinstance(error, kind)), "AWS could not be called.")
        return Failure(f"{hint} ({said})")
    if code in _EXPIRED:
        return Failure(f"The credentials have expired. Log in again, then repeat the command. ({said})")
    if code in _DENIED:
        action = denied_action(said) or error.operation_name
        return Failure(f"{action} was denied. Use credentials that allow it. AWS said: {said}")
    if code in _THROTTLED:
        return Failure(f"AWS throttled {error.operation_name} at every attempt. Repeat the command later. ({said})")
    return Failure(f"{error.operation_name} failed: {said}")


@contextmanager
def told(how_to_go_on: str) -> Iterator[None]:
    """Turn what AWS raises into a Failure, and Ctrl-C into a sentence that says how to go on."""
    try:
        yield
    except AWS_ERRORS as error:
        raise failure(error) from error
    except HandlerError as error:
        raise Failure(error.message) from error
    except OutOfTimeError as error:
        raise Failure("AWS answered too slowly. Run the command again, for fewer repositories.") from error
    except BrokenPipeError:  # the reader of the output has seen enough; click ends quietly
        raise
    except OSError as error:
        raise Failure(f"{error.strerror or error}: {error.filename}." if error.filename else f"{error}.") from error
    except KeyboardInterrupt:
        raise Failure(f"Stopped by Ctrl-C. {how_to_go_on}") from None
