"""Create, read, list and update of the repository itself. Its delete is in ``deletion``."""
