// A pipeline's repository: `cdk deploy`, or `npm run synth` to write its template to cdk.out.
import { App, CfnOutput, DefaultStackSynthesizer, Duration, RemovalPolicy, Stack, aws_ecr, aws_iam, aws_s3 } from "aws-cdk-lib";
import { Construct } from "constructs";
import { AutoPurgeRepository } from "auto-purge-repository";

class Pipeline extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id, { synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) });
    const reports = new aws_s3.Bucket(this, "Reports", { removalPolicy: RemovalPolicy.RETAIN });
    const repository = new AutoPurgeRepository(this, "Repository", {
      repositoryName: "cdk/app",
      removalPolicy: RemovalPolicy.DESTROY,
      imageScanOnPush: true,
      imageTagMutability: aws_ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,
      imageTagMutabilityExclusionFilters: [aws_ecr.ImageTagMutabilityExclusionFilter.wildcard("branch-*")],
      lifecycleRules: [
        {
          description: "Untagged images expire after two weeks",
          tagStatus: aws_ecr.TagStatus.UNTAGGED,
          maxImageAge: Duration.days(14),
        },
      ],
      purgeProtection: { tagPatterns: ["release-*"], pulledWithinDays: 14 },
      purgeReport: { bucket: reports, prefix: "purged" },
      freezeOnDelete: true,
    });
    const build = new aws_iam.Role(this, "Build", { assumedBy: new aws_iam.ServicePrincipal("codebuild.amazonaws.com") });
    repository.grantPullPush(build);
    repository.grantPull(new aws_iam.ServicePrincipal("lambda.amazonaws.com"));
    new CfnOutput(this, "Name", { value: repository.repositoryName });
    new CfnOutput(this, "Uri", { value: repository.repositoryUri });
  }
}

const app = new App();
new Pipeline(app, "Pipeline");
app.synth();
