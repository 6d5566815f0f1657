"""The parts of `corr2d.learning`: moments, solving, support, tests of the model, certificate, curves."""
