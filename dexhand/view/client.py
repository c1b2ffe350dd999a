"""The page that browsers load: viser's client, with this project's mouse and keys, and words for the end of a run."""

from functools import cache
from html import escape
from pathlib import Path

import viser

_TITLE = "<title>Viser</title>"

_STYLE = """<style>
.dx { font-size: 12px; line-height: 1.55; padding: 2px 10px 6px; overflow-wrap: anywhere; }
.dx .big { font-size: 15px; font-weight: 600; } .dx .dim, .dx th { opacity: .65; } .dx tr.dim { font-size: 11px; }
.dx.bad { color: #e03131; }
.dx table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.dx td, .dx th { padding: 1px 0 1px 8px; text-align: right; font-weight: 400; }
.dx td + td, .dx th { white-space: nowrap; }
.dx td:first-child, .dx th:first-child { text-align: left; padding-left: 0; }
.dx .bar { position: relative; min-width: 84px; width: 84px; }
.dx .bar i { position: absolute; top: 6px; height: 8px; border-radius: 2px; }
/* on phones the panel is as wide as the page, and the picture ends where it begins */
@media (max-width: 36em) {
  [style*="fixed"][style*="width: 20em"], [style*="fixed"] [style*="width: 20em"] { width: 100% !important; }
  [style*="fixed"][style*="width: 20em"] { position: static !important; flex: none; }
  div:has(> [style*="width: 20em"][style*="fixed"]) { flex-direction: column; }
}
</style>"""
"""Of the HTML that panels add, and of the panel itself."""

_SCRIPT = """<script>
(() => {
  const override = (event, name, value) => Object.defineProperty(event, name, { value });
  const onCanvas = (event) => event.target instanceof HTMLCanvasElement;

  // the middle button moves the camera sideways, which viser leaves to the right one
  for (const type of ["pointerdown", "pointermove", "pointerup"])
    window.addEventListener(type, (event) => {
      if (event.pointerType !== "mouse") return;
      if (event.buttons & 4) override(event, "buttons", (event.buttons & ~4) | 2);
      if (event.button === 1 && onCanvas(event)) override(event, "button", 2);
    }, true);
  window.addEventListener("mousedown", (event) => {
    if (event.button === 1 && onCanvas(event)) event.preventDefault();  // no scrolling by itself
  }, true);

  // Q is up and E is down; in viser it is the other way round
  const exchanged = { KeyQ: "KeyE", KeyE: "KeyQ" };
  for (const type of ["keydown", "keyup"])
    window.addEventListener(type, (event) => {
      if (event.code in exchanged) override(event, "code", exchanged[event.code]);
    }, true);

  // the thread that talks with the run tells how the connection is
  const note = document.createElement("div");
  note.id = "dexhand-end";
  note.hidden = true;
  note.style.cssText = "position:fixed;left:0;right:0;top:0;z-index:1000;padding:10px 14px;text-align:center;" +
    "font:600 15px system-ui,sans-serif;color:#fff;background:#c92a2a;";
  window.addEventListener("DOMContentLoaded", () => document.body.append(note));
  window.Worker = class extends Worker {
    constructor(...settings) {
      super(...settings);
      this.addEventListener("message", ({ data }) => {
        if (data.type === "connected") note.hidden = true;
        if (data.type !== "closed" || note.hasAttribute("data-ended")) return;
        const hasEnded = / has ended$/.test(data.closeReason);
        note.toggleAttribute("data-ended", hasEnded);
        note.textContent = hasEnded ? data.closeReason + "." : "The connection is lost. Trying again ...";
        note.hidden = false;
      });
    }
  };
})();
</script>"""


@cache
def _client() -> str:
    return (Path(viser.__file__).parent / "client" / "build" / "index.html").read_text(encoding="utf-8")


def client_page(title: str) -> bytes:
    """Return the page, with a title for its tab."""
    return customised(_client(), title)


def customised(page: str, title: str) -> bytes:
    """Give a page of viser's a title, and the mouse and keys that ``docs/watching.md`` lists."""
    assert _TITLE in page
    return page.replace(_TITLE, f"<title>{escape(title)}</title>{_STYLE}{_SCRIPT}", 1).encode()
