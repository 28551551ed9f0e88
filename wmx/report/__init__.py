"""HTML pages: one file each, which loads nothing, runs nothing, and can be mailed and printed."""
