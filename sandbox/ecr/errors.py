"""Errors as ECR answers them."""

from __future__ import annotations


class EcrError(Exception):
    """An error as the service answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> EcrError:
    """What ECR says of a parameter that it does not take."""
    return EcrError("InvalidParameterException", message)
