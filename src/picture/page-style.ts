export const PAGE_STYLE = `:root{color-scheme:light dark}
.pf-page{--paper:#fff;--ground:#f6f8fa;--ink:#1f2933;--soft:#52606d;--line:#d9dfe6;--link:#1f5fa8;--good:#17694f;--bad:#b3202a;--warn:#8a5300}
@media (prefers-color-scheme:dark){.pf-page{--paper:#12161b;--ground:#0c0f13;--ink:#e6eaf0;--soft:#a3afbd;--line:#2f3842;--link:#8ab8f0;--good:#5cc9ad;--bad:#ff8585;--warn:#e6b366}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
h1{margin:0;font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}
h2{margin:0 0 12px;font-size:1.125rem}
p{margin:4px 0;overflow-wrap:anywhere}
.headline{font-weight:600;overflow-wrap:anywhere}
.soft{color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:4px 20px;margin:12px 0 0;padding:0;list-style:none}
a{color:var(--link)}
a:focus-visible,h2:focus-visible,tr:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}
.skip:focus{position:static;display:inline-block;margin:8px 16px;padding:4px 8px;background:var(--paper)}
section{margin:20px 0;padding:20px 16px;background:var(--paper);border:1px solid var(--line);border-radius:8px}
.picture svg{display:block;width:100%;height:auto}
.narrow{max-width:460px}
.middle,.wide{display:none}
@media (min-width:660px){.narrow{display:none}.middle{display:block}}
@media (min-width:1040px){.middle{display:none}.wide{display:block}}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:.875rem}
caption{padding-bottom:8px;text-align:left;color:var(--soft)}
th,td{padding:6px 12px 6px 0;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600}
td.date,td.mark,th.id{white-space:nowrap;font-variant-numeric:tabular-nums}
td.name{min-width:20ch}th.name{min-width:26ch}td.name,th.name{overflow-wrap:break-word;word-break:break-word}
.code{font:.8125rem ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}.warn{color:var(--warn);font-weight:600}
@media print{body{background:#fff}section{border:0}nav,.skip{display:none}}
`
