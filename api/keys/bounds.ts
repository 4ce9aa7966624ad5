/** What of the data a key is bound to: topics, hosts, sites. */

import type { TelemetryRecord } from '#telemetry/record'
import { deadSuffix } from '#wire/ids'
import { Problem } from '#wire/problems'

/** The topic of the keys themselves. */
export const keysTopic = '_keys'

/** What a key names; `null`: it is not bound in this. */
export interface BoundNames {
  readonly topics: readonly string[] | null
  readonly hosts: readonly string[] | null
  readonly sites: readonly string[] | null
}

/** By which topic each kind of data comes in. */
export interface DataTopics {
  readonly gpus: string
  readonly transfers: string
}

/**
 * A bound key sees what it is bound to, and nothing else: one that names hosts alone sees no transfers, one that names sites
 * alone no GPUs, and one that names topics sees of the store what comes in by those. `undefined` is everything.
 */
export class Bounds {
  readonly topics: ReadonlySet<string> | undefined
  readonly hosts: ReadonlySet<string> | undefined
  readonly sites: ReadonlySet<string> | undefined
  /** Whether it is bound at all. */
  readonly isBound: boolean
  /** Whether anything of the data is kept from it but whole topics. */
  readonly isNarrow: boolean
  /** What it was made of, for another thread. */
  readonly given: readonly [BoundNames, DataTopics]

  constructor(names: BoundNames, data: DataTopics) {
    const { topics, hosts, sites } = names
    this.given = [names, data]
    this.isNarrow = hosts !== null || sites !== null
    this.isBound = this.isNarrow || topics !== null
    this.topics = topics === null ? undefined : new Set(topics)
    this.hosts = this.#seen(hosts, data.gpus)
    this.sites = this.#seen(sites, data.transfers)
  }

  #seen(names: readonly string[] | null, topic: string): ReadonlySet<string> | undefined {
    if (this.topics?.has(topic) === false) return nothing
    if (names !== null) return new Set(names)
    return this.isNarrow ? nothing : undefined
  }

  seesHost(hostname: string): boolean {
    return this.hosts === undefined || this.hosts.has(hostname)
  }

  seesSite(site: string): boolean {
    return this.sites === undefined || this.sites.has(site)
  }

  /** A topic, or that of its dead letters. */
  seesTopic(topic: string): boolean {
    const base = topic.endsWith(deadSuffix) ? topic.slice(0, -deadSuffix.length) : topic
    return this.topics === undefined || this.topics.has(base)
  }

  /** Series of the kind `metric` carry tags of any meaning: no host can be told for sure. */
  get seesMetrics(): boolean {
    return this.hosts === undefined
  }

  /** Whether a record may be shown to it, and sent by it. */
  seesRecord(record: TelemetryRecord): boolean {
    if (record.kind === 'gpu') return this.seesHost(record.hostname)
    return record.kind === 'transfer' ? this.seesSite(record.site) : this.seesMetrics
  }

  /**
   * Holds a request to the topics that it may name.
   *
   * @throws Problem `forbidden`
   */
  needTopic(topic: string): void {
    if (topic === keysTopic || topic === keysTopic + deadSuffix) {
      throw new Problem('forbidden', `${topic} is the API's own: keys are read and changed at /api/v1/keys`)
    }
    if (!this.seesTopic(topic)) throw new Problem('forbidden', `the key is not for the topic ${topic}`)
  }

  /** @throws Problem `forbidden` for a record that it may not send */
  needRecord(record: TelemetryRecord, where = ''): void {
    if (this.seesRecord(record)) return
    const [what, name] =
      record.kind === 'gpu'
        ? ['host', record.hostname]
        : record.kind === 'transfer'
          ? ['site', record.site]
          : ['kind', 'metric']
    throw new Problem('forbidden', `${where}the key is not for the ${what} ${JSON.stringify(name.slice(0, 100))}`)
  }
}

const nothing: ReadonlySet<string> = new Set()

/** Of a key that may see everything. */
export function unboundOf(data: DataTopics): Bounds {
  return new Bounds({ topics: null, hosts: null, sites: null }, data)
}
