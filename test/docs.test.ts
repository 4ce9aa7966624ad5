/** What the documents name is there: files behind their links, headings, commands of ours, scripts of npm. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

import { test } from 'tap'

import { commands } from '#cli/commands'

import { root } from './start.ts'

interface Document {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
}

/** One line for each link that leads nowhere: into a file that is not there, or to a heading that the file has not. */
function deadLinks(documents: readonly Document[], isThere: (path: string) => boolean): string[] {
  const headings = new Map(documents.map(({ path, text }) => [path, anchorsOf(text)]))
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return []
      const [to = '', anchor] = link.split('#')
      const target = to === '' ? path : posix.join(dirname(path), to)
      if (!isThere(target)) return [`${path}: ${link} leads nowhere`]
      const known = headings.get(target)
      return anchor === undefined || known?.has(anchor) !== false ? [] : [`${path}: ${target} has no #${anchor}`]
    }),
  )
}

/** The names that a forge gives to headings. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replace(/^```.*?^```/gms, '')
  return new Set(
    [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** One line for each `penstock WORD` in code that is no command, and each `npm run NAME` that is no script. */
function unknownCommands({ path, text }: Document, known: ReadonlySet<string>, scripts: ReadonlySet<string>): string[] {
  return codeIn(text).flatMap((code) => [
    ...[...code.matchAll(/(?:^|[\s(])(?:npx )?penstock ([a-z]+)(?![\w:./=-])/gm)].flatMap(([, name = '']) =>
      known.has(name) ? [] : [`${path}: penstock ${name} is no command`],
    ),
    ...[...code.matchAll(/\bnpm run (?:--silent )?([a-z][a-z:-]*)/g)].flatMap(([, name = '']) =>
      scripts.has(name) ? [] : [`${path}: npm run ${name} is no script`],
    ),
  ])
}

/** Whatever is set as code: between backticks, fenced, or indented by four. */
function codeIn(text: string): string[] {
  const fenced = [...text.matchAll(/^```[^\n]*\n(.*?)^```/gms)].map(([, code = '']) => code)
  const rest = text.replace(/^```.*?^```/gms, '')
  const inline = [...rest.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
  return [...fenced, ...inline, ...rest.split('\n').filter((line) => line.startsWith('    '))]
}

const skipped = new Set(['node_modules', 'dist', 'data', 'results'])

function documentsIn(folder: string): Document[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || skipped.has(entry.name)) return []
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return documentsIn(path)
    return entry.name.endsWith('.md') ? [{ path, text: readFileSync(join(root, path), 'utf8') }] : []
  })
}

const documents = documentsIn('')

test('every link of a document leads somewhere', async (t) => {
  t.ok(documents.length > 50, `${documents.length} documents`)
  t.strictSame(
    deadLinks(documents, (path) => existsSync(join(root, path))),
    [],
  )
})

test('every command that a document names is one', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  const known = new Set(Object.keys(commands))
  t.strictSame(
    documents.flatMap((document) => unknownCommands(document, known, new Set(Object.keys(scripts)))),
    [],
  )
})

test('what leads nowhere, and what is no command, is found', async (t) => {
  const one = { path: 'docs/A.md', text: '# One, two\n[a](B.md) [b](#one-two) [c](#three) [d](B.md#x) [e](https://x)' }
  const other = { path: 'docs/B.md', text: '## Y\n```\n# x\n```' }
  t.strictSame(
    deadLinks([one, other], (path) => path === 'docs/A.md' || path === 'docs/B.md'),
    ['docs/A.md: docs/A.md has no #three', 'docs/A.md: docs/B.md has no #x'],
  )
  t.strictSame(
    deadLinks([one], (path) => path === 'docs/A.md'),
    ['docs/A.md: B.md leads nowhere', 'docs/A.md: docs/A.md has no #three', 'docs/A.md: B.md#x leads nowhere'],
  )
  const text =
    'A penstock is a pipe. `penstock tale`, `npx penstock tail`\n\n    npm run nothing\n    penstock --help\n'
  t.strictSame(unknownCommands({ path: 'A.md', text }, new Set(['tail']), new Set(['lint'])), [
    'A.md: penstock tale is no command',
    'A.md: npm run nothing is no script',
  ])
})
