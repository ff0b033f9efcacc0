"""Settings drawn at random."""

from __future__ import annotations

import string

from hypothesis import strategies

from awstut_ecr_autopurgerepository.rules.settings import MOST_DAYS, MOST_PATTERNS, SERVICES, ReportPlace, Settings

_LOWER = string.ascii_lowercase + string.digits
_ANY_CASE = string.ascii_letters + string.digits


def _texts(alphabet: str, shortest: int, longest: int) -> strategies.SearchStrategy[str]:
    """Quicker than `from_regex`, which took most of the time of some tests."""
    return strategies.text(alphabet, min_size=shortest, max_size=longest)


PREFIXES = strategies.lists(_texts(f"{_ANY_CASE}_.=-", 1, 20), min_size=1, max_size=5).map("/".join)
_BUCKETS = strategies.tuples(_texts(_LOWER, 1, 1), _texts(f"{_LOWER}.-", 1, 61), _texts(_LOWER, 1, 1)).map("".join)
ANY_PLACE = strategies.builds(
    ReportPlace,
    _BUCKETS,
    strategies.just("") | PREFIXES,
    strategies.none() | _texts(string.digits, 12, 12),
)
PATTERNS = _texts(f"{_ANY_CASE}_.*-", 1, 64).filter(lambda pattern: pattern != "off")
ANY_SETTINGS = strategies.builds(
    Settings,
    empty_on_delete=strategies.booleans(),
    deletion_protection=strategies.booleans(),
    patterns=strategies.lists(PATTERNS, max_size=MOST_PATTERNS, unique=True).map(tuple),
    pulled_within_days=strategies.none() | strategies.integers(1, MOST_DAYS),
    report=strategies.none() | ANY_PLACE,
    freeze=strategies.booleans(),
    pushed_within_days=strategies.none() | strategies.integers(1, MOST_DAYS),
    replicated_deletes=strategies.booleans(),
    in_use_by=strategies.lists(strategies.sampled_from(SERVICES), unique=True).map(tuple),
)
