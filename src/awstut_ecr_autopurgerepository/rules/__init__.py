"""The rules of this resource type: what they are, where they are kept, what they say. Pure; imports nothing of ours."""
