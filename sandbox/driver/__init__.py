"""Calls the handlers of a registered type as CloudFormation does."""
