import { CfnDeletionPolicy, CfnResource, aws_ecr, aws_s3 } from "aws-cdk-lib";
import { Construct } from "constructs";

export const TYPE_NAME = "Awstut::ECR::AutoPurgeRepository";

/** A delete fails if an image has a tag that matches, was pulled or pushed in the last so many days, or is in use. */
export interface PurgeProtection {
  readonly tagPatterns?: string[];
  readonly pulledWithinDays?: number;
  readonly pushedWithinDays?: number;
  readonly inUseBy?: ("LAMBDA" | "ECS" | "INSPECTOR")[];
}

/** Where to write what a delete removed. */
export interface PurgeReport {
  readonly bucket: aws_s3.IBucket;
  readonly prefix?: string;
  /** The account that owns the bucket; by default the stack's own. */
  readonly bucketOwner?: string;
}

export interface AutoPurgeRepositoryProps extends Omit<aws_ecr.RepositoryProps, "autoDeleteImages"> {
  readonly deletionProtection?: boolean;
  readonly purgeProtection?: PurgeProtection;
  readonly purgeReport?: PurgeReport;
  readonly freezeOnDelete?: boolean;
  readonly allowReplicatedDeletes?: boolean;
}

/**
 * An aws_ecr.Repository that is deleted with its stack although it holds images.
 *
 * It takes everything that aws_ecr.Repository takes, and is an IRepository: grants, repositoryUri, lifecycle rules as
 * objects, events, and the static from* methods, which give repositories that are there already.
 *
 * What is different from aws_ecr.Repository:
 *
 * - autoDeleteImages is left out: it adds a function and a custom resource, of which there is no need.
 * - emptyOnDelete is true unless it is set to false. As ever in CDK, removalPolicy decides whether the repository is
 *   deleted at all, and its default is RETAIN.
 * - A repository that is replaced (another name, another key) is kept, also with RemovalPolicy.DESTROY.
 * - To CDK's own eyes (aspects, CfnRepository in node.defaultChild) it is an AWS::ECR::Repository.
 */
export class AutoPurgeRepository extends aws_ecr.Repository {
  constructor(scope: Construct, id: string, props: AutoPurgeRepositoryProps = {}) {
    const { deletionProtection, purgeProtection, purgeReport, freezeOnDelete, allowReplicatedDeletes, ...repository } =
      props;
    super(scope, id, repository);
    const resource = this.node.defaultChild as CfnResource;
    resource.addOverride("Type", TYPE_NAME);
    resource.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
    const ours = {
      DeletionProtection: deletionProtection,
      FreezeOnDelete: freezeOnDelete,
      AllowReplicatedDeletes: allowReplicatedDeletes,
      PurgeProtection: purgeProtection && {
        TagPatterns: purgeProtection.tagPatterns,
        PulledWithinDays: purgeProtection.pulledWithinDays,
        PushedWithinDays: purgeProtection.pushedWithinDays,
        InUseBy: purgeProtection.inUseBy,
      },
      PurgeReport: purgeReport && {
        BucketName: purgeReport.bucket.bucketName,
        Prefix: purgeReport.prefix,
        BucketOwner: purgeReport.bucketOwner,
      },
    };
    for (const [name, value] of Object.entries(ours)) {
      if (value !== undefined) resource.addPropertyOverride(name, value);
    }
  }
}
