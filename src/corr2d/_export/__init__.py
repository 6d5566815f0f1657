"""Writers of `corr2d.export`, one file for each family of targets."""
