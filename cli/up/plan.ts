/** What `penstock up` is going to start, and with which settings: nothing is started here. */

import { hash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { fileSettingOf, flagOf, readSettings, SettingsError, type SettingTable } from '#lib/settings'
import { isInput } from '#streamer/input'
import { conflictsOf } from '#streamer/settings'
import { demoDirOf } from '../demo.ts'
import { notTaken, roleTables, type UpSettings } from './settings.ts'
import type { Route } from './settled.ts'

export interface RolePlan {
  /** How it is called in the logs: `broker-0`. */
  readonly name: string
  readonly role: keyof typeof roleTables
  /** Settings that differ from what `up` was given, by name. */
  readonly settings: Readonly<Record<string, string>>
  /** It reads the standard input of `up`. */
  readonly takesInput?: boolean
}

export interface Plan {
  readonly dataDir: string
  /** A fleet that does not exist is streamed. */
  readonly demo: boolean
  /** Names the sources, the same for the same ones: whose account of the ledger it is. */
  readonly sources: string
  readonly route: Route
  readonly brokers: readonly RolePlan[]
  readonly proxy: RolePlan
  readonly collector: RolePlan
  readonly streamer: RolePlan
  /** The key of the API that the link to the dashboard carries. */
  readonly apiKey: string
  /** None for a run that ends by itself: nobody would look. */
  readonly api: RolePlan | undefined
}

type Variables = Readonly<Record<string, string | undefined>>

/** Two, so that the ring is a real one. */
const brokerCount = 2

const offsets = { api: 0, proxy: 1, streamer: 2, collector: 3, broker: 10 }
const portMax = 65_535

/**
 * @param flags what was given to `up`, for settings of the roles, too
 * @param newKey the key of the API when none is given
 * @throws SettingsError for a setting that a role would refuse
 */
export function planOf(settings: UpSettings, env: Variables, flags: Variables, newKey: string): Plan {
  const { csv, port, loop, once, apiKeys } = settings
  const wrong: string[] = []
  const lastOffset = offsets.broker + brokerCount - 1
  if (port + lastOffset > portMax) {
    wrong.push(
      `PORT=${port}: want a port up to ${portMax - lastOffset}, because the last broker listens on PORT+${lastOffset}`,
    )
  }
  wrong.push(...conflictsOf(settings))
  if (once && loop) wrong.push('--once with --loop would never end: want one of them')
  const demo = settings.demo || csv.length === 0
  if (once && demo) wrong.push('--once wants something that ends: --csv FILE')
  for (const row of notTaken) {
    const given = [flags[flagOf(row).slice(2)], env[`PENSTOCK_${row.name}`], env[row.name]]
    if (given.every((text) => text === undefined || text === '')) continue
    wrong.push(`${row.name}: penstock up speaks plain HTTP on this machine; start the roles one by one for TLS`)
  }
  if (demo && csv.length > 0) wrong.push('--demo with --csv: want one of them')

  const dataDir = demo ? demoDirOf(settings.dataDir) : settings.dataDir
  const portOf = (role: keyof typeof offsets, index: number) => String(port === 0 ? 0 : port + offsets[role] + index)
  const shared = { HOST: settings.host, STOP_GRACE: `${settings.stopGraceMs}ms`, DATA_DIR: dataDir }
  const plan = (name: string, role: RolePlan['role'], own: Record<string, string>, index = 0): RolePlan => {
    const given = Object.fromEntries(
      Object.values<{ name: string; secret?: boolean }>(roleTables[role])
        .flatMap((row) => (row.secret === true ? [row, fileSettingOf(row)] : [row]))
        .map((row) => [row.name, flags[flagOf(row).slice(2)]]),
    )
    return { name, role, settings: withoutUndefined({ ...given, ...shared, PORT: portOf(role, index), ...own }) }
  }
  const brokers = Array.from({ length: brokerCount }, (_, index) => {
    const name = `broker-${index}`
    return plan(name, 'broker', { BROKER_INDEX: String(index), DATA_DIR: join(dataDir, name) }, index)
  })
  const proxy = plan('proxy', 'proxy', {})
  const collector = plan('collector', 'collector', {})
  const ofInput = isInput(csv)
  const streamer = { ...plan('streamer', 'streamer', { DEMO: String(demo) }), takesInput: ofInput }
  const givenKey = apiKeys?.current
  const api = once
    ? undefined
    : plan('api', 'api', { DEMO: String(demo), ...(givenKey === undefined ? { API_KEY: newKey } : {}) })

  for (const { role, settings: own } of [...brokers, proxy, collector, streamer, ...(api === undefined ? [] : [api])])
    wrong.push(...problemsOf(roleTables[role], env, own))
  if (wrong.length > 0) throw new SettingsError([...new Set(wrong)])

  const { msgQueueTopic, transfersTopic, group } = readSettings(roleTables.collector, {
    env: environmentOf(env, collector),
  })
  return {
    dataDir,
    demo,
    // What comes by standard input is other rows each time, so each run has an account of its own.
    sources: demo ? 'demo' : ofInput ? `- ${hash('sha256', newKey)}` : csv.map((entry) => resolve(entry)).join('\n'),
    route: { topics: [msgQueueTopic, transfersTopic], group },
    brokers,
    proxy,
    collector,
    streamer,
    apiKey: givenKey ?? newKey,
    api,
  }
}

/** The environment of a role: what is set here comes with the prefix, which wins over a variable without it. */
export function environmentOf(env: Variables, { settings }: RolePlan): Variables {
  const own = Object.entries(settings).map(([name, value]) => [`PENSTOCK_${name}`, value])
  return { ...env, ...Object.fromEntries(own) }
}

function problemsOf(table: SettingTable, env: Variables, own: RolePlan['settings']): readonly string[] {
  // As flags, because that is what a person wrote; the values of `up` itself are right anyway.
  const flags = Object.fromEntries(Object.entries(own).map(([name, value]) => [flagOf({ name }).slice(2), value]))
  try {
    readSettings(table, { env, flags })
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.lines
    throw error
  }
}

function withoutUndefined(record: Variables): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
