"""The commands of ``corr2d``, each in a file of its own; `corr2d.cli` is their door."""
