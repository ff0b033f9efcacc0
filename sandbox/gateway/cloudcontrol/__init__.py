"""Cloud Control API for registered types: the same handlers, without a stack."""
