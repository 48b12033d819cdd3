/** The style sheet of a report: light and dark as the reader's system is. */
export const style = `
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5c6570;--line:#dfe3e8;--paper:#fff;--panel:#f7f8fa;--canary:#c2570c;--primary:#2563a8;--harm:#c0262d;--safe:#1f7a4d;--amber:#b7791f;--good:#1f7a4d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa4b0;--line:#333a43;--paper:#14171b;--panel:#1b1f25;--canary:#ff9a4d;--primary:#6fb0f5;--harm:#ff6b70;--safe:#52c98a;--amber:#e8b04a;--good:#52c98a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:32px 24px 48px;max-width:1060px;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:24px;margin:0 0 4px}
h2{font-size:15px;margin:28px 0 6px}
h2 small{font-weight:400;color:var(--soft);margin-left:8px}
p{margin:4px 0}
.soft{color:var(--soft)}
.banner{margin:16px 0 4px;padding:12px 16px;border-radius:8px;border-left:5px solid var(--soft);background:var(--panel)}
.banner b{font-size:17px}
.banner.good{border-color:var(--good)}.banner.bad{border-color:var(--harm)}.banner.wait{border-color:var(--amber)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:10px 24px;margin:16px 0}
.facts div{border-top:1px solid var(--line);padding-top:4px}
.facts span{display:block;color:var(--soft);font-size:12px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .label{font-weight:600;font-size:11.5px}
svg .label.small{font-weight:400;font-size:10.5px}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg .mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:1 4;opacity:.7}
svg .limit{stroke-width:1.2;stroke-dasharray:6 4}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}
svg .fill{stroke:none;opacity:.14}
svg .line.thin{stroke-width:1.2;opacity:.75}
svg .line.canary,svg .limit.canary{stroke:var(--canary)}svg .fill.canary,svg .label.canary{fill:var(--canary)}
svg .line.primary,svg .limit.primary{stroke:var(--primary)}svg .fill.primary,svg .label.primary{fill:var(--primary)}
svg .line.harm,svg .limit.harm{stroke:var(--harm)}svg .fill.harm,svg .label.harm{fill:var(--harm)}
svg .line.safe,svg .limit.safe{stroke:var(--safe)}svg .fill.safe,svg .label.safe{fill:var(--safe)}
svg .limit.amber{stroke:var(--amber)}svg .label.amber{fill:var(--amber)}
svg .limit.wanted{stroke:var(--soft)}svg .label.wanted{fill:var(--soft)}
svg rect{shape-rendering:crispEdges}
svg .none{fill:var(--good);opacity:.55}svg .amber{fill:var(--amber)}svg .rollback{fill:var(--harm)}
svg .passed{fill:var(--good)}svg .failed{fill:var(--harm)}svg .inconclusive{fill:var(--amber)}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:12px}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font:12.5px ui-monospace,SFMono-Regular,Menlo,monospace;word-break:break-word}
.bad{color:var(--harm)}.good{color:var(--good)}.wait{color:var(--amber)}
footer{margin-top:32px;color:var(--soft);font-size:12.5px}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}svg,table{break-inside:avoid}}
`;
