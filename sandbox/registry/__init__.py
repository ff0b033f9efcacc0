"""CloudFormation's registry: types that are registered from an uploaded package."""
