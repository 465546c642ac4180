"""Work that spreads over processes and machines: training in step with one another, scoring in shards."""
