"""What the pages of runs, comparisons and searches are made with: one stylesheet, one frame, charts and small images.

It stands on nothing of the kit but its configuration, so that diagnostics and tuning may both use it.
"""
