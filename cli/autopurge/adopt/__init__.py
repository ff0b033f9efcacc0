"""`autopurge adopt`: brings repositories of AWS::ECR::Repository under Awstut::ECR::AutoPurgeRepository."""
