"""Writing that leaves the old or the new behind, never a part: folders, files, and locks between processes."""
