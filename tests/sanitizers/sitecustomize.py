"""Found first by a watched interpreter: an editable install's finder would prefer the ordinary build."""

import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "ScikitBuildRedirectingFinder"]
