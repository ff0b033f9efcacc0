"""Repositories of AWS::ECR::Repository come under this type by `autopurge adopt`, and nothing of them is lost."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox
from tests.stack.adopt_support import (
    COUNTED,
    NATIVE,
    Adopt,
    Killed,
    Moment,
    add_contents,
    calls_beyond_waiting,
    contents,
    mark_of,
)
from tests.stack.support import blocks
from tests.support.project_copy import TYPE_NAME
from tests.support.stack import Stack, unique_name

Json = dict[str, Any]

EMPTYING = """
import json, urllib.request, boto3
ecr = boto3.client("ecr")
def handler(event, context):
    if event["RequestType"] == "Delete":
        name = event["ResourceProperties"]["RepositoryName"]
        images = ecr.list_images(repositoryName=name)["imageIds"]
        ecr.batch_delete_image(repositoryName=name, imageIds=images)
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "emptying"}
    data = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, {"Content-Type": ""}, method="PUT"))
"""

SHOP = """\
# The shop's images
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  # Built on each commit
  App:   # by the pipeline
    Type: AWS::ECR::Repository
    DeletionPolicy: Delete
    Properties:
      RepositoryName: !Sub "${Stage}/NAME"   # one a stage
      Tags:
        - {Key: team, Value: shop}
  Web:
    Type: AWS::ECR::Repository
    DependsOn: App
  # Empties App
  Empty:
    Type: Custom::Empty
    Properties:
      ServiceToken: !GetAtt Function.Arn
      RepositoryName: !Ref App
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Code:
        ZipFile: |
CODE
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: []}
  # Who pulls
  Where:
    Type: AWS::SSM::Parameter
    DependsOn: [App, Empty]
    Properties:
      Name: !Sub "/${AWS::StackName}/where"
      Type: String
      Value: !Sub "${App.RepositoryUri} ${Web}"   # both
Outputs:
  Uri:
    Value: !GetAtt App.RepositoryUri
    Export: {Name: !Sub "${AWS::StackName}-uri"}
  Web: {Value: !Ref Web}
"""


@pytest.fixture
def adopt(box: Sandbox, tmp_path: Path) -> Adopt:
    # An import or update must not fail because this machine is slow: that fails the command, too.
    box.control.settings(call_seconds=300, read_seconds=300)
    return Adopt(box, tmp_path)


def shop(name: str) -> str:
    code = "\n".join(f"          {line}" for line in EMPTYING.strip().splitlines())
    return SHOP.replace("CODE", code).replace("NAME", name)


def plain(*names: str, **properties: Any) -> Json:
    """A stack of repositories, and a topic that refers to the first."""
    resources: Json = {
        f"App{number}": {"Type": NATIVE, "Properties": {"RepositoryName": name, **properties}}
        for number, name in enumerate(names)
    }
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "of ${App0}"}}}
    return {"Resources": {**resources, "Topic": topic}}


def template_of(stack: Stack) -> Any:
    return stack.client.get_template(StackName=stack.stack_id, TemplateStage="Original")["TemplateBody"]


def deleted(box: Sandbox, *names: str) -> list[Json]:
    return [each for each in box.control.deletions() if each["repository"] in names]


def test_a_stack_is_adopted_although_the_command_is_killed_after_each_step(
    box: Sandbox, make_stack: Callable[[], Stack], adopt: Adopt
) -> None:
    stack, importer = make_stack(), make_stack()
    name = unique_name("app")
    before_text = shop(name)
    assert stack.create(before_text, tags={"cost": "42"}) == "CREATE_COMPLETE"
    imported = {"Fn::ImportValue": f"{stack.name}-uri"}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": imported}}
    assert importer.create({"Resources": {"Topic": topic}}) == "CREATE_COMPLETE"
    outputs, web, app = stack.outputs, stack.outputs["Web"], f"dev/{name}"
    before = {each: add_contents(box, each) for each in (app, web)}
    assert adopt.until_killed(1, stack.name, calls=frozenset({"create_change_set"}))
    kills = 0
    while adopt.until_killed(1, stack.name):
        kills += 1
        stack.wait()
        assert stack.outputs == outputs
        assert {each: contents(box, each) for each in (app, web)} == before
    assert kills == 5
    assert {each: contents(box, each) for each in (app, web)} == before
    assert deleted(box, app, web) == []
    assert (mark_of(box, app), mark_of(box, web)) == ("on", "off")
    assert stack.outputs == outputs
    after = template_of(stack)
    gone = before_text.index("  Empty:"), before_text.index("  Function:")
    expected = before_text[: gone[0]] + before_text[gone[1] :]
    changed = ["    Type: AWS::ECR::Repository", "    DeletionPolicy: Delete", "    DependsOn: [App, Empty]"]
    remaining = iter(after.splitlines())
    assert all(line in remaining for line in expected.splitlines() if line not in changed)  # all others, in order
    assert "    DependsOn: [App]" in after.splitlines()
    # Rule 2: a pipeline that still deploys the old template is refused, and purges nothing.
    with pytest.raises(ClientError, match="Update of resource type is not permitted"):
        stack.update(before_text)
    assert {each: contents(box, each) for each in (app, web)} == before
    finish(box, stack, adopt, before)


def finish(box: Sandbox, stack: Stack, adopt: Adopt, before: Json) -> None:
    """Run --finish: it removes the function and its role, and restores the policies. There is no way back then."""
    planned = adopt(stack.name, "--finish")
    assert "-    DeletionPolicy: Retain" in planned.output
    assert planned.output.endswith("Nothing was changed. Add --yes to do it.\n")
    assert adopt(stack.name, "--finish", "--yes").exit_code == 0
    after = template_of(stack)
    assert "Function:" not in after
    assert "Role:" not in after
    assert "AutopurgeAdopt" not in after
    assert "    DeletionPolicy: Delete" in after.splitlines()
    assert {each: contents(box, each) for each in before} == before
    undone = adopt(stack.name, "--undo", "--yes")
    assert (undone.exit_code, "no way back" in undone.output) == (3, True)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_undo_leads_back_from_each_step(box: Sandbox, stack: Stack, adopt: Adopt, steps: int) -> None:
    """Killed after retain, after release, and after import; the way back is killed once, too."""
    box.control.settings(native_import_removes_policy=True)
    names = [unique_name("app"), unique_name("app")]
    text = json.dumps(plain(*names, EmptyOnDelete=True))
    assert stack.create(text) == "CREATE_COMPLETE"
    before = {each: add_contents(box, each, 20) for each in names}
    assert adopt.until_killed(steps, stack.name)
    stack.wait()
    adopt.until_killed(2, stack.name, "--undo")
    stack.wait()
    undone = adopt(stack.name, "--undo", "--yes")
    assert undone.exit_code in (0, 3), undone.output
    assert template_of(stack) == json.loads(text)
    assert {each: contents(box, each) for each in names} == before
    assert [mark_of(box, each) for each in names] == [None, None]
    assert deleted(box, *names) == []


def test_the_commands_of_the_guide(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    look, go, back, finish_it = [shlex.split(block) for block in blocks("adopt.md", "shell")]
    name = unique_name("app")
    old = plain(name)
    stack.create(old)
    before = add_contents(box, name, 20)

    def typed(command: list[str]) -> str:
        assert command[:2] == ["autopurge", "adopt"]
        result = adopt(*(stack.name if each == "my-stack" else each for each in command[2:]))
        assert result.exit_code == 0, result.output
        assert contents(box, name) == before
        return result.output

    assert "  step release: CreateChangeSet, GetTemplate, ExecuteChangeSet\n" in typed(look)
    assert f"{stack.name}: adopted\n" in typed(go)
    assert f"{stack.name}: undone\n" in typed(back)
    assert (template_of(stack), mark_of(box, name)) == (old, None)
    assert f"{stack.name}: adopted\n" in typed(go)
    assert f"{stack.name}: finished\n" in typed(finish_it)
    repository = template_of(stack)["Resources"]["App0"]
    assert repository == {"Type": TYPE_NAME, "Properties": {"RepositoryName": name, "EmptyOnDelete": False}}
    assert mark_of(box, name) == "off"


# At most 12 calls of CloudFormation for a stack, beyond waiting


CALLS = 11  # of a stack whose adoption is not interrupted


def test_an_adoption_without_interruption_takes_eleven_calls(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name, EmptyOnDelete=True))
    assert not adopt.until_killed(CALLS + 1, stack.name, calls=COUNTED)
    assert calls_beyond_waiting(adopt.calls, stack.stack_id) == CALLS


@pytest.mark.parametrize("moment", ["lost", "answered"])
@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_an_adoption_that_is_killed_at_any_call_takes_at_most_twelve(
    box: Sandbox, stack: Stack, adopt: Adopt, number: int, moment: Moment
) -> None:
    """Before the journal hears of the answer: these are the worst moments."""
    name = unique_name("app")
    stack.create(plain(name, EmptyOnDelete=True))
    before = add_contents(box, name, 20)
    assert adopt.until_killed(number, stack.name, calls=COUNTED, moment=moment)
    result = adopt(stack.name, "--yes")
    assert (result.exit_code, f"{stack.name}: adopted\n" in result.output) == (0, True), result.output
    assert calls_beyond_waiting(adopt.calls, stack.stack_id) <= CALLS + 1
    assert contents(box, name) == before
    assert (mark_of(box, name), deleted(box, name)) == ("on", [])


@pytest.mark.parametrize("moment", ["lost", "answered", "next"])
def test_a_kill_costs_at_most_one_call(box: Sandbox, stack: Stack, adopt: Adopt, moment: Moment) -> None:
    name = unique_name("app")
    stack.create(plain(name, EmptyOnDelete=True))
    before = add_contents(box, name, 20)
    kills = 0
    while adopt.until_killed(2, stack.name, calls=COUNTED, moment=moment):
        kills += 1
        assert kills < CALLS, "it makes no progress"
    assert kills > 3
    assert calls_beyond_waiting(adopt.calls, stack.stack_id) <= CALLS + kills
    assert contents(box, name) == before


# Rule 1: nothing is released before the processed template, read back, has a literal Retain


@pytest.mark.parametrize("moment", ["create_change_set", "get_template", "execute_change_set"])
def test_a_deployment_in_between_releases_nothing(box: Sandbox, stack: Stack, adopt: Adopt, moment: str) -> None:
    name = unique_name("app")
    old = plain(name, EmptyOnDelete=True)
    stack.create(old)
    before = add_contents(box, name, 20)
    done: list[str] = []

    def pipeline(call: str, _: Json) -> None:
        retained = "AutopurgeAdopt" in json.dumps(template_of(stack))
        if call == moment and retained and not done:
            done.append(stack.update(old))

    result = adopt(stack.name, "--yes", before=pipeline)
    assert done == ["UPDATE_COMPLETE"]
    assert result.exit_code == 1, result.output
    assert ("Nothing was released" in result.output) or ("can't be executed" in result.output)
    assert contents(box, name) == before
    assert template_of(stack) == old
    again = adopt(stack.name, "--yes")
    assert again.exit_code == 0, again.output
    assert contents(box, name) == before


@pytest.mark.parametrize(
    ("killed_at", "moment"),
    [
        ("create_change_set", "between the runs"),
        ("create_change_set", "get_template"),
        ("create_change_set", "execute_change_set"),
        ("execute_change_set", "between the runs"),
        ("execute_change_set", "execute_change_set"),
    ],
)
def test_a_change_set_that_a_killed_run_left_releases_nothing_after_a_deployment(
    box: Sandbox, stack: Stack, adopt: Adopt, killed_at: str, moment: str
) -> None:
    name = unique_name("app")
    old = plain(name, EmptyOnDelete=True)
    stack.create(old)
    before = add_contents(box, name, 20)
    lost: Moment = "lost" if killed_at == "execute_change_set" else "answered"
    assert adopt.until_killed(1, stack.name, calls=frozenset({killed_at}), moment=lost)
    done: list[str] = []

    def pipeline(call: str, _: Json) -> None:
        if call == moment and not done:
            done.append(stack.update(old))

    if moment == "between the runs":
        pipeline(moment, {})
        assert adopt.until_killed(1, stack.name, calls=frozenset({"update_stack"}), moment="next")  # retained again
        assert contents(box, name) == before
        assert NATIVE in json.dumps(template_of(stack))
    else:
        result = adopt(stack.name, "--yes", before=pipeline)
        assert result.exit_code == 1, result.output
        assert ("Nothing was released" in result.output) or ("can't be executed" in result.output)
        assert template_of(stack) == old
    assert done == ["UPDATE_COMPLETE"]
    assert adopt(stack.name, "--yes").exit_code == 0
    assert contents(box, name) == before


# Rule 3: the mark is off until the comparison holds, and what an import removed is put back


def test_the_mark_stays_off_while_an_image_is_missing(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name, EmptyOnDelete=True))
    add_contents(box, name, 20)
    client = box.client("ecr")
    lost = client.describe_images(repositoryName=name, filter={"tagStatus": "TAGGED"})["imageDetails"][-1]
    done: list[Json] = []

    def somebody(call: str, parameters: Json) -> None:
        if call == "tag_resource" and not done:
            done.append(client.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": lost["imageDigest"]}]))

    result = adopt(stack.name, "--yes", before=somebody)
    assert result.exit_code == 1
    assert "1 images are missing" in result.output
    assert mark_of(box, name) == "off"
    assert "IMPORT_COMPLETE" in stack.status


def test_what_an_import_removed_is_put_back_before_the_mark_is_on(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name, EmptyOnDelete=True))
    before = add_contents(box, name, 20)
    marks = []

    def importing(call: str, parameters: Json) -> None:
        if call == "execute_change_set" and mark_of(box, name) is not None:
            stack.wait()
            client = box.client("ecr")
            client.delete_repository_policy(repositoryName=name)
            client.delete_lifecycle_policy(repositoryName=name)
        if call == "set_repository_policy":
            marks.append(mark_of(box, name))

    result = adopt(stack.name, "--yes", after=importing)
    assert result.exit_code == 0, result.output
    assert marks == ["off"]
    assert contents(box, name) == before
    assert mark_of(box, name) == "on"


def test_the_policies_are_in_the_journal_before_the_first_step(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name))
    before = add_contents(box, name, 20)

    def kill(call: str, _: Json) -> None:
        if call == "update_stack":
            raise Killed

    with pytest.raises(Killed):
        adopt(stack.name, "--yes", before=kill)
    line = json.loads(adopt.journal.read_text().splitlines()[-1])
    assert line["record"] == "plan"
    assert json.loads(line["before"]["App0"]["policy"]) == before["policy"]
    assert line["plan"]["templates"]["before"] == json.dumps(template_of(stack), indent=2)


@pytest.mark.parametrize("previous", ["read", "nothing"])
def test_nothing_is_lost_whatever_an_import_sends_as_previous_state(
    box: Sandbox, stack: Stack, adopt: Adopt, previous: str
) -> None:
    name = unique_name("app")
    stack.create(plain(name))
    before = add_contents(box, name, 20)
    box.control.settings(import_previous=previous)
    assert adopt(stack.name, "--yes").exit_code == 0
    assert contents(box, name) == before


# Many stacks


def test_one_command_adopts_what_can_be_and_says_of_each_stack_how_it_went(
    box: Sandbox, make_stack: Callable[[], Stack], adopt: Adopt, tmp_path: Path
) -> None:
    team = {"team": unique_name("team")}
    good, refused, under, failing = make_stack(), make_stack(), make_stack(), make_stack()
    names = {each.name: [unique_name("app"), unique_name("app")] for each in (good, refused, failing)}
    for each in (good, refused, failing):
        each.create(plain(*names[each.name]), tags=team)
    under.create({"Resources": {"A": {"Type": TYPE_NAME, "Properties": {"RepositoryName": unique_name("new")}}}}, team)
    client = box.client("ecr")
    client.put_image_tag_mutability(repositoryName=names[refused.name][0], imageTagMutability="IMMUTABLE")
    refused.update(plain(*names[refused.name], ImageTagMutability="MUTABLE"), tags=team)
    client.put_image_tag_mutability(repositoryName=names[refused.name][0], imageTagMutability="IMMUTABLE")
    before = {each: add_contents(box, each, 20) for each in names[good.name]}
    everything = ("--all-stacks", "--tag", f"team={team['team']}")

    planned = {each["stack"]: each["status"] for each in adopt.json(*everything, code=3)}
    assert planned == {good.name: "planned", refused.name: "refused", under.name: "nothing", failing.name: "planned"}
    assert not adopt.journal.exists()
    assert template_of(good) == plain(*names[good.name])

    def pipeline(call: str, parameters: Json) -> None:
        if call == "execute_change_set" and failing.status == "UPDATE_COMPLETE":
            failing.update({**plain(*names[failing.name]), "Description": "newer"})

    adopt.calls.clear()
    result = adopt(*everything, "--yes", "--templates", str(tmp_path / "new"), before=pipeline)
    assert result.exit_code == 1
    assert f"{good.name}: adopted\n" in result.stdout
    assert f"{refused.name}: refused\n  drift: The live repository differs" in result.stdout
    assert "App0: ImageTagMutability" in result.stdout
    assert f"{failing.name}: failed\n  step: " in result.stdout
    assert failing.status == "UPDATE_COMPLETE"
    assert calls_beyond_waiting(adopt.calls, good.stack_id) <= 12
    assert {each: contents(box, each) for each in names[good.name]} == before
    assert [mark_of(box, each) for each in names[good.name]] == ["off", "off"]
    assert json.loads((tmp_path / "new" / f"{good.name}.json").read_text()) == template_of(good)

    adopt.calls.clear()
    [again] = adopt.json(good.name)
    assert (again["status"], calls_beyond_waiting(adopt.calls, good.stack_id)) == ("adopted", 0)


def test_a_refusal_is_checked_again_by_the_next_run(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name, ImageTagMutability="MUTABLE"))
    client = box.client("ecr")
    client.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    assert adopt.until_killed(1, stack.name, calls=frozenset({"detect_stack_drift"}), moment="next")
    assert "drift: The live repository differs" in adopt(stack.name, "--yes").output
    client.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    assert f"{stack.name}: adopted\n" in adopt(stack.name, "--yes").output


def test_a_stack_that_somebody_else_updated_meanwhile_is_left_alone(box: Sandbox, stack: Stack, adopt: Adopt) -> None:
    name = unique_name("app")
    stack.create(plain(name))
    before = add_contents(box, name, 20)
    assert adopt.until_killed(2, stack.name)
    stack.wait()
    stack.update({"Resources": {"Other": {"Type": "AWS::SNS::Topic"}}})
    assert "It was interrupted after the step retain: --yes goes on" in adopt(stack.name).output
    result = adopt(stack.name, "--yes")
    assert result.exit_code == 1
    assert "somebody else updated the stack. Its repositories are in no stack." in " ".join(result.output.split())
    assert contents(box, name) == before
