"""``autopurge check``: finds in a template what CloudFormation, or the handlers, would only say in a deployment."""
