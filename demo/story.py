"""The chapters of the demo: with our type, as the tutorials do it, and what the difference is."""

from __future__ import annotations

import json
import os
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from demo.bar import PurgeBar
from demo.push import Registry, push_again, push_builds, push_many
from demo.shell import Shell, expect
from demo.stacks import Stack, seconds_of

if TYPE_CHECKING:
    from sandbox.server import Sandbox

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
REGION = "us-east-1"
REPORTS = "purge-reports"
IN_BULK = 2_500
ARCHIVED = 3
PAGE = 100  # images on a page of ListImages, where the caller asks for no other number
SHOWN = 2  # images of the report

CallCounts = dict[str, int]


@dataclass(frozen=True)
class Outcome:
    """What a delete of a stack came to."""

    status: str
    images: int
    left: int
    calls: int
    seconds: float
    report: str


class Story:
    """What the chapters share: where commands run, and how the sandbox is asked what happened."""

    def __init__(self, shell: Shell, box: Sandbox) -> None:
        self.shell = shell
        self.box = box
        self.cloudformation = box.client("cloudformation", region=REGION)
        self.ecr = box.client("ecr", region=REGION)

    def tell(self) -> None:
        """Tell the chapters, one after the other."""
        self.register()
        app = self.create("Create a stack with a repository, and push images", "app", "examples/repository.yaml")
        self.refuse(app)
        ours = self.delete(app)
        report = self.show_report(ours)
        self.while_a_function_uses_an_image()
        theirs = self.as_in_tutorials()
        self.compare(ours, theirs, report)

    def register(self) -> None:
        self.shell.chapter("Register the type, by the unmodified CloudFormation CLI")
        began = time.monotonic()
        self.shell.run("cfn", "submit", "--set-default", "--region", REGION)
        found = self.cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)
        expect(found["TypeName"] == TYPE_NAME, "the type is not registered")
        seconds = time.monotonic() - began
        self.shell.say(
            f"[green]{TYPE_NAME} is registered[/green], built and uploaded in {seconds:.0f} s.\n"
            "An administrator wants a report of every image that is deleted in this account:"
        )
        self.shell.run("aws", "s3", "mb", f"s3://{REPORTS}", folded=True)
        wanted = json.dumps({"PurgeReport": {"BucketName": REPORTS}})
        command = ("aws", "cloudformation", "set-type-configuration", "--type", "RESOURCE", "--type-name", TYPE_NAME)
        self.shell.run(*command, "--configuration-alias", "default", "--configuration", wanted)

    def create(self, title: str, name: str, template: str) -> Stack:
        """Create a stack with the repository team/`name`, and fill it."""
        self.shell.chapter(title)
        repository = f"team/{name}"
        stack = Stack.create(self.shell, self.cloudformation, name, template, repository)
        self.fill(repository)
        return stack

    def refuse(self, stack: Stack) -> None:
        """An operator protects some images; the delete refuses, and says how to allow it."""
        self.shell.chapter("Protect the releases, and try to delete the stack")
        outputs = stack.outputs()
        repository, arn = outputs["Name"], outputs["Arn"]
        expect(arn.endswith(f":repository/{repository}"), f"Arn is {arn}")
        expect(outputs["Uri"].endswith(f"/{repository}"), f"RepositoryUri is {outputs['Uri']}")
        expect(outputs["RegistryId"] == arn.split(":")[4], f"RegistryId is {outputs['RegistryId']}")
        images, before = self.count_images(repository), len(stack.events())
        self.shell.run("autopurge", "lock", repository, "--pattern", "1.*", "--yes")
        self.wait_until_shown()
        self.shell.say("What would a delete of the stack do now? The exit code is 3, because it would be refused.")
        planned = self.shell.run("autopurge", "plan", "--stack", stack.name, shown=True, code=3)
        expect(
            planned.startswith(f"{repository}: refuse"), f"the plan does not say that the delete is refused: {planned}"
        )
        message = self.refusal_of_delete(stack, before, "protected images")
        expect("tag pattern 1.*" in message, f"the refusal does not name the rule: {message}")
        expect(self.count_images(repository) == images, "an image was deleted though one is protected")
        self.shell.say(
            f"[green]Refused: all {images:,} images are still there.[/green] "
            "The message names the command that allows it:"
        )
        command = message[message.index("aws ecr tag-resource") :].partition('" (RequestToken')[0]
        self.shell.run(*shlex.split(command))
        self.wait_until_shown()

    def delete(self, stack: Stack) -> Outcome:
        self.shell.chapter("Delete the stack")
        outcome = self.watch_delete(stack)
        expect(outcome.status == "DELETE_COMPLETE", f"the stack is {outcome.status}")
        expect(self.box.control.repository(f"team/{stack.name}") is None, "the repository is still there")
        self.shell.say(
            f"[green]All {outcome.images:,} images and the repository are gone[/green], "
            f"with {outcome.calls} ECR calls, and without force."
        )
        return outcome

    def watch_delete(self, stack: Stack) -> Outcome:
        """Delete a stack, and show how its repository empties."""
        repository = f"team/{stack.name}"
        images, before, calls = self.count_images(repository), len(stack.events()), self.box.control.calls()
        stack.delete()
        with PurgeBar(self.shell.console, images, lambda: self.count_images(repository)) as bar:
            status = stack.wait(bar.look)
        made = self.calls_since(calls)
        events = stack.events(since=before)
        stack.show(events)
        for name, number in sorted(made.items()):
            self.shell.detail(f"{name}: {number}")
        left = self.count_images(repository)
        return Outcome(status, images, left, sum(made.values()), seconds_of(events), "")

    def show_report(self, outcome: Outcome) -> str:
        """Returns where the report is."""
        self.shell.chapter("Which images of team/app were deleted? The report knows")
        place = f"s3://{REPORTS}/team/app/"
        listed = self.shell.run("aws", "s3", "ls", "--recursive", place, folded=True)
        keys = [line.split()[-1] for line in listed.splitlines()]
        ends = {kind: [key for key in keys if key.endswith(kind)] for kind in ("/summary.json", ".results.jsonl.gz")}
        expect(len(ends["/summary.json"]) == 1, f"there is not one summary among {keys}")
        path = f"s3://{REPORTS}/{ends['/summary.json'][0]}"
        summary = json.loads(self.shell.run("aws", "s3", "cp", path, "-"))
        counts = summary["images"]
        expect(counts["confirmed"] == outcome.images, f"the report confirms {counts}, not {outcome.images} images")
        results = f"aws s3 cp s3://{REPORTS}/{ends['.results.jsonl.gz'][0]} - | gunzip"
        table = Table(box=None, header_style="bold")
        for column in ("Tags", "Digest", "Bytes", "Deleted"):
            table.add_column(column)
        lines = self.shell.run("bash", "-c", f'{results} | grep -F \'"tags":["\'', folded=True).splitlines()
        for record in map(json.loads, lines[:SHOWN]):
            deleted = f"{record['deletedAt']} {record['outcome']}"
            table.add_row(", ".join(record["tags"]), record["digest"][:19], f"{record['sizeInBytes']:,}", deleted)
        self.shell.console.print(table)
        self.shell.say(
            f"… and so on: {counts['deleted']:,} images, {counts['confirmed']:,} of them confirmed by ECR, "
            f"{summary['archived']['images']} archived."
        )
        return place

    def while_a_function_uses_an_image(self) -> None:
        """A function runs an image whose tag has moved since; the delete finds it, and refuses."""
        self.shell.chapter("A function uses an image: its repository stays")
        repository = "team/running"
        stack = Stack.create(self.shell, self.cloudformation, "running", "examples/repository.yaml", repository)
        outputs, registry = stack.outputs(), Registry(self.box.registry_host, repository)
        push_builds(self.shell, registry)
        role = f"arn:aws:iam::{outputs['RegistryId']}:role/checkout"
        create = ("aws", "lambda", "create-function", "--function-name", "checkout", "--package-type", "Image")
        self.shell.run(*create, "--code", f"ImageUri={outputs['Uri']}:1.2", "--role", role, folded=True)
        self.shell.say("The next build takes over the tag 1.2. The function still runs the image that had it before.")
        push_again(self.shell, registry, "1.2")
        tag = "Key=awstut:protect-in-use,Value=lambda"  # in a template: PurgeProtection: {InUseBy: [LAMBDA]}
        self.shell.run("aws", "ecr", "tag-resource", "--resource-arn", outputs["Arn"], "--tags", tag)
        self.wait_until_shown()
        images, before = self.count_images(repository), len(stack.events())
        message = self.refusal_of_delete(stack, before, "an image in use")
        expect("by the Lambda function checkout" in message, f"the refusal does not name the function: {message}")
        expect(self.count_images(repository) == images, "an image was deleted though a function uses one")
        self.shell.say(
            f"[green]Refused: all {images} images are still there.[/green] Without the function, it succeeds:"
        )
        self.shell.run("aws", "lambda", "delete-function", "--function-name", "checkout")
        planned = self.shell.run("autopurge", "plan", repository, shown=True)
        expect(planned.startswith(f"{repository}: purge"), f"the plan does not say that the delete purges: {planned}")
        stack.delete()
        self.shell.run("autopurge", "watch", repository, shown=True)
        expect(stack.wait() == "DELETE_COMPLETE", "the stack is not deleted although nothing uses an image")
        expect(self.box.control.repository(repository) is None, "the repository is still there")

    def as_in_tutorials(self) -> Outcome:
        title = "The same images, with AWS::ECR::Repository and the custom resource of the tutorials"
        stack = self.create(title, "tutorial-app", "demo/tutorial.yaml")
        outcome = self.watch_delete(stack)
        expect(outcome.status == "DELETE_FAILED", f"the stack is {outcome.status}; it should have failed")
        self.wait_until_shown()
        left = self.count_images("team/tutorial-app")
        expect(0 < left < outcome.images, f"{left} of {outcome.images} images are left")
        self.shell.say(
            f"[red]The stack cannot be deleted: {left:,} of {outcome.images:,} images are left.[/red] The custom "
            f"resource listed one page of {PAGE} and reported success. It never saw the other pages and the archived "
            "images, nor the images that ECR refused to delete."
        )
        self.clean_up(stack, "team/tutorial-app")
        return outcome

    def clean_up(self, stack: Stack, repository: str) -> None:
        self.shell.say("What is left to do manually:")
        self.shell.run("aws", "ecr", "delete-repository", "--repository-name", repository, "--force")
        stack.delete()
        with self.shell.console.status("waiting for the stack"):
            status = stack.wait()
        expect(status == "DELETE_COMPLETE", f"the stack of the tutorial is {status} after the clean-up")

    def compare(self, ours: Outcome, theirs: Outcome, report: str) -> None:
        self.shell.chapter("The difference, and what to do next")
        table = Table(box=None, header_style="bold")
        table.add_column("")
        table.add_column("this type", style="green", justify="right")
        table.add_column("the tutorial's way", style="red", justify="right")
        table.add_row("Images left", f"{ours.left:,}", f"{theirs.left:,}")
        table.add_row("Stack", ours.status, theirs.status)
        table.add_row("ECR calls", str(ours.calls), str(theirs.calls))
        table.add_row("Seconds", f"{ours.seconds:.1f}", f"{theirs.seconds:.1f}")
        table.add_row("Report", report, "none")
        self.shell.console.print(table)
        self.shell.say("Type it yourself, in ten minutes:   make sandbox, and guides/get-started.md")
        self.shell.say("Keep images from being deleted:     guides/protection.md")
        self.shell.say("Register it in an AWS account:      README.md, Three commands")

    @staticmethod
    def wait_until_shown() -> None:
        """Wait until ECR shows what was just done, where the demo runs on one that is late (make demo LATE=2)."""
        time.sleep(float(os.environ.get("LATE") or 0))

    def fill(self, repository: str) -> None:
        """Push images of each kind to `repository`."""
        registry = Registry(self.box.registry_host, repository)
        builds = push_builds(self.shell, registry)
        tags = push_many(self.shell, registry, IN_BULK)
        for tag in tags[:ARCHIVED]:
            image = {"imageTag": tag}
            self.ecr.update_image_storage_class(repositoryName=repository, imageId=image, targetStorageClass="ARCHIVE")
            self.shell.detail(f"UpdateImageStorageClass: {tag} is archived")
        held = self.count_images(repository)
        expect(held == builds + IN_BULK, f"the repository holds {held} images, not {builds + IN_BULK}")
        self.shell.say(
            f"{repository} holds {held:,} images: {builds} of multi-architecture builds, {IN_BULK:,} single ones, "
            f"{ARCHIVED} of them archived."
        )

    def refusal_of_delete(self, stack: Stack, before: int, cause: str) -> str:
        """Delete a stack, which has to fail because of `cause`, and show its events after the first `before`.

        Returns the reason that CloudFormation gives.
        """
        stack.delete()
        with self.shell.console.status("waiting for the refusal"):
            expect(stack.wait() == "DELETE_FAILED", f"the delete of {cause} was not refused")
        events = stack.events(since=before + 1)
        stack.show(events)
        reason: str = next(each["ResourceStatusReason"] for each in events if each["ResourceStatus"] == "DELETE_FAILED")
        return reason

    def count_images(self, repository: str) -> int:
        """How many images of any status it holds; 0 if it is gone."""
        found = self.box.control.repository(repository)
        return int(found["images"]) if found else 0

    def calls_since(self, before: CallCounts) -> CallCounts:
        now = self.box.control.calls()
        return {name: count - before.get(name, 0) for name, count in now.items() if count > before.get(name, 0)}
