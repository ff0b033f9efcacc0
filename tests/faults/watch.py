"""A client that checks each call of the handler against what the handler has been told so far.

It knows the promises, not the code: the rules for tags and images are implemented here a second time.
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
    """The tags of the rules. A rule that is off counts as no rule."""
    return {
        key: value
        for key, value in (tags or {}).items()
        if key.startswith("awstut:") and "progress" not in key and (value != "off" or key == MARK)
    }


def is_protected(tags: dict[str, str], image_tags: list[str]) -> bool:
    """Whether the rules in the tags of a repository protect an image with these ``image_tags``."""
    rule = tags.get(PATTERNS, "off")
    patterns = [] if rule == "off" else rule.replace("@", "*").split()
    return any(fnmatch.fnmatchcase(tag, pattern) for tag in image_tags for pattern in patterns)


@dataclass
class Operation:
    """A delete over all its slices. It knows what its callback context carries: what a killed slice learned is lost."""

    stack_id: str | None
    token: str
    context: Json = field(default_factory=dict)
    first_new: int = 0  # the sequence of the first image that was pushed after it began
    created: object = None  # creation time of the repository that the delete began with, as ECR told it
    described: object = None  # the first creation time that ECR told, perhaps of a repository whose tags were not found
    really_created: float | None = None  # stored creation time; None if ECR described a deleted repository
    blind: bool = False  # a listing showed only some images: no client can know of the others
    walk: str | None = None  # the rule under which the walk at hand began
    whole: set[str] = field(default_factory=set)  # the rules under which the whole inventory was looked at
    protected: dict[str, set[str]] = field(default_factory=dict)  # by rule: listed digests that it protects
    frozen: bool = False  # pushes were seen to be refused
    deleted: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)  # of them, those that a report must have
    calls: int = 0
    slices: int = 0

    def copy(self) -> Operation:
        """A snapshot: it does not change with what the operation learns later."""
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
    policy: Json | None = None  # the policy without the push block, as it was read last
    created: object = None  # creation time of the repository that was described last
    stored_tags: dict[str, str] | None = None  # as of the last look; None if no answer could show them yet
    listed_under: dict[str, str] | None = None  # the tags that were read last before the images were listed
    has_acted: bool = False  # images were deleted since the last look at the tags
    doubted: bool = False  # ECR has just said that the repository is gone, or that it is another one
    real_policies: list[Json | None] = field(default_factory=list)  # without the push block, at each read
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
        """A single stale answer does not make the handler overwrite what others put into the policy.

        ECR has no conditional put. So a client cannot keep a change that somebody makes between its two reads and its
        write, or that reads show only after those (a late change, or a deleted repository that is still shown).
        """
        late = self.ecr.lateness.changed_policy or self.ecr.lateness.deleted_repository
        before = self.real_policies[-2:]
        if not late and len(before) == 2 and before[0] == before[1]:
            promise(policy == before[0], f"a policy of others really lost: {before[0]}")

    def _check_really_unprotected(self, digests: set[str]) -> None:
        """By what ECR stores, not what it answers: no image here is protected, and none was at the beginning."""
        repository = self.ecr.repositories.get("app")
        if repository is None or self.stored_tags is None or repository.created_at != self.operation.really_created:
            return
        promise(
            not is_locked(self.stored_tags, self.operation.stack_id),
            f"a delete in spite of the real {self.stored_tags}",
        )
        if self.stored_tags.get(PATTERNS, "off") == "off":
            return
        for image in repository.images:
            if image.digest not in self.retagged and is_protected(self.stored_tags, list(image.tags)):
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
        # If tags were changed just now, or this answer is old, the handler cannot know better than the answer.
        self.stored_tags = None
        if repository is not None and not stale and not late.deleted_repository:
            seen = repository.traces.tags.seen(repository.tags, self.ecr.clock.monotonic(), late.changed_tags)
            self.stored_tags = repository.tags if seen == repository.tags else None
        if self.has_acted and not (self.doubted and told == tags):  # Else it is a second look, or one after a doubt.
            self.images = {}
        self.has_acted = False
