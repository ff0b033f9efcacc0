"""The type itself, used on real stacks: the same steps as in the sandbox, and where they end otherwise."""
