# The type through Cloud Control, with the provider that most configurations have already.
# It has to be registered in the account and Region first (examples/register.yaml, or `cfn submit`).

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

variable "repository_name" {
  type    = string
  default = "terraform/app"
}

resource "aws_cloudcontrolapi_resource" "repository" {
  type_name = "Awstut::ECR::AutoPurgeRepository"

  desired_state = jsonencode({
    RepositoryName = var.repository_name
    ImageScanningConfiguration = {
      ScanOnPush = true
    }
    PurgeProtection = {
      TagPatterns = ["release-*"]
    }
    Tags = [
      { Key = "team", Value = "platform" }
    ]
  })
}

# `terraform destroy` sends the name alone. The rules hold all the same: they are stored on the repository.
# What purges and what does not: an image with a tag like release-1 stops the destroy before anything is deleted.

output "repository_uri" {
  value = jsondecode(aws_cloudcontrolapi_resource.repository.properties)["RepositoryUri"]
}
