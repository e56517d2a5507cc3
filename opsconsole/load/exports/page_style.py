"""The style sheet of the HTML report: the console's colours, light and dark, and on paper."""

STYLE = """
:root { color-scheme: light dark;
  --ground:#fbfbf8; --panel:#ffffff; --ink:#1f2933; --dim:#5d6773; --rule:#e1e3e1; --band:#f1f1ec;
  --accent:#0b6e6e; --good:#2e6b1f; --warn:#8a5a00; --bad:#b3261e; --blue:#2f5f8f; --plum:#7b3f8c;
  --first:#0b7f7f; --second:#c27a00; --third:#b3261e; --shadow:0 1px 2px rgba(20,30,40,.06); }
@media (prefers-color-scheme: dark) { :root {
  --ground:#0f141b; --panel:#151c25; --ink:#d8dee9; --dim:#8b96a8; --rule:#263140; --band:#1a222d;
  --accent:#5fb3b3; --good:#90bf7f; --warn:#e5b567; --bad:#e8808a; --blue:#7aa2c9; --plum:#c095d4;
  --first:#5fb3b3; --second:#e5b567; --third:#e8808a; --shadow:none; } }
* { box-sizing:border-box }
body { margin:0; background:var(--ground); color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  font-variant-numeric:tabular-nums; -webkit-text-size-adjust:100% }
main { max-width:1040px; margin:0 auto; padding:36px 20px 56px }
h1 { font-size:26px; line-height:1.25; margin:0; font-weight:650; letter-spacing:-.01em }
h2 { font-size:15px; margin:0 0 10px; font-weight:650 }
h2 small { font-weight:400; color:var(--dim); margin-left:8px; font-size:13px }
p { margin:6px 0 }
.meta { color:var(--dim); font-size:13.5px; margin-top:4px; overflow-wrap:anywhere }
.verdict { display:flex; gap:14px; align-items:flex-start; border:1px solid var(--rule);
  border-left:5px solid var(--tone); background:var(--panel); border-radius:8px;
  padding:14px 18px; margin:22px 0 16px; box-shadow:var(--shadow) }
.verdict b { color:var(--tone); font-size:17px }
.verdict ul { margin:6px 0 0; padding-left:18px }
.passed { --tone:var(--good) } .failed { --tone:var(--bad) } .invalid { --tone:var(--warn) }
.stopped { --tone:var(--warn) } .measured { --tone:var(--accent) }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(122px,1fr)); gap:12px;
  margin:0 0 16px }
.card, section { background:var(--panel); border:1px solid var(--rule); border-radius:8px;
  box-shadow:var(--shadow) }
.card { padding:12px 14px; overflow:hidden }
.card span { display:block; color:var(--dim); font-size:12.5px; white-space:nowrap }
.card strong { font-size:23px; font-weight:620; letter-spacing:-.01em; white-space:nowrap }
.card em { font-style:normal; color:var(--dim); font-size:13px; margin-left:5px }
section { padding:16px 18px 14px; margin:0 0 16px }
.scroll { overflow-x:auto }
table { border-collapse:collapse; width:100%; font-size:14px }
th { color:var(--dim); font-weight:500; font-size:13px }
th, td { text-align:right; padding:6px 0 6px 18px; border-bottom:1px solid var(--rule);
  white-space:nowrap }
th.l, td.l { text-align:left; padding-left:0; white-space:normal; overflow-wrap:break-word;
  min-width:6.5em; max-width:34em }
td.l:not(:first-child), th.l:not(:first-child) { padding-left:18px }
tr:last-child td { border-bottom:0 }
code { font:12.5px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
  overflow-wrap:anywhere; color:var(--dim) }
.ok { color:var(--good) } .no { color:var(--bad) }
.note { color:var(--dim); font-size:13px }
.legend { display:flex; flex-wrap:wrap; gap:2px 18px; font-size:13px; color:var(--dim);
  margin:-4px 0 6px }
.legend i { display:inline-block; width:14px; height:3px; border-radius:2px; margin-right:7px;
  vertical-align:middle; background:var(--c) }
.pair { display:grid; grid-template-columns:1fr; gap:0 16px }
svg { display:block; width:100%; height:auto; overflow:visible }
svg text { font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif; fill:var(--dim) }
.grid { stroke:var(--rule); stroke-width:1 } .axis { stroke:var(--dim); stroke-width:1; opacity:.6 }
.faint { fill:var(--band) } .phase { stroke:var(--dim); stroke-dasharray:1 3 }
svg .phasename { font-size:11px }
.line { fill:none; stroke:var(--c); stroke-width:1.8; stroke-linejoin:round; stroke-linecap:round }
.thin { stroke-width:1.2; stroke-dasharray:4 4 }
.area { fill:var(--c); opacity:.22 } .dot { fill:var(--c) }
.bar { fill:var(--first); opacity:.8 } .bar:hover { opacity:1 }
.mark { stroke:var(--c); stroke-width:1.2; stroke-dasharray:5 4 }
svg .marktext { fill:var(--c); font-weight:600; font-size:11.5px; stroke:var(--panel);
  stroke-width:4px; paint-order:stroke; stroke-linejoin:round }
.hover rect { fill:transparent } .hover rect:hover { fill:var(--ink); opacity:.07 }
.first { --c:var(--first) } .second { --c:var(--second) } .third { --c:var(--third) }
.blue { --c:var(--blue) } .plum { --c:var(--plum) } .bad { --c:var(--bad) }
.grey { --c:var(--dim) } .limit { --c:var(--dim) } .green { --c:var(--good) }
footer { color:var(--dim); font-size:13px; margin-top:22px }
@media (max-width:640px) { main { padding:20px 12px } .card strong { font-size:19px }
  section { padding:12px } svg text { font-size:15px }
  svg .phasename, svg .marktext { font-size:13px } }
@media print { body { background:#fff } section, .card, .verdict { break-inside:avoid;
  box-shadow:none } main { padding:0; max-width:none } }
"""
