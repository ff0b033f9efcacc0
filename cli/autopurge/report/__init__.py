"""``autopurge report``: what deletes removed, from the purge reports in a bucket or in a folder."""
