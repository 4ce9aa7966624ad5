/** docs/RELIABILITY.md names the test that holds each promise: every one of them is there. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { test } from 'tap'

import { breaks } from '#broker/sim/breaks'

import { root } from './start.ts'

interface Named {
  readonly file: string
  readonly title: string
}

/** What a text names: a file in backticks, and behind it the titles of its tests in curly quotes. */
function namedIn(text: string): Named[] {
  const named: Named[] = []
  for (const [, file = '', titles = ''] of text.matchAll(/`([\w/.-]+\.test\.ts)`((?:[,\s]*“[^”]+”)+)/g)) {
    for (const [, title = ''] of titles.matchAll(/“([^”]+)”/g)) named.push({ file, title: title.replace(/\s+/g, ' ') })
  }
  return named
}

/** Whether a file of tests has one of that title, for each HTTP engine or once. What is computed in a title may be anything. */
function hasTest(source: string, title: string): boolean {
  for (const [, , quoted = ''] of source.matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1).)+)\1/g)) {
    const pattern = quoted
      .replace(/^\$\{engine\}: /, '')
      .split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
      .map((part) => part.replace(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`))
      .join('.*')
    if (new RegExp(`^${pattern}$`).test(title)) return true
  }
  return false
}

/** Entries of the list of promises, each up to the next one. */
function promisesIn(text: string): string[] {
  const list = text.slice(0, text.indexOf('\n## How it is proved'))
  return list.split(/\n(?=- \*\*|## )/).filter((entry) => entry.startsWith('- **'))
}

const text = readFileSync(join(root, 'docs/RELIABILITY.md'), 'utf8')

test('every test that the document names exists', async (t) => {
  const named = namedIn(text)
  t.ok(named.length > 50, `${named.length} tests are named`)
  t.equal(named.length, text.match(/“/g)?.length, 'each title stands behind the file that it is in')
  const gone = named.filter(({ file, title }) => {
    const path = join(root, file)
    return !existsSync(path) || !hasTest(readFileSync(path, 'utf8'), title)
  })
  t.strictSame(gone, [])
})

test('every promise names a test', async (t) => {
  const promises = promisesIn(text)
  t.ok(promises.length > 20, `${promises.length} promises`)
  t.strictSame(
    promises.filter((promise) => namedIn(promise).length === 0),
    [],
  )
})

test('every planted fault is named, and no other', async (t) => {
  const named = [...text.matchAll(/`--break=([a-z-]+)`/g)].map(([, name = '']) => name)
  t.strictSame(named.toSorted(), Object.keys(breaks).toSorted())
})

test('a title that is not there is found', async (t) => {
  const source = "test('one', f)\n  test(`two ${n} of ${x ? ' (y)' : ''}`, f)\ntest(\n  'three',\n"
  t.strictSame(
    ['one', 'two 17', 'two 17 of 3', 'three', 'on', 'onetwo'].filter((title) => hasTest(source, title)),
    ['one', 'two 17 of 3', 'three'],
  )
  t.strictSame(namedIn('`a/b.test.ts` “x\n  y”, “z”; `c.test.ts`\n“u”'), [
    { file: 'a/b.test.ts', title: 'x y' },
    { file: 'a/b.test.ts', title: 'z' },
    { file: 'c.test.ts', title: 'u' },
  ])
})
