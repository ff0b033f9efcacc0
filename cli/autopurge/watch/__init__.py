"""``autopurge watch``: a bar for each repository that is being deleted."""
