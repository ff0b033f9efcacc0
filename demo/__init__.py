"""The demo: what a user does with the type, from `cfn submit` to a deleted stack, against the sandbox."""
