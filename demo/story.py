"""The two halves of the demo: with our type, and as the tutorials do it."""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING

from rich.table import Table

from demo.push import Registry, push_again, push_builds, push_many
from demo.shell import Shell, expect
from demo.stacks import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_cloudformation import CloudFormationClient

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
REGION = "us-east-1"
REPORTS = "purge-reports"
IN_BULK = 2_500
ARCHIVED = 3
PAGE = 100  # images on a page of ListImages, where the caller asks for no other number

CallCounts = dict[str, int]


class Story:
    """What both halves share: where commands run, and how the sandbox is asked what happened."""

    def __init__(
        self,
        shell: Shell,
        cloudformation: CloudFormationClient,
        registry_host: str,
        count_calls: Callable[[], CallCounts],
    ) -> None:
        """`count_calls` returns the number of ECR calls so far, by the name of the operation."""
        self.shell = shell
        self.cloudformation = cloudformation
        self.registry_host = registry_host
        self.count_calls = count_calls

    def tell(self) -> None:
        self.submit()
        self.ask_for_reports()
        images = self.with_our_type("team/app")
        self.as_in_tutorials("team/tutorial-app")
        self.show_report("team/app", images)
        self.while_a_function_uses_an_image("team/running")

    def submit(self) -> None:
        self.shell.heading("1. Register the type, by the unmodified CloudFormation CLI")
        self.shell.run("cfn", "submit", "--set-default", "--region", REGION)
        command = ("aws", "cloudformation", "describe-type", "--type", "RESOURCE", "--type-name", TYPE_NAME)
        said = self.shell.run(*command, "--query", "[TypeName,DefaultVersionId,ProvisioningType]", "--output", "json")
        expect(json.loads(said)[0] == TYPE_NAME, "the type is not registered")

    def ask_for_reports(self) -> None:
        self.shell.say("An administrator wants to know of every image that is deleted in this account:")
        self.shell.run("aws", "s3", "mb", f"s3://{REPORTS}")
        wanted = json.dumps({"PurgeReport": {"BucketName": REPORTS}})
        command = ("aws", "cloudformation", "set-type-configuration", "--type", "RESOURCE", "--type-name", TYPE_NAME)
        self.shell.run(*command, "--configuration-alias", "default", "--configuration", wanted, show_output=False)

    def with_our_type(self, repository: str) -> int:
        """Returns how many images were deleted."""
        self.shell.heading("2. Create a stack with a repository, and push images")
        stack = Stack.create(self.shell, self.cloudformation, "app", "examples/repository.yaml", repository)
        outputs = stack.outputs()
        expect(outputs["Name"] == repository, f"Ref is {outputs['Name']}, not {repository}")
        expect(outputs["Arn"].endswith(f":repository/{repository}"), f"Arn is {outputs['Arn']}")
        expect(outputs["Uri"].endswith(f"/{repository}"), f"RepositoryUri is {outputs['Uri']}")
        expect(outputs["RegistryId"] == outputs["Arn"].split(":")[4], f"RegistryId is {outputs['RegistryId']}")
        images = self.fill(repository)
        self.refused(stack, repository)

        self.shell.heading("4. Delete the stack")
        before, events = self.count_calls(), stack.event_count()
        status = stack.delete(watch=repository)
        stack.show_events(since=events)
        expect(status == "DELETE_COMPLETE", f"the stack is {status}")
        calls = self.calls_since(before)
        self.show_calls(calls)
        expect(not self.repository_exists(repository), "the repository is still there")
        deleting = calls.get("BatchDeleteImage", 0)
        self.shell.say(
            f"[green]All {images:,} images and the repository are gone[/green], "
            f"in {sum(calls.values())} ECR calls, those of watch included, of which {deleting} deleted images; without "
            "force."
        )
        return images

    def refused(self, stack: Stack, repository: str) -> None:
        """An operator protects some images; the delete refuses, and says how to allow it."""
        self.shell.heading("3. Protect the releases, and try to delete the stack")
        images, events = self.count_images(repository), stack.event_count()
        self.shell.run("autopurge", "lock", repository, "--pattern", "1.*", "--yes")
        self.wait_until_shown()
        self.shell.say("What would a delete of the stack do now? Exit code 3: it would be refused.")
        planned = self.shell.run("autopurge", "plan", "--stack", stack.name, code=3)
        expect(f"{repository}: refuse" in planned, f"the plan does not say that the delete is refused: {planned}")
        expect(stack.delete() == "DELETE_FAILED", "the delete of protected images was not refused")
        shown = stack.show_events(since=events + 1)
        message = next(each["ResourceStatusReason"] for each in shown if each["ResourceStatus"] == "DELETE_FAILED")
        expect("tag pattern 1.*" in message, f"the refusal does not name the rule: {message}")
        expect(self.count_images(repository) == images, "an image was deleted though one is protected")
        self.shell.say("[green]Refused before the first image was touched.[/green] The message names the command:")
        command = message[message.index("aws ecr tag-resource") :].partition('" (RequestToken')[0]
        self.shell.run(*shlex.split(command))
        self.wait_until_shown()
        planned = self.shell.run("autopurge", "plan", "--stack", stack.name)
        expect(f"{repository}: purge" in planned, f"the plan does not say that the delete purges: {planned}")

    @staticmethod
    def wait_until_shown() -> None:
        """Wait until ECR shows what was just done, where the demo runs on one that is late (make demo LATE=2)."""
        time.sleep(float(os.environ.get("LATE") or 0))

    def as_in_tutorials(self, repository: str) -> None:
        self.shell.heading("5. The same images, with AWS::ECR::Repository and the custom resource of the tutorials")
        stack = Stack.create(self.shell, self.cloudformation, "tutorial", "demo/tutorial.yaml", repository)
        images = self.fill(repository)

        self.shell.heading("6. Delete that stack")
        events, before = stack.event_count(), self.count_calls()
        status = stack.delete()
        stack.show_events(since=events)
        self.show_calls(self.calls_since(before))
        expect(status == "DELETE_FAILED", f"the stack of the tutorial is {status}; it should have failed")
        self.wait_until_shown()
        left = self.count_images(repository)
        expect(0 < left < images, f"{left} of {images} images are left")
        self.explain(images, left)
        self.clean_up(stack, repository)

    def show_report(self, repository: str, images: int) -> None:
        self.shell.heading(f"7. Which images of {repository} were deleted? The report knows")
        listed = self.shell.run("aws", "s3", "ls", "--recursive", f"s3://{REPORTS}/{repository}/")
        keys = [line.split()[-1] for line in listed.splitlines()]
        ends = {kind: [key for key in keys if key.endswith(kind)] for kind in ("/summary.json", ".results.jsonl.gz")}
        expect(len(ends["/summary.json"]) == 1, f"there is not one summary among {keys}")
        path = f"s3://{REPORTS}/{ends['/summary.json'][0]}"
        summary = json.loads(self.shell.run("aws", "s3", "cp", path, "-", show_output=False))
        expect(
            summary["images"]["confirmed"] == images, f"the report confirms {summary['images']}, not {images} images"
        )
        table = Table(box=None, header_style="bold")
        for column, justify in (("Tags", "left"), ("Digest", "left"), ("Bytes", "right"), ("Deleted", "left")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        command = (
            f'aws s3 cp s3://{REPORTS}/{ends[".results.jsonl.gz"][0]} - | gunzip | grep -F \'"tags":["\' | head -n 5'
        )
        for line in self.shell.run("bash", "-c", command, show_output=False).splitlines():
            record = json.loads(line)
            size, tags = f"{record['sizeInBytes']:,}", ", ".join(record["tags"]) or "none"
            table.add_row(tags, record["digest"][:19], size, f"{record['deletedAt']} {record['outcome']}")
        self.shell.console.print(table)
        counts = summary["images"]
        self.shell.say(
            f"… and so on: {counts['deleted']:,} images of {summary['bytes']:,} bytes, {counts['confirmed']:,} of them "
            f"confirmed by ECR, {summary['archived']['images']} archived. The report is [bold]{path}[/bold]"
        )

    def while_a_function_uses_an_image(self, repository: str) -> None:
        """A function runs an image whose tag has moved since; the delete finds it, and refuses."""
        self.shell.heading("8. A function uses an image: its repository stays")
        stack = Stack.create(self.shell, self.cloudformation, "running", "examples/repository.yaml", repository)
        outputs = stack.outputs()
        images = push_builds(self.shell, Registry(self.registry_host, repository))
        self.shell.run(
            *("aws", "lambda", "create-function", "--function-name", "checkout", "--package-type", "Image"),
            *(
                "--code",
                f"ImageUri={outputs['Uri']}:1.2",
                "--role",
                f"arn:aws:iam::{outputs['RegistryId']}:role/checkout",
            ),
            show_output=False,
        )
        self.shell.say("The next build takes over the tag 1.2. The function still runs the image that had it before.")
        push_again(self.shell, Registry(self.registry_host, repository), "1.2")
        tag = "Key=awstut:protect-in-use,Value=lambda"  # in a template: PurgeProtection: {InUseBy: [LAMBDA]}
        self.shell.run("aws", "ecr", "tag-resource", "--resource-arn", outputs["Arn"], "--tags", tag)
        self.wait_until_shown()
        events = stack.event_count()
        expect(stack.delete() == "DELETE_FAILED", "the delete of an image in use was not refused")
        shown = stack.show_events(since=events + 1)
        message = next(each["ResourceStatusReason"] for each in shown if each["ResourceStatus"] == "DELETE_FAILED")
        expect("by the Lambda function checkout" in message, f"the refusal does not name the function: {message}")
        expect(self.count_images(repository) > images, "an image was deleted though a function uses one")
        self.shell.say("[green]Refused: the message names the function.[/green] Once it is gone, the delete succeeds:")
        self.shell.run("aws", "lambda", "delete-function", "--function-name", "checkout")
        status = stack.delete()
        expect(status == "DELETE_COMPLETE", f"the stack is {status} although nothing uses an image")
        expect(not self.repository_exists(repository), "the repository is still there")

    def fill(self, repository: str) -> int:
        """Push images of each kind to `repository` and return how many it then holds."""
        registry = Registry(self.registry_host, repository)
        expected = push_builds(self.shell, registry) + IN_BULK
        tags = push_many(self.shell, registry, IN_BULK)
        for tag in tags[:ARCHIVED]:
            self.shell.run(
                *("aws", "ecr", "update-image-storage-class", "--repository-name", repository),
                *("--image-id", f"imageTag={tag}", "--target-storage-class", "ARCHIVE"),
                show_output=False,
            )
        held = self.count_images(repository)
        expect(held == expected, f"the repository holds {held} images, not {expected}")
        self.shell.say(
            f"{repository} holds {held:,} images: tagged, untagged, multi-architecture, and {ARCHIVED} archived."
        )
        return held

    def count_images(self, repository: str) -> int:
        command = ("aws", "ecr", "describe-images", "--repository-name", repository, "--filter", "imageStatus=ANY")
        return int(self.shell.run(*command, "--query", "length(imageDetails)", "--output", "json"))

    def repository_exists(self, repository: str) -> bool:
        said = self.shell.run("aws", "ecr", "describe-repositories", "--query", "repositories[].repositoryName")
        return repository in json.loads(said)

    def calls_since(self, before: CallCounts) -> CallCounts:
        now = self.count_calls()
        return {name: count - before.get(name, 0) for name, count in now.items() if count > before.get(name, 0)}

    def show_calls(self, calls: CallCounts) -> None:
        table = Table(box=None, header_style="bold")
        table.add_column("ECR calls during the delete")
        table.add_column("Number", justify="right")
        for name, count in sorted(calls.items()):
            table.add_row(name, str(count))
        self.shell.console.print(table)

    def explain(self, images: int, left: int) -> None:
        self.shell.say(
            f"[red]The stack cannot be deleted: {left:,} of {images:,} images are left.[/red] The custom resource "
            f"listed one page of {PAGE}, deleted that batch, and reported success. It never saw the next pages, nor "
            "the archived images, which are not in the list; and it never looked at the answer, in which ECR names the "
            "images that it refused to delete because an index still references them."
        )

    def clean_up(self, stack: Stack, repository: str) -> None:
        self.shell.say("What is left to do by hand:")
        command = ("aws", "ecr", "delete-repository", "--repository-name", repository, "--force")
        self.shell.run(*command, show_output=False)
        status = stack.delete()
        expect(status == "DELETE_COMPLETE", f"the stack of the tutorial is {status} after the clean-up")
        self.shell.say("The stack of the tutorial is deleted now.")
