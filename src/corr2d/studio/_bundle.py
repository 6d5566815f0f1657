"""The page's modules as one, for a notebook, which loads a single module and knows no folder.

Nothing is rewritten but where a module finds the others: each becomes a blob, in
an order in which every module comes after those that it imports.
"""

import json
import re
from importlib import resources

__all__ = ["bundle", "style"]

_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "\./([\w-]+\.mjs)";', re.MULTILINE)
_ENTRY, _WORKER = "widget.mjs", "worker.mjs"

_LOADER = """\
const sources = %s;
const urls = {};
for (const [name, source] of Object.entries(sources)) {
  const linked = source.replaceAll(/from "\\.\\/([\\w-]+\\.mjs)"/g, (_, other) => `from "${urls[other]}"`);
  urls[name] = URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
}
const { widget } = await import(urls["%s"]);
export default widget(urls["%s"]);
"""


def bundle() -> str:
    """One ES module in the AnyWidget form: ``export default { render }``."""
    folder = resources.files("corr2d.studio") / "static"
    ordered: dict[str, str] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        source = (folder / name).read_text("utf-8")
        for other in _IMPORT.findall(source):
            add(other)
        ordered[name] = source

    add(_WORKER)
    add(_ENTRY)
    return _LOADER % (json.dumps(ordered), _ENTRY, _WORKER)


def style() -> str:
    """The page's style sheet; every rule in it begins with the studio's own class."""
    return (resources.files("corr2d.studio") / "static" / "studio.css").read_text("utf-8")
