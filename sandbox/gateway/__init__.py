"""The sandbox's server: ministack, with our own ECR, registry, driver and Cloud Control in it."""
