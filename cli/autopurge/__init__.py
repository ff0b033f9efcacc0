"""The command line for those who run Awstut::ECR::AutoPurgeRepository. It is not in the package that goes to Lambda."""
