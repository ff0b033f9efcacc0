"""A client that looks over the handler's shoulder: each call is checked against what the handler has been told so far.

It knows the promises, not the code: what it says of rules and images is written here a second time.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from sandbox.ecr import StrictEcr
from tests.faults.bucket import ReportBucket
from tests.support.direct_client import direct_client

Json = dict[str, Any]

MARK, LOCK, PATTERNS = "awstut:auto-purge", "awstut:deletion-protection", "awstut:protect-tags"
REPORT, FREEZE = "awstut:purge-report", "awstut:freeze-on-delete"
SID = "AwstutFreezeOnDelete"
READING = frozenset(
    {
        "describe_repositories",
        "list_tags_for_resource",
        "describe_images",
        "describe_registry",
        "get_repository_policy",
    }
)


class BrokenPromiseError(BaseException):
    """The handler did what it must not do. Nothing catches it."""


def without_freeze(text: str | None) -> Json | None:
    """A policy without the statement of a freeze; None if there is no other."""
    if text is None:
        return None
    policy: Json = json.loads(text)
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != SID]
    return policy if policy["Statement"] else None


def promise(kept: bool, what: str) -> None:
    if not kept:
        raise BrokenPromiseError(what)


def is_locked(tags: dict[str, str], stack_id: str | None) -> bool:
    """Whether these tags forbid a request from a stack, or from none, to touch the repository."""
    mark = tags.get(MARK)
    if mark is None or mark.split()[:1] not in (["on"], ["off"]):
        return True
    bad = not tags.get(REPORT, "off").startswith(("s3://", "off"))
    bad = bad or tags.get(FREEZE, "off") not in ("on", "off")
    missing = bad or any(f"awstut:{name}" not in tags for name in mark.split()[1:])
    foreign = stack_id is not None and tags.get("awstut:stack-id") != stack_id
    return missing or foreign or tags.get(LOCK, "off") != "off"


def rules(tags: dict[str, str] | None) -> dict[str, str]:
    """The tags that decide; a rule that is off is as good as none."""
    return {
        key: value
        for key, value in (tags or {}).items()
        if key.startswith("awstut:") and "progress" not in key and (value != "off" or key == MARK)
    }


def is_protected(tags: dict[str, str], image_tags: list[str]) -> bool:
    """Whether the rules in these tags protect an image that has those."""
    rule = tags.get(PATTERNS, "off")
    patterns = [] if rule == "off" else rule.replace("@", "*").split()
    return any(fnmatch.fnmatchcase(tag, pattern) for tag in image_tags for pattern in patterns)


@dataclass
class Operation:
    """A delete, over all its slices, as far as its callback context reaches: a kill takes back what it had learned."""

    stack_id: str | None
    token: str
    context: Json = field(default_factory=dict)
    first_new: int = 0  # the sequence of the first image that was pushed after it began
    created: object = None  # of the repository that it began with, as it was told
    described: object = None  # the first creation time that it was told, perhaps of one whose tags were not found
    really_created: float | None = None  # of the repository that was there then; None: a deleted one was described
    blind: bool = False  # a listing left images out, and told of others: no client can know of those
    walk: str | None = None  # the rule under which the walk at hand began
    whole: set[str] = field(default_factory=set)  # the rules under which the whole inventory was looked at
    protected: dict[str, set[str]] = field(default_factory=dict)  # by rule: listed digests that it protects
    frozen: bool = False  # pushes were seen to be refused
    deleted: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)  # of them, those that a report must have
    calls: int = 0
    slices: int = 0

    def copy(self) -> Operation:
        """As it is now; what it learns later does not show."""
        return replace(
            self,
            context=dict(self.context),
            whole=set(self.whole),
            protected={rule: set(digests) for rule, digests in self.protected.items()},
            deleted=set(self.deleted),
            reported=set(self.reported),
        )

    @property
    def folder(self) -> str:
        """Where its report is."""
        return f"purged/app/{hashlib.sha256(self.token.encode()).hexdigest()[:16]}/"


@dataclass
class Watch:
    """One slice's client. ``on_call`` is told of each call before it is made, and may make things happen."""

    ecr: StrictEcr
    bucket: ReportBucket
    operation: Operation
    on_call: Callable[[Json], None]
    most_calls: Callable[[], int]
    retagged: set[str]  # images that got a tag since the operation began, perhaps after they were listed
    calls: int = 0
    tags: dict[str, str] | None = None
    policy: Json | None = None  # of others, as it was read last
    created: object = None  # of the repository that was looked at last
    really: dict[str, str] | None = None  # the tags that were stored then; None: no answer could have told them yet
    listed_under: dict[str, str] | None = None  # the tags that were read last before the images were listed
    has_acted: bool = False  # images were deleted since the last look at the tags
    doubted: bool = False  # ECR has just said that it is gone, or another one
    real_policies: list[Json | None] = field(default_factory=list)  # of others, when it was read, each time
    images: dict[str, list[str]] = field(default_factory=dict)  # listed since the rules were read: digest -> tags

    def __post_init__(self) -> None:
        self._client: Any = direct_client(self.ecr)

    @property
    def meta(self) -> SimpleNamespace:
        return SimpleNamespace(region_name=self.ecr.region, partition="aws")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(**parameters: Any) -> Any:
            self._before(name, parameters)
            self.on_call(parameters)
            known = len(self.ecr.deletion_log)
            waits = self.ecr.lateness.is_stale_next
            if name == "get_repository_policy":
                self.real_policies.append(self._real_policy())
            try:
                answer = getattr(self._client, name)(**parameters)
            except ClientError as error:
                if "PolicyNotFound" in str(error):
                    self.policy = None
                self.doubted = self.doubted or "RepositoryNotFound" in str(error)
                if name == "describe_repositories" and "RepositoryNotFound" in str(error):
                    self.created = None
                raise
            finally:
                gone = {each.digest for each in self.ecr.deletion_log[known:]}
                self.operation.deleted |= gone
                self.operation.reported |= gone if self.is_reported else set()
            self._after(name, parameters, answer, stale=waits and not self.ecr.lateness.is_stale_next)
            return answer

        return call

    @property
    def is_reported(self) -> bool:
        return bool(self.tags) and self.tags.get(REPORT, "off") != "off"  # type: ignore[union-attr]

    @property
    def rule(self) -> str:
        assert self.tags is not None
        return self.tags.get(PATTERNS, "off")

    def _before(self, name: str, parameters: Json) -> None:
        self.calls += 1
        self.operation.calls += 1
        promise(self.calls <= self.most_calls(), f"more than {self.most_calls()} calls in one slice")
        if name == "batch_delete_image":
            self._check_delete(parameters["imageIds"])
            self.has_acted = True
        elif name == "delete_repository":
            promise(not parameters.get("force"), "a delete by force")
            self._check_allowed()
        elif name == "tag_resource":
            promise({each["Key"] for each in parameters["tags"]} == {"awstut:purge-progress"}, f"a tag: {parameters}")
        elif name == "set_repository_policy":
            promise(without_freeze(parameters["policyText"]) == self.policy, f"a policy of others lost: {self.policy}")
            self._check_really_kept(without_freeze(parameters["policyText"]))
        elif name == "delete_repository_policy":
            promise(self.policy is None, f"a policy of others deleted: {self.policy}")
            self._check_really_kept(None)
        else:
            promise(name in READING, f"the call of {name}")

    def _real_policy(self) -> Json | None:
        return without_freeze(self.ecr.repositories["app"].policy) if "app" in self.ecr.repositories else None

    def _check_really_kept(self, policy: Json | None) -> None:
        """One stale answer does not make the handler overwrite what others put there.

        ECR has no conditional put. So nobody can keep what was put between the two reads and the write, or what reads
        show late for longer than those take (a late change, or a deleted repository that is still shown).
        """
        late = self.ecr.lateness.changed_policy or self.ecr.lateness.deleted_repository
        before = self.real_policies[-2:]
        if not late and len(before) == 2 and before[0] == before[1]:
            promise(policy == before[0], f"a policy of others really lost: {before[0]}")

    def _check_really_unprotected(self, digests: set[str]) -> None:
        """What ECR holds and not what it tells: none of these images is protected, and none was at the beginning."""
        repository = self.ecr.repositories.get("app")
        if repository is None or self.really is None or repository.created_at != self.operation.really_created:
            return
        promise(not is_locked(self.really, self.operation.stack_id), f"a delete in spite of the real {self.really}")
        if self.really.get(PATTERNS, "off") == "off":
            return
        for image in repository.images:
            if image.digest not in self.retagged and is_protected(self.really, list(image.tags)):
                promise(image.digest not in digests, f"a delete of a protected image: {image.digest}")
                known = image.sequence < self.operation.first_new and not self.operation.blind
                promise(not known, f"a delete though {image.digest} was there, and protected")

    def _check_allowed(self) -> None:
        promise(self.tags is not None, "a delete before the rules were read")
        assert self.tags is not None
        promise(not is_locked(self.tags, self.operation.stack_id), f"a delete in spite of {self.tags}")
        promise(self._is_the_same, "a delete in another repository of the same name")

    @property
    def _is_the_same(self) -> bool:
        return self.created == self.operation.created

    def _check_delete(self, ids: list[Json]) -> None:
        self._check_allowed()
        assert self.tags is not None
        promise(1 <= len(ids) <= 100, f"{len(ids)} ids in one call")
        promise(all(each.keys() == {"imageDigest"} for each in ids), f"a delete by tag: {ids}")
        unlisted = {each["imageDigest"] for each in ids} - self.images.keys()
        promise(not unlisted, f"unlisted images: {unlisted}")
        promise(self.listed_under == rules(self.tags), f"{rules(self.tags)}, but listed under {self.listed_under}")
        self._check_really_unprotected({each["imageDigest"] for each in ids})
        promise(self.tags[MARK].startswith("on"), "a purge where EmptyOnDelete is off")
        protected = self.operation.protected.get(self.rule)
        promise(not protected, f"a delete though {protected} are protected")
        promise(self.rule in self.operation.whole, "a delete before all images were checked against the rules")
        if self.tags.get(FREEZE) == "on":
            promise(self.operation.frozen, "a delete before pushes were refused")
        if self.is_reported:
            unwritten = {each["imageDigest"] for each in ids} - self.bucket.digests("intent", self.operation.folder)
            promise(not unwritten, f"a delete of {unwritten} before the report has them")

    def _after(self, name: str, parameters: Json, answer: Json, *, stale: bool) -> None:
        if name == "describe_repositories":
            self.created = answer["repositories"][0]["createdAt"]
            self.operation.described = self.operation.described or self.created
            self.doubted = self.doubted or not self._is_the_same
        elif name in ("get_repository_policy", "set_repository_policy"):
            text = answer["policyText"]
            self.policy = without_freeze(text)
            self.operation.frozen = self.operation.frozen or SID in text
        elif name == "list_tags_for_resource":
            self._learn_tags({tag["Key"]: tag["Value"] for tag in answer["tags"]}, stale=stale)
            if self.operation.walk != self.rule:
                self.operation.walk = None
        elif name == "describe_images":
            promise(parameters["filter"] == {"imageStatus": "ANY"}, "a list of some statuses only")
            found = {each["imageDigest"]: list(each.get("imageTags", ())) for each in answer["imageDetails"]}
            if self.listed_under != rules(self.tags):
                self.images, self.listed_under = {}, rules(self.tags)
            self.images |= found
            self.doubted = False
            # Where a listing says that there is nothing, DeleteRepository tells the truth before an image is deleted.
            self.operation.blind = self.operation.blind or (stale and bool(found or "nextToken" in parameters))
            assert self.tags is not None
            protected = self.operation.protected.setdefault(self.rule, set())
            protected -= found.keys()
            protected |= {digest for digest, tags in found.items() if is_protected(self.tags, tags)}
            if "nextToken" not in parameters:
                self.operation.walk = self.rule
            if "nextToken" not in answer and self.operation.walk == self.rule:
                self.operation.whole.add(self.rule)

    def _learn_tags(self, tags: dict[str, str], *, stale: bool) -> None:
        repository = self.ecr.repositories.get("app")
        late = self.ecr.lateness
        told, self.tags = self.tags, tags
        if self.operation.created is None and self.created is not None and self.created == self.operation.described:
            self.operation.created = self.created  # both witnesses have seen it
            if repository is not None and not late.deleted_repository:
                self.operation.really_created = repository.created_at
        # Tags that were changed just now, or of which one answer is old: nobody can know better than the answer.
        self.really = None
        if repository is not None and not stale and not late.deleted_repository:
            seen = repository.traces.tags.seen(repository.tags, self.ecr.clock.monotonic(), late.changed_tags)
            self.really = repository.tags if seen == repository.tags else None
        if self.has_acted and not (self.doubted and told == tags):  # Else it is a second look, or one after a doubt.
            self.images = {}
        self.has_acted = False
