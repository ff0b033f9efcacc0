"""The dashboard and the alarm of the examples, and the lines and metrics that they show."""

from __future__ import annotations

import json
import re
from typing import Any

import cfn_flip

from awstut_ecr_autopurgerepository.deletion import metrics
from sandbox.server import Sandbox
from tests.stack.support import Template
from tests.support.project_copy import ROOT
from tests.support.stack import Stack

TEXT = (ROOT / "examples" / "monitoring.yaml").read_text(encoding="utf-8")
LOG_GROUP = "awstut-ecr-autopurgerepository-logs"


def lines(box: Sandbox, name: str) -> list[dict[str, Any]]:
    """What the handlers logged of one repository's purges, in the group that `cfn submit` registered."""
    client = box.client("logs")
    pages = client.get_paginator("describe_log_streams").paginate(logGroupName=LOG_GROUP)
    events = [
        event["message"]
        for page in pages
        for stream in page["logStreams"]
        for event in client.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"])["events"]
    ]
    found = [json.loads(message) for message in events if message.startswith("{")]
    return [line for line in found if line["Repository"] == name]


def test_the_monitoring_example_can_be_deployed(box: Sandbox, stack: Stack) -> None:
    box.client("logs").create_log_group(logGroupName="some-group")
    parameters = {"LogGroupName": "some-group", "Email": "ops@example.com"}
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    assert stack.create(TEXT, Parameters=given) == "CREATE_COMPLETE"
    body = box.client("cloudwatch").get_dashboard(DashboardName=stack.outputs["Dashboard"])["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 4
    assert stack.delete() == "DELETE_COMPLETE"


def test_the_monitoring_example_shows_metrics_that_the_handlers_make() -> None:
    template = cfn_flip.load(TEXT)[0]
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    made = metrics.log_line("app", metrics.Figures(), "FAILED", "no", 0)
    [directive] = json.loads(made)["_aws"]["CloudWatchMetrics"]
    shown = set(re.findall(r'MetricName=\\"(\w+)\\"', body))
    assert shown
    assert shown <= {metric["Name"] for metric in directive["Metrics"]}
    assert set(re.findall(r"\{([\w/]+),(\w+)\}", body)) == {(directive["Namespace"], directive["Dimensions"][0][0])}
    pattern = template["Resources"]["FailedDeletes"]["Properties"]["FilterPattern"]
    assert set(re.findall(r"\$\.(\w+)", pattern)) <= json.loads(made).keys()


def test_each_purge_logs_a_line_with_its_figures(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name, "DeletionProtection": True}))
    box.control.seed(repository_name, ("with_images", {"count": 120, "size": 1_000}))
    assert stack.delete() == "DELETE_FAILED"
    [refused] = lines(box, repository_name)
    assert refused["Status"] == "FAILED"
    assert "deletion protection is on" in refused["Message"]
    assert refused["ImagesDeleted"] == 0
    arn = box.client("ecr").describe_repositories(repositoryNames=[repository_name])["repositories"][0]["repositoryArn"]
    unlock = [{"Key": "awstut:deletion-protection", "Value": "off"}]
    box.client("ecr").tag_resource(resourceArn=arn, tags=unlock)
    assert stack.delete() == "DELETE_COMPLETE"
    done = lines(box, repository_name)[-1]
    assert (done["Status"], done["ImagesDeleted"], done["BytesDeleted"]) == ("SUCCESS", 120, 120_000)
