// A page in one file: no scripts, nothing fetched, light or dark as the reader's system is.

/** Text as HTML shows it. */
export function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => names[character]!);
}

/** Colours of columns on light and on dark ground; the first is that of the copy. */
const COLOURS = [
  ['#767676', '#9a9a9a'],
  ['#0072b2', '#4fb3f0'],
  ['#c44e00', '#ff9a4d'],
  ['#007a59', '#2fd0a5'],
  ['#a8457f', '#ec9fcb'],
  ['#8a6d00', '#e6c84a'],
  ['#5b4bc4', '#aaa0ff'],
  ['#a11c2f', '#ff7f8e'],
  ['#2d6e2d', '#8bd48b'],
] as const;

/** The class that colours what belongs to a column. */
export const colourClass = (column: number): string => `c${column < COLOURS.length ? column : ((column - 1) % 8) + 1}`;

const colours = (shade: 0 | 1): string => COLOURS.map((pair, i) => `--c${i}:${pair[shade]}`).join(';');

const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--text:#1b1b1b;--faint:#666;--line:#ddd;--best:#e8f3ec;${colours(0)}}
@media(prefers-color-scheme:dark){:root{--ground:#161718;--text:#e8e8e8;--faint:#a0a0a0;--line:#3a3c3e;--best:#1f3a2b;${colours(1)}}}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p{max-width:52rem}
.faint,figcaption,small{color:var(--faint);font-size:.85rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
thead th{white-space:normal;vertical-align:bottom;border-bottom:2px solid var(--line)}th:first-child,td:first-child{text-align:left}
td.words{white-space:normal;text-align:left;min-width:14rem;overflow-wrap:anywhere}td.best{background:var(--best);font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(28rem,100%),1fr));gap:1.2rem}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1rem}
figure{margin:0}img{width:100%;height:auto;display:block}svg{width:100%;height:auto;display:block}
svg text{fill:var(--faint);font-size:11px}svg .axis{stroke:var(--line);fill:none}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.4rem 0 .8rem;padding:0;list-style:none}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:.4rem;margin-right:.4rem;background:currentColor}
details{margin:.5rem 0}summary{cursor:pointer}
${COLOURS.map((_, i) => `.c${i}{color:var(--c${i})}`).join('')}
`;

/** A whole page. @param body HTML */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** A table of HTML cells. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (each: Cell): string => {
    const { html, kind } = typeof each === 'string' ? { html: each, kind: undefined } : each;
    return `<td${kind ? ` class="${kind}"` : ''}>${html}</td>`;
  };
  const line = (row: readonly Cell[]): string => `<tr>${row.map(cell).join('')}</tr>`;
  return `<div class="wide"><table><thead><tr>${head.map((text) => `<th>${text}</th>`).join('')}</tr></thead>
<tbody>
${rows.map(line).join('\n')}
</tbody></table></div>`;
}

/** HTML of a table's cell, and what is special about it. */
export type Cell = string | { html: string; kind: 'best' | 'words' };
