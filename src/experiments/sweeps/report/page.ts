/** Pieces of a page: escaped markup, and the look of it. One file, no script, nothing fetched. */
import { escapeMarkup } from '../../../charts/index.ts'

/** An element of a page; `content` is markup already. */
export const tag = (name: string, content: string, attributes = ''): string =>
  `<${name}${attributes === '' ? '' : ` ${attributes}`}>${content}</${name}>`

export const text = escapeMarkup

const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --quiet: #656d76; --rule: #d8dee4; --shade: #f6f8fa; --good: #1a7f37; --bad: #cf222e }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #dfe5ea; --quiet: #98a2ad; --rule: #30373f; --shade: #1c2229; --good: #57ab5a; --bad: #f47067 }
}
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 74rem; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule) }
p { max-width: 48rem; margin: .5rem 0 }
.quiet { color: var(--quiet) }
.good { color: var(--good) } .bad { color: var(--bad) }
ul.plain { list-style: none; padding: 0; margin: 0 }
ul.plain li { margin: .45rem 0; padding-left: 1.6rem; text-indent: -1.6rem; max-width: 60rem }
ul.plain b { display: inline-block; width: 1.6rem; text-indent: 0 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 33rem), 1fr)); gap: 1rem }
.charts figure { margin: 0; padding: .6rem .4rem; border: 1px solid var(--rule); border-radius: 8px }
.chart { width: 100%; height: auto; color: inherit }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 8px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: .35rem .55rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--rule) }
tr:last-child td { border-bottom: 0 }
th { background: var(--shade); font-weight: 600 }
.number { text-align: right }
details { margin: .4rem 0; border: 1px solid var(--rule); border-radius: 8px; padding: .45rem .8rem }
summary { cursor: pointer }
details .scroll { margin: .8rem 0 }
pre { overflow-x: auto; background: var(--shade); padding: .8rem; border-radius: 8px; font-size: .82rem; line-height: 1.4 }
footer { margin-top: 3rem; color: var(--quiet); font-size: .85rem }
code { font-size: .9em }
`

export const page = (title: string, body: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${text(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`
