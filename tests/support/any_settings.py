"""Settings drawn at random."""

from __future__ import annotations

from hypothesis import strategies

from awstut_ecr_autopurgerepository.rules.settings import MOST_DAYS, MOST_PATTERNS, SERVICES, ReportPlace, Settings

PREFIXES = strategies.from_regex(r"\A[A-Za-z0-9_.=-]{1,20}(/[A-Za-z0-9_.=-]{1,20}){0,4}\Z")
ANY_PLACE = strategies.builds(
    ReportPlace,
    strategies.from_regex(r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z"),
    strategies.just("") | PREFIXES,
    strategies.none() | strategies.from_regex(r"\A[0-9]{12}\Z"),
)
PATTERNS = strategies.from_regex(r"\A[A-Za-z0-9_.*-]{1,64}\Z").filter(lambda pattern: pattern != "off")
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
