"""A pipeline's repository: `cdk deploy`, or `python app.py` to write its template to cdk.out."""

from __future__ import annotations

import os

from auto_purge_repository import AutoPurgeRepository, PurgeProtection, PurgeReport
from aws_cdk import App, CfnOutput, DefaultStackSynthesizer, Duration, RemovalPolicy, Stack, aws_ecr, aws_iam, aws_s3
from constructs import Construct


class Pipeline(Stack):
    def __init__(self, scope: Construct, id: str) -> None:  # noqa: A002
        super().__init__(scope, id, synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False))
        reports = aws_s3.Bucket(self, "Reports", removal_policy=RemovalPolicy.RETAIN)
        repository = AutoPurgeRepository(
            self,
            "Repository",
            repository_name="cdk/app",
            removal_policy=RemovalPolicy.DESTROY,
            image_scan_on_push=True,
            image_tag_mutability=aws_ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,
            image_tag_mutability_exclusion_filters=[aws_ecr.ImageTagMutabilityExclusionFilter.wildcard("branch-*")],
            lifecycle_rules=[
                aws_ecr.LifecycleRule(
                    description="Untagged images expire after two weeks",
                    tag_status=aws_ecr.TagStatus.UNTAGGED,
                    max_image_age=Duration.days(14),
                )
            ],
            purge_protection=PurgeProtection(tag_patterns=["release-*"], pulled_within_days=14),
            purge_report=PurgeReport(bucket=reports, prefix="purged"),
            freeze_on_delete=True,
        )
        build = aws_iam.Role(self, "Build", assumed_by=aws_iam.ServicePrincipal("codebuild.amazonaws.com"))
        repository.grant_pull_push(build)
        repository.grant_pull(aws_iam.ServicePrincipal("lambda.amazonaws.com"))
        CfnOutput(self, "Name", value=repository.repository_name)
        CfnOutput(self, "Uri", value=repository.repository_uri)


if __name__ == "__main__":
    app = App(outdir=os.environ.get("CDK_OUTDIR", "cdk.out"))  # the cdk command sets CDK_OUTDIR
    Pipeline(app, "Pipeline")
    app.synth()
