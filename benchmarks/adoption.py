"""`make adopt-check`: 200 repositories in 40 stacks are adopted by one command, which is killed three times.

It says how many calls of CloudFormation each stack took beyond waiting, and fails where an image, a tag or a policy is
not as before. The command runs as a process of its own, and is killed with SIGKILL at random calls.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from autopurge.app import app
from autopurge.aws import Target
from autopurge.command import Surroundings
from sandbox.build import ROOT, copy_project
from sandbox.environment import REGION
from sandbox.server import Sandbox, start_sandbox

MOST_CALLS = 12  # of CloudFormation for one stack, beyond waiting
_WAITING = frozenset({"DescribeStacks", "DescribeChangeSet", "DescribeStackDriftDetectionStatus"})
_CHANGING = frozenset({"UpdateStack", "CreateChangeSet", "ExecuteChangeSet"})
_STACKS, _REPOSITORIES_EACH, _KILLS = 40, 5, 3
_TAG = {"Key": "adopt", "Value": "yes"}
_NATIVE = "AWS::ECR::Repository"
_QUICK = 100  # the command waits so many times less than against AWS
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 2000},
            "action": {"type": "expire"},
        }
    ]
}
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}
_EMPTYING = """
import json, urllib.request, boto3
def handler(event, context):
    if event["RequestType"] == "Delete":
        ecr = boto3.client("ecr")
        name = event["ResourceProperties"]["RepositoryName"]
        ecr.batch_delete_image(repositoryName=name, imageIds=ecr.list_images(repositoryName=name)["imageIds"])
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    data = json.dumps(answer | {"Status": "SUCCESS", "PhysicalResourceId": "emptying"}).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, {"Content-Type": ""}, method="PUT"))
"""

Json = dict[str, Any]


class _Hurried:
    """A clock that waits a part of the time."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds / _QUICK)


@dataclass
class Figures:
    """What was seen."""

    repositories: int = 0
    images: int = 0
    runs: list[int] = field(default_factory=list)  # exit codes
    calls: dict[str, int] = field(default_factory=dict)  # of CloudFormation beyond waiting, by stack
    seconds: float = 0
    differing: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adoption", description=__doc__)
    parser.add_argument("--stacks", type=int, default=_STACKS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--log", type=Path, help="internal: run the command, and write its calls there")
    arguments, rest = parser.parse_known_args()
    if arguments.log:
        _command(arguments.log, rest)
        return
    print(f"seed {arguments.seed}", flush=True)
    with start_sandbox() as box, tempfile.TemporaryDirectory(prefix="adoption-") as folder:
        figures = _Check(box, Path(folder), random.Random(arguments.seed)).run(arguments.stacks)
    calls = sorted(figures.calls.values())
    print(f"{figures.repositories} repositories with {figures.images:,} images in {len(calls)} stacks")
    print(f"exit codes of the runs: {figures.runs}; {figures.seconds:.0f} s")
    print(f"calls of CloudFormation a stack, beyond waiting: {calls[len(calls) // 2]} (median), {calls[-1]} (most)")
    print(f"not as before: {figures.differing or 'nothing'}")
    bad = figures.differing or figures.runs[-1] != 0 or calls[-1] > MOST_CALLS or len(figures.runs) != _KILLS + 1
    sys.exit(1 if bad else 0)


def _command(log: Path, arguments: list[str]) -> None:
    """`autopurge`, whose calls of CloudFormation are written to a file before each is made."""

    def connect(_: Target) -> Any:
        def make(service: str, config: Any = None) -> Any:
            client: Any = boto3.client(service, config=config)  # type: ignore[call-overload]
            if service == "cloudformation":
                client.meta.events.register("provide-client-params.cloudformation", note)
            return client

        return make

    def note(params: Json, model: Any, **_: Any) -> None:
        with log.open("a") as file:
            file.write(f"{model.name}\t{params.get('StackName', '')}\n")

    app.main(args=arguments, obj=Surroundings(connect, _Hurried()))


class _Check:
    def __init__(self, box: Sandbox, folder: Path, source: random.Random) -> None:
        self._box = box
        self._folder = folder
        self._source = source
        self._cloudformation = box.client("cloudformation")
        self._ecr = box.client("ecr")

    def run(self, stacks: int) -> Figures:
        figures = Figures()
        _submit(self._box, self._folder)
        self._box.control.settings(callback_delay_cap_seconds=0.02, retry_delay_seconds=0.02)
        self._box.control.settings(call_seconds=300, read_seconds=300)  # a slow machine must not fail an import
        identifiers = [self._make(number) for number in range(stacks)]
        names = self._box.control.repositories()
        before = {each: self._contents(each) for each in names}
        outputs = {each: self._outputs(each) for each in identifiers}
        figures.repositories = len(names)
        figures.images = sum(len(each["images"]) for each in before.values())
        print(f"made {len(names)} repositories", flush=True)
        began = time.monotonic()
        # Each stack takes five changing calls. The command is killed after some of all these calls.
        kills = sorted(self._source.sample(range(1, 5 * stacks), _KILLS))
        for kill_at in [*kills, None]:
            figures.runs.append(self._adopt(kill_at))
            print(f"run ended with {figures.runs[-1]}", flush=True)
        figures.seconds = time.monotonic() - began
        figures.calls = self._calls(identifiers)
        figures.differing = [each for each in names if self._contents(each) != before[each]]
        figures.differing += [each for each in identifiers if self._outputs(each) != outputs[each]]
        figures.differing += [f"{each['repository']} lost images" for each in self._box.control.deletions()]
        figures.differing += [each for each in identifiers if not self._is_under_the_type(each)]
        return figures

    def _adopt(self, kill_at: int | None) -> int:
        """Run the command, and kill it when all runs together have made so many changing calls."""
        journal, log = self._folder / "journal", self._folder / "calls"
        own = ["--log", str(log), "adopt", "--all-stacks", "--tag", "adopt=yes", "--yes", "--journal", str(journal)]
        command = [sys.executable, "-m", "benchmarks.adoption", *own]
        paths = f"{ROOT / 'src'}:{ROOT / 'cli'}:{ROOT}"
        environment = {**self._box.environment, "PYTHONPATH": paths}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if kill_at is not None and self._changes(log) >= kill_at:
                    process.kill()
                    break
                time.sleep(0.02)
        return process.returncode

    def _changes(self, log: Path) -> int:
        return sum(name in _CHANGING for name, _ in _lines(log))

    def _calls(self, identifiers: list[str]) -> dict[str, int]:
        counts = Counter(stack for name, stack in _lines(self._folder / "calls") if name not in _WAITING)
        return {each: counts[each] for each in identifiers}

    # --- stacks

    def _make(self, number: int) -> str:
        name = f"stack-{number}"
        names = [f"team{number}/app{each}" for each in range(_REPOSITORIES_EACH)]
        kind = ("plain", "references", "yaml", "custom")[number % 4]
        body = json.dumps(_json(names, kind == "references")) if number % 4 < 2 else _yaml(names, kind == "custom")
        made = self._cloudformation.create_stack(
            StackName=name, TemplateBody=body, Tags=[_TAG], Capabilities=["CAPABILITY_IAM"]
        )
        waiter = self._cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
        for each in names:
            count = self._source.randint(100, 1000)
            self._box.control.seed(each, ("with_images", {"count": count - 10}), ("with_multi_arch", {"count": 3}))
            if self._source.random() < 0.5:
                self._ecr.put_lifecycle_policy(repositoryName=each, lifecyclePolicyText=json.dumps(_LIFECYCLE))
            if self._source.random() < 0.5:
                self._ecr.set_repository_policy(repositoryName=each, policyText=json.dumps(_POLICY))
        identifier: str = made["StackId"]
        return identifier

    def _contents(self, name: str) -> Json:
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=name, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": 1000}
        )
        images = {
            each["imageDigest"]: sorted(each.get("imageTags", [])) for page in pages for each in page["imageDetails"]
        }
        found: Any = self._box.control.repository(name)
        tags = {key: value for key, value in found["tags"].items() if not key.startswith("awstut:")}
        return {**{key: value for key, value in found.items() if key != "images"}, "tags": tags, "images": images}

    def _outputs(self, identifier: str) -> Json:
        [stack] = self._cloudformation.describe_stacks(StackName=identifier)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def _is_under_the_type(self, identifier: str) -> bool:
        listed = self._cloudformation.list_stack_resources(StackName=identifier)["StackResourceSummaries"]
        kinds = Counter(each["ResourceType"] for each in listed)
        return kinds["Awstut::ECR::AutoPurgeRepository"] == _REPOSITORIES_EACH and kinds[_NATIVE] == 0


def _submit(box: Sandbox, folder: Path) -> None:
    """Register the type as a user does."""
    project = copy_project(folder / "project")
    command = ["cfn", "submit", "--set-default", "--region", REGION]
    subprocess.run(command, cwd=project, env=box.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _json(names: list[str], references: bool) -> Json:
    resources: Json = {
        f"App{number}": {"Type": _NATIVE, "Properties": {"RepositoryName": name, "EmptyOnDelete": number == 0}}
        for number, name in enumerate(names)
    }
    if not references:
        return {"Resources": resources}
    value = {
        "Fn::Join": [" ", [{"Fn::GetAtt": ["App0", "Arn"]}, {"Ref": "App1"}, {"Fn::Sub": "${App2.RepositoryUri}"}]]
    }
    resources["Topic"] = {"Type": "AWS::SNS::Topic", "DependsOn": ["App3"], "Properties": {"DisplayName": value}}
    outputs = {"Uri": {"Value": {"Fn::GetAtt": ["App0", "RepositoryUri"]}, "Export": {"Name": f"{names[0]}-uri"}}}
    return {"Resources": resources, "Outputs": outputs}


def _yaml(names: list[str], custom: bool) -> str:
    lines = ["# Repositories of a team", "Resources:"]
    for number, name in enumerate(names):
        lines += [f"  # number {number}", f"  App{number}:   # built on each commit", f"    Type: {_NATIVE}"]
        lines += ["    Properties:", f"      RepositoryName: '{name}'   # as it is called", "      Tags:"]
        lines += [f"        - {{Key: number, Value: '{number}'}}"]
    lines += ["  Topic:", "    Type: AWS::SNS::Topic", "    Properties:"]
    lines += ['      DisplayName: !Sub "${App0} of ${App1.Arn}"   # both']
    if custom:
        lines += ["  # empties the first", "  Empty:", "    Type: Custom::Empty", "    Properties:"]
        lines += ["      ServiceToken: !GetAtt Function.Arn", "      RepositoryName: !Ref App0", "  Function:"]
        lines += ["    Type: AWS::Lambda::Function", "    Properties:", "      Runtime: python3.12"]
        lines += ["      Handler: index.handler", "      Role: !GetAtt Role.Arn", "      Code:", "        ZipFile: |"]
        lines += [f"          {line}" for line in _EMPTYING.strip().splitlines()]
        lines += ["  Role:", "    Type: AWS::IAM::Role", "    Properties: {AssumeRolePolicyDocument: {Statement: []}}"]
    lines += ["Outputs:", "  Uri:", "    Value: !GetAtt App0.RepositoryUri"]
    return "\n".join(lines) + "\n"


def _lines(log: Path) -> Iterator[tuple[str, str]]:
    if log.exists():
        for line in log.read_text().splitlines():
            name, _, stack = line.partition("\t")
            yield name, stack


if __name__ == "__main__":
    main()
