"""Figures: this type side by side with every other way to empty a repository. `make bench` runs it."""
