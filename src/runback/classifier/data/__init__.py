"""Images and labels: one module per source, the splits, the cache on disk, the content hash."""
