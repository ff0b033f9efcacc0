"""What tests may change about the driver."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

# AWS does not say what a handler gets as the previous properties when a resource is imported: the properties of the
# template, what READ answered, or nothing.
IMPORT_PREVIOUS = ("template", "read", "nothing")


@dataclass
class Settings:
    """The defaults are CloudFormation's behaviour, as far as it is documented or was reported."""

    call_seconds: float = 60  # a create, update or delete that takes longer is started a second time
    read_seconds: float = 30  # a read or list that takes longer fails
    copies: int = 2  # how often a call that does not answer in time is started in all
    retries: int = 3  # how often a call that failed with a retriable code is repeated
    retry_delay_seconds: float = 1  # before the first retry; doubles with each
    callback_delay_cap_seconds: float | None = None  # shortens the wait between callbacks, for quick tests
    delete_after_already_exists: bool = False  # roll a create back that failed with AlreadyExists (reported by users)
    import_previous: str = "template"  # what the UPDATE of an import sends as previous: one of IMPORT_PREVIOUS
    native_import_removes_policy: bool = False  # by an import of AWS::ECR::Repository (reported by users)
    context_limit_bytes: int = 4096  # a larger callback context is a breach of contract
    seed_before_delete: list[dict[str, Any]] = field(default_factory=list)  # builder steps, run before each delete

    def change(self, changes: dict[str, Any]) -> None:
        """Set some of the settings. Raises ValueError for an unknown name, or an unknown `import_previous`."""
        known = {each.name for each in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"{name} is not a setting. There are: {', '.join(sorted(known))}.")
            if name == "import_previous" and value not in IMPORT_PREVIOUS:
                raise ValueError(f"{value} is not one of {', '.join(IMPORT_PREVIOUS)}.")
            setattr(self, name, value)

    def reset(self) -> None:
        self.change(asdict(Settings()))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
