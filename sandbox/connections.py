"""How a client notices a lost or late answer: an adapter for each transport. `Faults.connection` says which it is."""

from __future__ import annotations

import time
from typing import NoReturn

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

_SLOW_SECONDS = 15  # longer than the read timeout of the handlers' clients


class ConnectionDroppedError(Exception):
    """A server closes the connection without an answer."""


class InProcess:
    """The errors that botocore raises, for clients that are answered in their own process."""

    def __init__(self, url: str = "http://127.0.0.1") -> None:
        self._url = url

    def lose(self) -> NoReturn:
        """Raises ConnectionClosedError."""
        raise ConnectionClosedError(endpoint_url=self._url)

    def delay(self) -> NoReturn:
        """Raises ReadTimeoutError."""
        raise ReadTimeoutError(endpoint_url=self._url)


class OverHttp:
    """For a server: the client itself finds out that its connection is closed, or that the answer takes too long."""

    def lose(self) -> NoReturn:
        """Raises ConnectionDroppedError."""
        raise ConnectionDroppedError

    def delay(self) -> None:
        """Wait for longer than the client does. The answer may then be sent."""
        time.sleep(_SLOW_SECONDS)
