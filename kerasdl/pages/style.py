"""The stylesheet of every page, and its colours: one set for light rooms, one for dark ones.

Text is written in the first six colours only, on `paper`, `card` or `soft`; these have a contrast of 4.5 and more.
https://www.w3.org/TR/WCAG22/#contrast-minimum
"""

from __future__ import annotations

LIGHT = {
    "ink": "#1d232d",
    "muted": "#555f6d",
    "train": "#1b5fc1",
    "validation": "#a84a08",
    "good": "#17692f",
    "bad": "#a3211a",
    "paper": "#f7f7f5",
    "card": "#ffffff",
    "soft": "#eef0f3",
    "line": "#d5d9e0",
    "third": "#0f7468",
    "marked": "#c2187a",
    "worse": "#d9772b",
}
DARK = {
    "ink": "#e6e9ee",
    "muted": "#a3acb9",
    "train": "#82b4ff",
    "validation": "#f0a46f",
    "good": "#74d38c",
    "bad": "#ff9a91",
    "paper": "#11151b",
    "card": "#181d25",
    "soft": "#212833",
    "line": "#353e4b",
    "third": "#5fd0bf",
    "marked": "#ff7cc4",
    "worse": "#dd8f4e",
}
TEXT, BEHIND = ("ink", "muted", "train", "validation", "good", "bad"), ("paper", "card", "soft")
# How much of its colour a cell of a table has at most, so that its number can be read on it.
DEEPEST = 34

_LAYOUT = """
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "Liberation Sans", sans-serif; overflow-wrap: break-word; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: 1rem; z-index: 2; padding: .5rem 1rem;
  background: var(--card); color: var(--ink); }
:focus-visible { outline: 2px solid var(--train); outline-offset: 2px; }
.page { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
header { margin-bottom: 1.5rem; } footer { margin-top: 3rem; color: var(--muted); font-size: .875rem; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; letter-spacing: -.01em; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.25rem); margin: 0 0 .35rem; font-weight: 650; letter-spacing: -.02em; }
h2 { font-size: 1.3rem; margin: 0 0 .35rem; font-weight: 650; } h3 { font-size: 1.05rem; margin: 1.5rem 0 .35rem; }
p { margin: .35rem 0; max-width: 68ch; } a { color: var(--train); }
.eyebrow { color: var(--muted); font-size: .875rem; letter-spacing: .02em; margin: 0 0 .25rem; }
.note, figcaption, caption { color: var(--muted); font-size: .875rem; }
.about { color: var(--muted); white-space: pre-line; margin: 0; max-width: 90ch; }
section { margin: 0 0 1.25rem; padding: 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; }
nav ol { list-style: none; margin: 0 0 1.5rem; padding: 0; display: flex; flex-wrap: wrap; gap: .35rem .5rem;
  font-size: .875rem; }
nav a { display: block; padding: .3rem .65rem; border: 1px solid var(--line); border-radius: 1rem; color: var(--ink);
  background: var(--card); text-decoration: none; } nav a:hover { border-color: var(--train); color: var(--train); }
@media (min-width: 68rem) {
  .columns { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); gap: 2rem; }
  nav { position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem); overflow-y: auto; }
  nav ol { flex-direction: column; gap: 0; border-left: 1px solid var(--line); }
  nav a { border: 0; border-radius: 0; background: none; padding: .3rem .9rem; color: var(--muted); }
}
main { min-width: 0; }
@media (max-width: 30rem) { .page { padding: 1rem .75rem 3rem; } section { padding: 1rem .9rem; } }
@media print { nav, .skip { display: none; } section { break-inside: avoid; } }
"""

_PARTS = """
.verdict { border-left: .4rem solid var(--bad); } .verdict.good { border-left-color: var(--good); }
.verdict > p { font-size: 1.0625rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1rem 0 0; }
.tiles div { background: var(--soft); border-radius: .5rem; padding: .6rem .85rem; display: flex;
  flex-direction: column-reverse; justify-content: flex-end; }
.tiles dd { margin: 0; font-size: 1.5rem; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.tiles dt { color: var(--muted); font-size: .8125rem; }
.finding { border: 1px solid var(--line); border-left: .25rem solid var(--bad); border-radius: .5rem;
  padding: .85rem 1rem; margin: .85rem 0 0; } .finding h3 { margin: 0; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem .5rem; margin: .6rem 0; }
.facts div { display: flex; gap: .5ch; background: var(--soft); border-radius: .35rem; padding: .1rem .55rem;
  font-size: .875rem; } .facts dt { color: var(--muted); }
.facts div, .facts dd { min-width: 0; max-width: 100%; overflow-wrap: anywhere; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; } .tiles dt, .tiles dd { overflow-wrap: anywhere; }
pre, code { font-family: ui-monospace, "Cascadia Code", "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .85em; }
code { overflow-wrap: anywhere; } pre { margin: .5rem 0; padding: .75rem .9rem; background: var(--soft);
  border-radius: .5rem; } pre code { overflow-wrap: normal; font-size: 1em; }
.finding > pre, pre.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; margin: .5rem 0;
  min-width: min(100%, 26rem); }
caption { text-align: left; padding-bottom: .4rem; }
caption span { display: inline-block; min-width: 9rem; position: sticky; left: 0;
  max-width: min(68ch, 100vw - 5rem); }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; } th[scope=row] { font-weight: 500; }
th:first-child, td:first-child, .text { text-align: left; } tbody tr:last-child > * { border-bottom: 0; }
table.confusion { min-width: 0; }
.confusion td { min-width: 2.4rem; text-align: center; border: 1px solid var(--card); background: color-mix(in srgb,
  var(--validation) var(--share, 0%), var(--soft)); } .confusion .zero { color: var(--muted); }
.confusion td.right { background: color-mix(in srgb, var(--train) var(--share, 0%), var(--soft)); }
.confusion th { border: 0; } .confusion thead th { text-align: center; }
.confusion thead span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--train); font-weight: 500; }
figure { margin: .75rem 0; min-width: 0; } figcaption { margin-top: .25rem; max-width: 75ch; }
figcaption strong { color: var(--ink); }
.pair { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: .5rem 1.5rem; }
.key { display: inline-block; width: 1.4em; height: 0; border-top: 3px solid var(--train); vertical-align: middle;
  margin: 0 .35em 0 0; } .key.validation { border-top: 3px dashed var(--validation); }
.key.k2 { border-top: 3px dotted var(--third); } .key.k3 { border-top: 3px double var(--marked); }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.25rem, 1fr)); gap: .6rem; padding: 0;
  margin: .75rem 0; list-style: none; }
.samples.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.samples li { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem; min-width: 0; }
.samples img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated;
  background: var(--soft); border-radius: .25rem; } .samples img.smooth { image-rendering: auto; }
.samples blockquote { margin: 0; font-size: .9rem; overflow-wrap: anywhere; white-space: pre-line; }
.samples dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .6ch; margin: .4rem 0 0; font-size: .8125rem; }
.samples dt { color: var(--muted); } .samples dd { margin: 0; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.plate { background: #fff; border-radius: .5rem; padding: .5rem; border: 1px solid var(--line); }
.plate svg { max-width: none; }
"""

_CHARTS = """
svg { display: block; } .chart { width: 100%; height: auto; } .chart text { fill: var(--ink); font-size: 12px; }
.chart .tick { fill: var(--muted); } .wide-chart { min-width: 34rem; }
.axis { stroke: var(--line); fill: none; stroke-width: 1.5; } .grid-line { stroke: var(--line); opacity: .5; }
.curve { fill: none; stroke-width: 2.25; stroke-linejoin: round; } .train { stroke: var(--train); }
.validation { stroke: var(--validation); stroke-dasharray: 7 3; } .k2 { stroke: var(--third); stroke-dasharray: 2 3; }
.k3 { stroke: var(--marked); stroke-dasharray: 8 3 2 3; }
circle.train { fill: var(--train); stroke: none; } circle.validation { fill: var(--validation); stroke: none; }
circle.k2 { fill: var(--third); stroke: none; } circle.k3 { fill: var(--marked); stroke: none; }
.best { stroke: var(--ink); stroke-dasharray: 2 3; } .seen, .truth, .naive { stroke: var(--ink); stroke-width: 1.25; }
.naive { stroke-dasharray: 1 4; } .forecast { stroke: var(--train); } .band { fill: var(--train); opacity: .2; }
.gradients .sheet { fill: none; } .gradients .rule { stroke: var(--line); }
.s0 { stroke: var(--train); } .s1 { stroke: var(--validation); } .s2 { stroke: var(--third); }
.s3 { stroke: var(--marked); } circle.s0 { fill: var(--train); } circle.s1 { fill: var(--validation); }
circle.s2 { fill: var(--third); } circle.s3 { fill: var(--marked); }
"""

_SEARCH = """
table.trials td { white-space: nowrap; } table.trials small { display: block; white-space: normal; min-width: 14rem; }
tr.best > * { background: var(--soft); font-weight: 600; } tr.on > * { color: var(--marked); }
.chart .on { paint-order: stroke; stroke: var(--card); stroke-width: 4px; } .chart .name { font-weight: 600; }
.described { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1rem 0 0; }
.described dt { font-weight: 600; } .described dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .described { display: block; } .described dd { margin-bottom: .4rem; } }
.trial { --hue: color-mix(in oklab, var(--worse) var(--at), var(--train)); fill: none; stroke: var(--hue);
  stroke-width: 1.4; opacity: calc(90% - .5 * var(--at)); }
.dot { --hue: color-mix(in oklab, var(--worse) var(--at), var(--train)); fill: var(--hue); stroke: var(--hue);
  stroke-width: 1.5; opacity: .85; }
.dot.stopped { fill: var(--card); } .trial.unscored { stroke-dasharray: 4 3; opacity: .5; }
.trial.best { stroke-width: 4; stroke-dasharray: none; opacity: 1; }
.dot.best { stroke: var(--ink); stroke-width: 2; stroke-dasharray: none; opacity: 1; }
.failed { stroke: var(--worse); stroke-width: 2; fill: none; }
.best-so-far { fill: none; stroke: var(--ink); stroke-width: 1.5; } .share { fill: var(--train); }
svg .marked, svg .trial:hover { stroke: var(--marked); stroke-width: 4; opacity: 1; }
"""


def _variables(colors: dict[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


STYLE = (
    f"\n:root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}" + _LAYOUT + _PARTS + _CHARTS + _SEARCH
)
