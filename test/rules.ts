/**
 * What the file tree promises (docs/ARCHITECTURE.md), as rules over a tree. Each returns its findings, one line each:
 * where, what is wrong, what would be right. test/tidy.test.ts holds the checkout to them.
 */

import { dirname } from 'node:path'
import { lineOf, type SourceFile, type Tree } from './tree.ts'

export type Rule = (tree: Tree) => string[]

interface Room {
  /** The rooms that it may import. Types count as much as values. */
  readonly imports: readonly string[]
  /** A process of its own: it has the door (README.md, main.ts, settings.ts, routes.ts) and a pure core. */
  readonly role?: true
  /** Runs in a browser too: nothing of Node. */
  readonly browser?: true
  /** What several rooms share: a file that one folder alone needs belongs into that folder. */
  readonly shared?: true
  /** May read the environment and end the process. */
  readonly process?: true
}

const everything =
  'wire telemetry lib broker proxy streamer collector watcher store api dashboard cli test bench loadtest observability helm'.split(
    ' ',
  )

/** Every top-level folder with sources. A room that does not exist yet has its line already. */
export const rooms: Readonly<Record<string, Room>> = {
  wire: { imports: [], browser: true, shared: true },
  telemetry: { imports: [], browser: true },
  lib: { imports: ['wire'], shared: true },
  broker: { imports: ['wire', 'lib'], role: true },
  proxy: { imports: ['wire', 'lib'], role: true },
  streamer: { imports: ['wire', 'telemetry', 'lib'], role: true },
  collector: { imports: ['wire', 'telemetry', 'store', 'lib'], role: true },
  watcher: { imports: ['wire', 'telemetry', 'store', 'lib'], role: true },
  store: { imports: ['telemetry', 'lib'] },
  api: { imports: ['wire', 'telemetry', 'store', 'lib'], role: true },
  dashboard: { imports: ['wire', 'telemetry', 'api'], browser: true },
  cli: { imports: everything, process: true },
  test: { imports: everything, process: true },
  bench: { imports: everything, process: true },
  helm: { imports: everything, process: true },
  image: { imports: everything, process: true },
  observability: { imports: everything, process: true },
  loadtest: { imports: everything, process: true },
}

/** The files that another room sees of `api`. */
const onlyDoors: Readonly<Record<string, readonly string[]>> = { api: ['api/contract.ts', 'api/client.ts'] }

/** What `npm install penstock` offers to others; they may re-export, and whatever they need is shared by definition. */
const published = ['wire/client.ts', 'api/client.ts']

/** The files of a role that are not its core. */
const doorFiles = ['main.ts', 'settings.ts', 'routes.ts']

type Worldly = 'time' | 'timers' | 'problems' | 'http'

/** Further files that touch the world, which part of it, and why. Keep it short: what is in here is not simulated. */
export const edges: Readonly<Record<string, { readonly may: readonly Worldly[]; readonly why: string }>> = {
  'broker/produce.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that write' },
  'broker/admin.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that make and change topics' },
  'broker/consume.ts': { may: ['problems', 'http'], why: 'the handler of routes.ts that reads' },
  'broker/settle.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that acknowledge and give back' },
  'broker/seek.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that move and delete groups' },
  'broker/letters.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that look through dead letters' },
  'broker/from.ts': {
    may: ['problems'],
    why: 'reads where a client wants to begin, and names what is wrong by its code',
  },
  'broker/pull.ts': { may: ['http', 'timers'], why: 'one answer of lines: what was asked, and how long it may wait' },
  'broker/log/records.ts': { may: ['problems'], why: 'reads request bodies, and names what is refused by its code' },
  'broker/stream.ts': { may: ['http'], why: 'one reader: writes batches to the sink of its endless answer' },
  'broker/sim/sink.ts': { may: ['http'], why: 'the far end of a stream: what stands for a client of the simulation' },
  'proxy/forward.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that pass a request on' },
  'proxy/acks.ts': { may: ['problems'], why: 'reads and joins bodies, and names what a broker refuses by its code' },
  'proxy/look.ts': { may: ['problems'], why: 'the handler of routes.ts that asks every broker' },
  'proxy/table.ts': { may: ['http'], why: 'the handler of routes.ts that tells who owns what' },
  'proxy/topics.ts': { may: ['problems', 'http'], why: 'the handler of routes.ts that tells every broker of a topic' },
  'proxy/drain.ts': { may: ['problems', 'http'], why: 'the handler of routes.ts that has a broker emptied' },
  'proxy/watch.ts': { may: ['timers'], why: 'asks the brokers, and looks their names up, again and again' },
  'proxy/lines.ts': { may: ['time', 'timers', 'http'], why: 'connections: sockets, and what takes too long on them' },
  'proxy/parcel.ts': { may: ['http'], why: 'bodies take their memory from the pool of lib/http' },
  'proxy/broadcast.ts': { may: ['problems', 'http'], why: 'a request for every broker, and what they refused' },
  'proxy/groups.ts': { may: ['http'], why: 'the handlers of routes.ts that move and delete groups' },
  'proxy/letters.ts': { may: ['problems', 'http'], why: 'the handlers of routes.ts that ask all for their letters' },
  'proxy/pull.ts': {
    may: ['problems', 'http', 'timers'],
    why: 'asks the brokers in turn until somebody has something',
  },
  'proxy/consume.ts': { may: ['problems', 'http'], why: 'the handler of routes.ts that opens every broker' },
  'proxy/fanin.ts': { may: ['http'], why: 'one consumer: writes blocks to the sink of its endless answer' },
  'streamer/feed.ts': { may: ['http'], why: 'the readers of GET /stream, a sink each' },
  'streamer/fakes.ts': { may: ['timers'], why: 'what the tests run it against: a broker that answers in a later turn' },
  'streamer/outlet.ts': { may: ['problems'], why: 'sends by the client, and tells the refusals of a broker apart' },
  'collector/settle.ts': { may: ['problems'], why: 'tells which refusals of a broker are worth another try' },
  'api/reading/thread.ts': {
    may: ['problems', 'timers'],
    why: 'the thread that reads: what is said where it dies, and how long it may take to end',
  },
  'api/reading/admission.ts': {
    may: ['problems', 'timers'],
    why: 'refuses what is more than can be answered, and what has waited too long',
  },
  'api/reading/messages.ts': { may: ['problems'], why: 'problems cross between threads as what they are' },
  'api/reading/entry.ts': { may: ['timers'], why: 'the other thread: lets others be answered between two pieces' },
  'api/server/server.ts': {
    may: ['problems', 'http'],
    why: 'Fastify: what stands between the network and the handlers',
  },
  'api/server/json.ts': { may: ['problems'], why: 'refuses bodies before they are parsed' },
  'api/server/openapi.ts': { may: ['problems'], why: 'lists what a route may refuse, by the table' },
  'api/server/tls.ts': { may: ['http'], why: 'hooks of Fastify and its sockets: who must show a certificate' },
  'api/ask/bounds.ts': { may: ['problems'], why: 'refuses questions that are over a bound, with it' },
  'api/server/doorkeeper.ts': { may: ['problems'], why: 'refuses who may not ask, with a code of the table' },
  'api/server/users.ts': {
    may: ['problems', 'http'],
    why: 'reads who a request comes from, off its socket and header',
  },
  'api/server/networks.ts': { may: ['http'], why: 'node:net knows addresses and networks' },
  'api/keys/bounds.ts': { may: ['problems'], why: 'refuses what a key may not name, with a code of the table' },
  'api/keys/topic.ts': { may: ['problems', 'http'], why: 'follows the topic of the keys, and writes to it' },
  'api/handlers/keys.ts': { may: ['problems'], why: 'the handlers that make and end keys' },
  'api/server/pages.ts': {
    may: ['problems'],
    why: 'what needs no key: the page, Swagger UI, and the doors of every role',
  },
  'collector/fakes.ts': { may: ['problems', 'timers'], why: 'what the tests run it against: a broker that says no' },
  'api/server/requests.ts': {
    may: ['problems', 'http'],
    why: 'reads the parts of a request and refuses them with a code of the table',
  },
  'api/ask/inventory.ts': { may: ['problems'], why: 'finds the GPU that an id means, or says which it could mean' },
  'api/ask/pieces.ts': { may: ['timers'], why: 'lets others be answered between two pieces of a long read' },
  'api/ask/parameters.ts': { may: ['problems'], why: 'refuses what a schema cannot, with a code of the table' },
  'api/handlers/gpus.ts': { may: ['problems'], why: 'a GPU may be gone between two questions' },
  'api/server/bodies.ts': { may: ['problems'], why: 'reads bodies by line, and names the line that is none' },
  'api/formats/format.ts': { may: ['problems'], why: 'refuses an Accept that no format fits' },
  'api/intake/sender.ts': { may: ['problems'], why: 'tells refusals of a broker by the records of the client' },
  'api/intake/produce.ts': { may: ['problems'], why: 'the handler that sends records to the broker' },
  'api/intake/write.ts': { may: ['problems'], why: 'the handlers that send line protocol to the broker' },
  'api/intake/influx.ts': { may: ['problems'], why: 'refusals in the words of clients of InfluxDB' },
  'api/pipeline/letters.ts': { may: ['problems'], why: 'the handlers that pass on what the broker keeps' },
  'api/pipeline/topics.ts': { may: ['problems'], why: 'the handlers that ask the broker for topics and groups' },
  'api/pipeline/pipeline.ts': { may: ['problems'], why: 'asks the other roles how they are' },
  'api/live/feed.ts': { may: ['problems', 'timers'], why: 'follows the broker while somebody reads the live stream' },
  'api/live/stream.ts': {
    may: ['problems', 'http', 'timers'],
    why: 'one reader of the live stream: its sink and its timers',
  },
}

/** What a core is handed in, or leaves to its routes. */
const impure: readonly { readonly what: Worldly; readonly pattern: RegExp; readonly finding: string }[] = [
  {
    what: 'time',
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b/g,
    finding: 'reads the time: take a Clock',
  },
  {
    what: 'timers',
    pattern: /\b(setTimeout|setInterval|setImmediate)\b|'node:timers[^']*'/g,
    finding: 'sets a timer: let main.ts drive it',
  },
  {
    what: 'problems',
    pattern: /'#wire\/problems'/g,
    finding: 'is the table of problems: return a code and let routes.ts throw it',
  },
  {
    what: 'http',
    pattern: /'node:(http|https|http2|net|tls|dgram)'|'#lib\/http\/[^']*'|\bfetch\(/g,
    finding: 'speaks HTTP: leave it to routes.ts',
  },
]

export const directions: Rule = ({ files }) => {
  const findings: string[] = []
  for (const { file, specifier, line, target } of allImports(files)) {
    const at = `${file.path}:${line}`
    if (target === undefined) continue
    const to = target.split('/')[0] as string
    if (specifier.startsWith('.')) {
      if (to !== file.room)
        findings.push(`${at}: '${specifier}' leaves ${file.room}/: write '#${withoutEnding(target)}'`)
      else if (!/\.(ts|tsx|js)$/.test(specifier)) findings.push(`${at}: '${specifier}': write its ending, .ts`)
      continue
    }
    if (/\.(ts|js)$/.test(specifier)) findings.push(`${at}: '${specifier}': write it without its ending`)
    else if (to === file.room) findings.push(`${at}: '${specifier}' is in the same folder: write a relative path`)
    else if (!mayImport(file, to)) {
      const allowed = rooms[file.room]?.imports.join(', ') || 'nothing'
      findings.push(`${at}: ${file.room}/ must not import ${to}/ ('${specifier}'); it may import ${allowed}`)
    } else if (onlyDoors[to]?.includes(target) === false && !rooms[file.room]?.process) {
      findings.push(`${at}: of ${to}/ only ${onlyDoors[to].join(' and ')} may be imported, not '${specifier}'`)
    }
  }
  return findings
}

export const resolvable: Rule = ({ files }) => {
  const paths = new Set(files.map((file) => file.path))
  return allImports(files)
    .filter(({ target }) => target !== undefined && !paths.has(target))
    .map(({ file, specifier, line, target }) => `${file.path}:${line}: '${specifier}': there is no ${target}`)
}

export const knownRooms: Rule = ({ files }) =>
  [...new Set(files.map((file) => file.room))]
    .filter((room) => rooms[room] === undefined)
    .map((room) => `${room}/: not in the table of rooms in test/rules.ts: say there what it may import`)

export const browserRooms: Rule = ({ files }) =>
  allImports(files)
    .filter(({ file, specifier }) => rooms[file.room]?.browser && !file.isTest && isOfNode(specifier))
    .map(
      ({ file, specifier, line }) =>
        `${file.path}:${line}: ${file.room}/ runs in browsers and must not import '${specifier}': have it handed in`,
    )

export const pureCores: Rule = ({ files }) =>
  files
    .filter((file) => isCore(file))
    .flatMap((file) =>
      impure
        .filter(({ what }) => !edges[file.path]?.may.includes(what))
        .flatMap(({ pattern, finding }) =>
          found(file, pattern).map((at) => `${at} ${finding} (or an edge, test/rules.ts)`),
        ),
    )

export const environment: Rule = ({ files }) =>
  files
    .filter((file) => !file.isTest && !rooms[file.room]?.process)
    .flatMap((file) =>
      found(file, /\bprocess\.(env|exit|exitCode|argv)\b/g).map(
        (what) => `${what} belongs to cli/: take settings, or throw and let cli/ end the process`,
      ),
    )

export const doors: Rule = ({ files, readmes }) => {
  const present = new Set(files.map((file) => file.path))
  const findings: string[] = []
  for (const room of new Set(files.map((file) => file.room))) {
    if (rooms[room]?.role !== true) continue
    for (const name of doorFiles)
      if (!present.has(`${room}/${name}`)) findings.push(`${room}/${name}: missing; roles have one`)
    if (!readmes.has(room)) findings.push(`${room}/README.md: missing; roles have one`)
  }
  return findings
}

export const guides: Rule = ({ files, readmes }) => {
  const findings = new Set<string>()
  for (const { path } of files) {
    const folder = dirname(path)
    const name = path.slice(folder.length + 1)
    const readme = readmes.get(folder)
    if (readme === undefined) findings.add(`${folder}/README.md: missing; say what lives here, in reading order`)
    // A test stands beside its subject and needs no line, unless it has none.
    else if (!name.endsWith('.test.ts') && !readme.includes(name)) {
      findings.add(`${folder}/README.md: does not name ${name}`)
    }
  }
  return [...findings]
}

export const exportsByName: Rule = ({ files }) => [
  ...files.flatMap((file) =>
    found(file, /^export default\b|^export \{[^}]*\bas default\b/gm).map((what) => `${what}: export it by its name`),
  ),
  ...allImports(files)
    .filter(({ file, isReexport }) => isReexport && !published.includes(file.path))
    .map(({ file, line, specifier }) => `${file.path}:${line}: hands on '${specifier}': import it where it is used`),
]

export const sharedByTwo: Rule = ({ files }) => {
  const shared = files.filter((file) => rooms[file.room]?.shared && !file.isTest)
  return shared.flatMap((file) => {
    const users = usersOf(file.path, files)
    if (published.some((path) => users.has(path)) || users.size >= 2) return []
    const who = users.size === 0 ? 'no folder needs it' : `only ${[...users].join()}/ needs it`
    return [`${file.path}: ${who}: move it there, or delete it (${file.room}/ is for what two folders share)`]
  })
}

export const shortFiles: Rule = ({ files }) =>
  files
    .filter((file) => file.lineCount > 400)
    .map((file) => `${file.path}: ${file.lineCount} lines; over 400 a file asks to become two`)

/** npm leaves out, silently, what the registry lacks; `npm ci` on another platform then fails (docs/decisions/004). */
export function lockfileFindings(lock: {
  packages: Record<string, { optionalDependencies?: Record<string, string> }>
}) {
  const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, '')))
  return Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !names.has(name))
      .map(
        (name) =>
          `package-lock.json: ${path} wants ${name}, which has no entry: \`npm ci\` will fail; take another version`,
      ),
  )
}

function isCore(file: SourceFile): boolean {
  const isDoor = doorFiles.some((name) => file.path === `${file.room}/${name}`)
  return rooms[file.room]?.role === true && !file.isTest && !isDoor
}

function mayImport(file: SourceFile, to: string): boolean {
  return rooms[file.room]?.imports.includes(to) === true || (to === 'test' && file.isTest)
}

/** The folders outside its own that need a file, by themselves or through other files of its folder. */
function usersOf(path: string, files: readonly SourceFile[]): Set<string> {
  const room = path.split('/')[0]
  const users = new Set<string>()
  const reached = new Set([path])
  for (const target of reached) {
    if (published.includes(target)) users.add(target)
    for (const file of files) {
      if (file.isTest || file.room === 'bench' || !file.imports.some((one) => one.target === target)) continue
      if (file.room === room) reached.add(file.path)
      else users.add(file.room)
    }
  }
  return users
}

function isOfNode(specifier: string): boolean {
  return specifier.startsWith('node:')
}

function allImports(files: readonly SourceFile[]) {
  return files.flatMap((file) => file.imports.map((one) => ({ file, ...one })))
}

/** `broker/log.ts:17: Date.now` for each match. */
function found(file: SourceFile, pattern: RegExp): string[] {
  return [...file.code.matchAll(pattern)].map((match) => `${file.path}:${lineOf(file.code, match.index)}: ${match[0]}`)
}

function withoutEnding(path: string): string {
  return path.replace(/\.(ts|tsx|js)$/, '')
}
