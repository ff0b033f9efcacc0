"""The dashboard and the alarm of the examples, and the lines and metrics that they show."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import cfn_flip
import pytest
from botocore.exceptions import ClientError

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


def shown(box: Sandbox) -> dict[str, dict[str, list[float]]]:
    """What the dashboard's widgets show: the values of each line by its label, by the title of the widget."""
    client = box.client("cloudwatch")
    body = json.loads(client.get_dashboard(DashboardName="ecr-purges-us-east-1")["DashboardBody"])
    now = datetime.now(UTC)
    found = {}
    for widget in (each["properties"] for each in body["widgets"] if each["type"] == "metric"):
        queries: Any = [
            {"Id": metric["id"], "Expression": metric["expression"], "Label": metric["label"]}
            for [metric] in widget["metrics"]
        ]
        answer = client.get_metric_data(
            MetricDataQueries=queries, StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1)
        )
        found[widget["title"]] = {each["Label"]: each["Values"] for each in answer["MetricDataResults"]}
    return found


def test_the_dashboard_and_the_alarm_show_what_is_logged(box: Sandbox) -> None:
    logs, cloudwatch = box.client("logs"), box.client("cloudwatch")
    logs.create_log_group(logGroupName="seen")
    logs.create_log_stream(logGroupName="seen", logStreamName="stream")
    monitoring = Stack(box, logical_id="Alarm")
    given = [{"ParameterKey": "LogGroupName", "ParameterValue": "seen"}]
    assert monitoring.create(TEXT, Parameters=given) == "CREATE_COMPLETE"

    def state() -> str:
        [alarm] = [
            each for each in cloudwatch.describe_alarms()["MetricAlarms"] if each["MetricName"] == "FailedDeletes"
        ]
        return str(alarm["StateValue"])

    def purge(name: str, status: str, **figures: int) -> None:
        line = metrics.log_line(name, metrics.Figures(**figures), status, "text", time.time())
        event: Any = {"timestamp": int(time.time() * 1_000), "message": line}
        logs.put_log_events(logGroupName="seen", logStreamName="stream", logEvents=[event])

    purge("seen/app", "SUCCESS", images_deleted=120, bytes_deleted=9_000, throttled_calls=2)
    assert state() == "INSUFFICIENT_DATA"
    purge("seen/other", "FAILED", images_deleted=7, images_failed=3)
    assert state() == "ALARM"
    found = shown(box)
    deleted = {label: sum(values) for label, values in found["Images deleted"].items()}
    assert (deleted["seen/app"], deleted["seen/other"]) == (120, 7)
    refused = {label: sum(values) for label, values in found["Images that ECR refused, and throttled calls"].items()}
    assert refused.keys() == {"refused", "throttled"}
    assert refused["refused"] >= 3
    assert monitoring.delete() == "DELETE_COMPLETE"


def test_a_metric_filter_that_the_sandbox_does_not_know_is_refused(box: Sandbox) -> None:
    box.client("logs").create_log_group(logGroupName="terms")
    transformation: Any = [{"metricName": "Errors", "metricNamespace": "Space", "metricValue": "1"}]
    with pytest.raises(ClientError, match="filter patterns for JSON only"):
        box.client("logs").put_metric_filter(
            logGroupName="terms", filterName="errors", filterPattern="ERROR", metricTransformations=transformation
        )


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
    counted = box.client("cloudwatch").get_metric_statistics(
        Namespace=metrics.NAMESPACE,
        MetricName="ImagesDeleted",
        Dimensions=[{"Name": "Repository", "Value": repository_name}],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=3_600,
        Statistics=["Sum"],
    )
    assert sum(each["Sum"] for each in counted["Datapoints"]) == 120
    done = lines(box, repository_name)[-1]
    assert (done["Status"], done["ImagesDeleted"], done["BytesDeleted"]) == ("SUCCESS", 120, 120_000)
