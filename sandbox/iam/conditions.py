"""The Condition element of a policy statement.

Source: the IAM user guide, "IAM JSON policy elements: Condition operators" and "Set operators for multi-value keys".
Operators for dates, IP addresses and binary values are not known here: no key of the sandbox has such a value.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = str | list[str]
Compare = Callable[[str, str], bool]  # a value of the request, a value of the policy


class UnknownOperatorError(ValueError):
    """A condition has an operator that is not evaluated here; the string names it."""


def matches(value: str, pattern: str) -> bool:
    """Whether a string matches a pattern with * and ?. Upper and lower case differ."""
    return _compiled(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(each) or re.escape(each) for each in pattern), re.DOTALL)


def _equal_in_any_case(value: str, expected: str) -> bool:
    return value.casefold() == expected.casefold()


def _arn_matches(value: str, pattern: str) -> bool:
    """Each of the six parts of an ARN is compared with its own part of the pattern."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return pattern == "*" or (len(parts) == len(patterns) and all(map(matches, parts, patterns)))


def _numeric(compare: Callable[[float, float], bool]) -> Compare:
    def numbers(value: str, expected: str) -> bool:
        try:
            return compare(float(value), float(expected))
        except ValueError:
            return False

    return numbers


_OPERATORS: dict[str, Compare] = {
    "stringequals": operator.eq,
    "stringequalsignorecase": _equal_in_any_case,
    "stringlike": matches,
    "arnequals": _arn_matches,
    "arnlike": _arn_matches,
    "bool": _equal_in_any_case,
    "numericequals": _numeric(operator.eq),
    "numericlessthan": _numeric(operator.lt),
    "numericlessthanequals": _numeric(operator.le),
    "numericgreaterthan": _numeric(operator.gt),
    "numericgreaterthanequals": _numeric(operator.ge),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
}
_FOR_ALL, _FOR_ANY = "forallvalues:", "foranyvalue:"


@dataclass(frozen=True)
class Condition:
    """One condition key of a statement, with one operator."""

    compare: Compare | None  # None for Null, which asks only whether the key has a value
    negated: bool
    values_of: str  # the set operator, or an empty string
    without_value: bool  # whether the condition is met if the key has no value
    key: str
    expected: tuple[str, ...]

    def met(self, context: Mapping[str, Values | None]) -> bool:
        """Whether a request with these condition keys, in lower case, meets the condition."""
        found = context.get(self.key)
        values = [found] if isinstance(found, str) else found or []
        if not values:
            return self.without_value
        if self.compare is None:
            return not self.without_value
        fits = [any(self.compare(value, each) for each in self.expected) for value in values]
        if self.values_of == _FOR_ALL:
            return all(fit is not self.negated for fit in fits)
        if self.values_of == _FOR_ANY:
            return any(fit is not self.negated for fit in fits)
        return any(fits) is not self.negated


def conditions_of(statement: Mapping[str, Any]) -> Iterator[Condition]:
    """All conditions of a statement, each of which has to be met. Raises UnknownOperatorError."""
    for name, keys in statement.get("Condition", {}).items():
        for key, expected in keys.items():
            listed = expected if isinstance(expected, list) else [expected]
            yield _condition(name, key.lower(), tuple(map(_string, listed)))


def _condition(name: str, key: str, expected: tuple[str, ...]) -> Condition:
    rest = name.lower()
    values_of = next((each for each in (_FOR_ALL, _FOR_ANY) if rest.startswith(each)), "")
    rest = rest.removeprefix(values_of)
    if rest == "null":
        return Condition(None, False, values_of, "true" in expected, key, expected)
    if_exists = rest.endswith("ifexists")
    rest = rest.removesuffix("ifexists")
    negated = rest in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(rest, rest))
    if compare is None:
        raise UnknownOperatorError(name)
    without_value = if_exists or values_of == _FOR_ALL or (negated and values_of != _FOR_ANY)
    return Condition(compare, negated, values_of, without_value, key, expected)


def _string(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
