/** Colours for light and dark; every kind of bar has a pattern or a border of its own beside its colour. */
export const PICTURE_STYLE = `.pf{--paper:#fff;--ink:#1f2933;--soft:#52606d;--line:#e4e7eb;--band:#eef2f6;--ok:#1b7f6b;--hole:#c4242b;--hole-soft:#fbe3e3;--certificate:#2f6fb7;--pin:#41566e;--spare:#6f86a0;--gone:#7b8794;--document:#6a55a4;--evidence:#94632a;background:var(--paper);font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){.pf{--paper:#12161b;--ink:#e6eaf0;--soft:#a3afbd;--line:#2a323c;--band:#1d242d;--ok:#3fb79c;--hole:#ff6b6b;--hole-soft:#3d1a1d;--certificate:#6aa8ec;--pin:#a9bdd4;--spare:#7f97b2;--gone:#8a97a5;--document:#ab98e8;--evidence:#d9a35f}}
.pf text{fill:var(--ink);white-space:pre}
.pf .headline,.pf .title{font-size:13px;font-weight:700}
.pf .what,.pf .end,.pf .tick{fill:var(--soft)}
.pf .now{fill:var(--hole);font-weight:700}
.pf .now-line{stroke:var(--hole);stroke-width:1.5}
.pf .grid,.pf .rule{stroke:var(--line)}
.pf .in-bar{font-size:10px;fill:var(--hole);font-weight:700}
.pf .behind{fill:var(--paper)}
.pf .band{fill:transparent}
.pf .row:hover .band,.pf .row:focus .band{fill:var(--band)}
.pf .row:focus{outline:none}
.pf .row:focus-visible .band{stroke:var(--certificate);stroke-width:2}
.pf .paper{fill:var(--paper)}
.pf .f-ok{fill:var(--ok)}.pf .f-hole{fill:var(--hole-soft)}.pf .f-certificate{fill:var(--certificate)}.pf .f-pin{fill:var(--pin)}.pf .f-document{fill:var(--document)}
.pf .f-gone{fill:var(--gone)}
.pf .s-paper{stroke:var(--paper)}.pf .s-hole{stroke:var(--hole)}.pf .s-spare{stroke:var(--spare)}.pf .s-evidence{stroke:var(--evidence)}.pf .s-pin{stroke:var(--pin)}
.pf .b-hole,.pf .b-denied{stroke:var(--hole);stroke-width:1}
.pf .b-backup{stroke:var(--spare);stroke-width:1}
.pf .b-staged{stroke:var(--pin);stroke-width:1;stroke-dasharray:4 3}
.pf .b-retired{stroke:var(--gone);stroke-width:1;stroke-dasharray:1 3}
.pf .b-evidence{stroke:var(--evidence);stroke-width:1}
@media print{.pf{--paper:#fff;--ink:#000}}
`
