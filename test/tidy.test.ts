import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import * as rules from './rules.ts'
import type { Rule } from './rules.ts'
import { root } from './start.ts'
import { readTree, sourceFile, type Tree } from './tree.ts'

/** A tree of made-up files. Every folder gets a README that names all of its files. */
function tree(files: Record<string, string>): Tree {
  const sources = Object.entries(files).map(([path, text]) => sourceFile(path, text))
  const names = Object.keys(files).join(' ')
  return { files: sources, readmes: new Map(sources.map(({ path }) => [path.replace(/\/[^/]*$/, ''), names])) }
}

/** What each rule holds, files that it must let pass, and files that it must find. */
const cases: {
  name: string
  rule: Rule
  good: Record<string, string>
  bad: Record<string, string>
  finds: RegExp[]
}[] = [
  {
    name: 'rooms import only what the table allows',
    rule: rules.directions,
    good: {
      'broker/log.ts': "import { type Offset } from '#wire/ids'\nimport { a } from './topic.ts'",
      'broker/log.test.ts': "import { start } from '#test/start'",
      'dashboard/page.ts': "import type { Gpu } from '#api/contract'",
    },
    bad: {
      'broker/a.ts': "import {\n  x,\n} from '#collector/main'",
      'wire/b.ts': "import type { X } from '#lib/clock'",
      'lib/c.ts': "import { x } from '../wire/ids.ts'",
      'streamer/d.ts': "import { x } from '#wire/ids.ts'",
      'proxy/e.ts': "const x = await import('#broker/topic')",
      'broker/f.ts': "import { start } from '#test/start'",
      'dashboard/g.ts': "import { keys } from '#api/keys'",
      'store/h.ts': "import { x } from '#store/row'",
    },
    finds: [
      /^broker\/a.ts:1: broker\/ must not import collector\//,
      /^wire\/b.ts:1: wire\/ must not import lib\/ .* nothing$/,
      /^lib\/c.ts:1: .* leaves lib\/: write '#wire\/ids'/,
      /^streamer\/d.ts:1: .* without its ending/,
      /^proxy\/e.ts:1: proxy\/ must not import broker\//,
      /^broker\/f.ts:1: broker\/ must not import test\//,
      /^dashboard\/g.ts:1: of api\/ only api\/contract.ts/,
      /^store\/h.ts:1: .* same folder/,
    ],
  },
  {
    name: 'every import leads to a file',
    rule: rules.resolvable,
    good: { 'wire/a.ts': "import { b } from './b.ts'", 'wire/b.ts': '', 'lib/c.ts': "import { a } from '#wire/a'" },
    bad: { 'wire/a.ts': "\nimport { b } from './b.ts'" },
    finds: [/^wire\/a.ts:2: .* there is no wire\/b.ts/],
  },
  {
    name: 'every folder with sources is in the table',
    rule: rules.knownRooms,
    good: { 'wire/a.ts': '' },
    bad: { 'utils/a.ts': '' },
    finds: [/^utils\/: not in the table/],
  },
  {
    name: 'wire and telemetry run in browsers',
    rule: rules.browserRooms,
    good: { 'wire/a.test.ts': "import { b } from 'node:fs'", 'lib/a.ts': "import { b } from 'node:fs'" },
    bad: { 'telemetry/a.ts': "import { type B } from 'node:fs'" },
    finds: [/^telemetry\/a.ts:1: .* 'node:fs'/],
  },
  {
    name: 'the core of a role is pure',
    rule: rules.pureCores,
    good: {
      'broker/main.ts': 'setTimeout(f, 1)',
      'broker/log.ts': '// Date.now() is handed in\nconst at = new Date(ms)',
      'broker/log.test.ts': 'Date.now()',
      'broker/log/records.ts': "import type { ProblemCode } from '#wire/problems'",
      'store/engine.ts': 'Date.now()',
    },
    bad: {
      'broker/a.ts': 'x()\nDate.now()',
      'broker/log/records.ts': 'Date.now()',
      'broker/deep/main.ts': 'setTimeout(f, 1)',
      'proxy/c.ts': "import { Problem } from '#wire/problems'",
      'api/d.ts': "import { request } from 'node:http'",
    },
    finds: [
      /^broker\/a.ts:2: Date.now reads the time/,
      /^broker\/log\/records.ts:1: Date.now/,
      /^broker\/deep\/main.ts:1: .*timer/,
      /^proxy\/c.ts:1/,
      /^api\/d.ts:1/,
    ],
  },
  {
    name: 'only cli reads the environment and ends the process',
    rule: rules.environment,
    good: { 'cli/main.ts': 'process.exit(1)', 'lib/a.test.ts': 'process.env.X' },
    bad: { 'lib/log.ts': 'a()\nif (process.env.X) b()', 'broker/main.ts': 'process.exit(1)' },
    finds: [/^lib\/log.ts:2: process.env/, /^broker\/main.ts:1: process.exit/],
  },
  {
    name: 'every role has the same door',
    rule: rules.doors,
    good: { 'proxy/main.ts': '', 'proxy/settings.ts': '', 'proxy/routes.ts': '', 'store/a.ts': '' },
    bad: { 'proxy/main.ts': '', 'proxy/settings.ts': '' },
    finds: [/^proxy\/routes.ts: missing/],
  },
  {
    name: 'names are exported one by one, where they are made',
    rule: rules.exportsByName,
    good: { 'wire/client.ts': "export { type A } from './a.ts'", 'wire/a.ts': 'export const a = 1' },
    bad: {
      'lib/a.ts': 'export default 1',
      'lib/index.ts': "export * from './a.ts'",
      'lib/b.ts': 'export { b as default }',
    },
    finds: [/^lib\/a.ts:1: export default/, /^lib\/b.ts:1: export \{ b as default/, /^lib\/index.ts:1: hands on/],
  },
  {
    name: 'wire and lib hold what two folders share',
    rule: rules.sharedByTwo,
    good: {
      'lib/a.ts': "import { b } from './b.ts'",
      'lib/b.ts': '',
      'broker/x.ts': "import { a } from '#lib/a'",
      'proxy/x.ts': "import { a } from '#lib/a'",
      'wire/client.ts': "import { c } from './c.ts'",
      'wire/c.ts': '',
    },
    bad: {
      'lib/a.ts': '',
      'lib/b.ts': '',
      'broker/x.ts': "import { a } from '#lib/a'",
      'broker/x.test.ts': "import { b } from '#lib/b'",
    },
    finds: [/^lib\/a.ts: only broker\/ needs it/, /^lib\/b.ts: no folder needs it/],
  },
  {
    name: 'a file has 400 lines at most',
    rule: rules.shortFiles,
    good: { 'lib/a.ts': 'x\n'.repeat(400) },
    bad: { 'lib/a.ts': 'x\n'.repeat(401) },
    finds: [/^lib\/a.ts: 401 lines/],
  },
]

const checkout = readTree(root)

for (const { name, rule, good, bad, finds } of cases) {
  test(name, async (t) => {
    for (const finding of rule(checkout)) t.fail(finding, { diagnostic: false })
    t.strictSame(rule(tree(good)), [], 'lets pass what is right')
    const findings = rule(tree(bad)).toSorted()
    t.equal(findings.length, finds.length, findings.join('\n'))
    for (const expected of finds)
      t.ok(
        findings.some((finding) => expected.test(finding)),
        String(expected),
      )
  })
}

test('the README of every folder names its files', async (t) => {
  for (const finding of rules.guides(checkout)) t.fail(finding, { diagnostic: false })
  const file = sourceFile('lib/a.ts', '')
  t.match(rules.guides({ files: [file], readmes: new Map() }), [/^lib\/README.md: missing/])
  t.match(rules.guides({ files: [file], readmes: new Map([['lib', '`b.ts`']]) }), [
    /^lib\/README.md: does not name a.ts/,
  ])
})

test('every edge of a core exists', async (t) => {
  const gone = Object.keys(rules.edges).filter((path) => !existsSync(join(root, path)))
  t.strictSame(gone, [], 'named in `edges` of test/rules.ts')
})

test('the lockfile is complete for every platform', async (t) => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  for (const finding of rules.lockfileFindings(lock)) t.fail(finding, { diagnostic: false })
  const torn = {
    packages: {
      'node_modules/a': { optionalDependencies: { 'a-linux': '1', 'a-mac': '1' } },
      'node_modules/a-mac': {},
    },
  }
  t.match(rules.lockfileFindings(torn), [/node_modules\/a wants a-linux/])
})
