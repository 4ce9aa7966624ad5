/** `penstock keys create|list|rotate|expire|revoke`: the keys of the API, by the API. */

import type { KeyInfo } from '#api/contract'
import { setting } from '#lib/settings'
import type { Transport } from '#wire/transport'
import { UsageError } from '../args.ts'
import { command, type Io } from '../command.ts'
import { formatTable, printable, type Column } from '../table.ts'
import { explainedApi, reachSettings, reachVariables, transportTo } from './api.ts'

const verbs = ['create', 'list', 'rotate', 'expire', 'revoke'] as const
type Verb = (typeof verbs)[number]

/** Keys of one page. */
const pageKeys = 1000

const columns: readonly Column<KeyInfo>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'NAME', of: ({ name }) => printable(name) },
  { head: 'STATE', of: ({ state }) => state },
  { head: 'SCOPES', of: ({ scopes }) => scopes.join(',') },
  { head: 'BOUND TO', of: (key) => printable(boundsText(key)) },
  { head: 'CREATED', of: ({ created }) => dayOf(created) },
  { head: 'EXPIRES', of: ({ expires }) => dayOf(expires) },
  { head: 'LAST USED', of: ({ last_used }) => dayOf(last_used) },
]

const listOf = (name: string, help: string) => setting.list(name, { help, default: '' })

const own = {
  scopes: listOf('SCOPES', 'create: what it may do, of read, produce, consume, admin'),
  topics: listOf('TOPICS', 'create: only these topics'),
  hosts: listOf('HOSTS', 'create: only GPUs of these hosts'),
  sites: listOf('SITES', 'create: only transfers of these sites'),
  expires: setting.text('EXPIRES', {
    help: 'create: when it ends, RFC 3339 or a time from now such as 90d; default never',
  }),
  at: setting.text('AT', { help: 'expire: when it ends, RFC 3339 or a time from now such as 1h' }),
  grace: setting.text('GRACE', { help: 'rotate: how long the secret before works on; default 24h' }),
  json: setting.boolean('JSON', { help: 'JSON instead of a table', default: 'false' }),
}

export const keys = command({
  name: 'keys',
  usage: 'create NAME | list | rotate ID | expire ID | revoke ID',
  about: `The keys of the API, by the API: it wants one that may do everything, such as one of API_KEY. A key is shown once, when
it is made or rotated, on standard output; everything else is said on standard error.

  create  makes a key; --scopes is what it may do, --hosts, --sites and --topics what of
  list    all of them, without their secrets
  rotate  gives a key another secret; the one before works on for --grace
  expire  lets it end at a moment, --at; an end can be made earlier, not later
  revoke  ends it now, for ever
`,
  more: `  penstock keys create grafana --scopes read --expires 90d
  penstock keys create node-7 --scopes produce --hosts node-7
  penstock keys rotate 4hXqz0TnLm --grace 1h
`,
  settings: {
    ...reachSettings,
    apiKey: setting.secrets('API_KEY', {
      help: 'a key of the scope admin',
      pattern: /^[\x21-\x2b\x2d-\x7e]{8,512}$/,
      want: 'a key',
    }),
    ...own,
  },
  reads: reachVariables,
  positionals: { min: 1, max: 2 },
  async run(settings, io, { positionals: [name = '', subject] }) {
    const verb = verbs.find((each) => each === name)
    if (verb === undefined) throw new UsageError([`want ${verbs.join(', ')}, not ${JSON.stringify(name)}`])
    checkUsage(verb, subject, settings)
    const { apiUrl: url, tlsCa, tlsClientCert, tlsClientKey } = settings
    const api = await transportTo({ apiUrl: url, tlsCa, tlsClientCert, tlsClientKey }, settings.apiKey, io)
    try {
      if (verb === 'list') list(await allKeys(api), settings.json, io)
      else if (verb === 'create')
        show(await api.json<Made>('POST', '/api/v1/keys', bodyOf(subject as string, settings)), settings.json, io)
      else {
        const query = verb === 'rotate' ? { grace: settings.grace } : verb === 'expire' ? { at: settings.at } : {}
        const path = `/api/v1/keys/${encodeURIComponent(subject as string)}/${verb}`
        show(await api.json<Made>('POST', path, { query }), settings.json, io)
      }
      return 0
    } catch (error) {
      throw explainedApi(
        error,
        url,
        (detail) => `${url} wants a key of the scope admin: set API_KEY or API_KEY_FILE (${detail})`,
      )
    }
  },
})

interface Made {
  readonly key: KeyInfo
  readonly secret?: string
}

type Given = { readonly [Key in 'scopes' | 'topics' | 'hosts' | 'sites']: readonly string[] } & {
  readonly [Key in 'expires' | 'at' | 'grace']: string | undefined
}

function checkUsage(verb: Verb, subject: string | undefined, given: Given): void {
  const wrong: string[] = []
  if (verb === 'list' && subject !== undefined) wrong.push(`unexpected ${JSON.stringify(subject)}: list lists all keys`)
  if (verb === 'create' && subject === undefined) wrong.push('create wants a name: what the key is for')
  if (verb !== 'list' && verb !== 'create' && subject === undefined) wrong.push(`${verb} wants the ID of a key`)
  if (verb === 'create' && given.scopes.length === 0) wrong.push('create wants --scopes, such as --scopes read')
  if (verb === 'expire' && given.at === undefined) wrong.push('expire wants --at, such as --at 1h')
  const ofVerb = {
    scopes: 'create',
    topics: 'create',
    hosts: 'create',
    sites: 'create',
    expires: 'create',
    at: 'expire',
    grace: 'rotate',
  }
  for (const [flag, owner] of Object.entries(ofVerb)) {
    const value = given[flag as keyof Given]
    if (owner !== verb && value !== undefined && value.length > 0) wrong.push(`--${flag} is for ${owner}`)
  }
  if (wrong.length > 0) throw new UsageError(wrong)
}

function bodyOf(name: string, { scopes, topics, hosts, sites, expires }: Given) {
  const bounds = Object.entries({ topics, hosts, sites }).filter(([, names]) => names.length > 0)
  const body = { name, scopes, ...Object.fromEntries(bounds), ...(expires === undefined ? {} : { expires }) }
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
}

async function allKeys(api: Transport): Promise<KeyInfo[]> {
  const found: KeyInfo[] = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const query: Record<string, string | number | undefined> = { limit: pageKeys, cursor }
    const page: { keys: KeyInfo[]; cursor: string | null } = await api.json('GET', '/api/v1/keys', { query })
    found.push(...page.keys)
    cursor = page.cursor
  }
  return found
}

function list(found: readonly KeyInfo[], asJson: boolean, io: Io): void {
  if (asJson) io.stdout.write(found.map((key) => `${JSON.stringify(key)}\n`).join(''))
  else if (found.length > 0) io.stdout.write(formatTable(columns, found))
  else io.stderr.write('no keys have been made; those of API_KEY are not listed\n')
}

/** The secret alone goes to standard output, so that it can be piped to where it is kept. */
function show({ key, secret }: Made, asJson: boolean, io: Io): void {
  if (asJson) {
    io.stdout.write(`${JSON.stringify(secret === undefined ? { key } : { key, secret })}\n`)
    return
  }
  io.stderr.write(formatTable(columns, [key]))
  if (key.previous_until !== null) io.stderr.write(`the secret before works until ${key.previous_until}\n`)
  if (secret === undefined) return
  io.stderr.write('this is the key; it is shown this once:\n')
  io.stdout.write(`${secret}\n`)
}

function boundsText({ hosts, sites, topics }: KeyInfo): string {
  const parts = Object.entries({ hosts, sites, topics }).filter((part): part is [string, string[]] => part[1] !== null)
  return parts.map(([what, names]) => `${what} ${names.join(',')}`).join('; ')
}

/** `2026-01-01T00:00Z`. */
function dayOf(time: string | null): string | undefined {
  return time === null ? undefined : `${time.slice(0, 16)}Z`
}
