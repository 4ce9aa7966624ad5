/** The settings of the broker. */

import { commonSettings, setting, type Setting, type Settings } from '#lib/settings'
import { deadSuffix, isName, partitionsMax } from '#wire/ids'

import type { Durability } from './log/types.ts'

/** One topic of `TOPICS`. */
export interface TopicSetting {
  readonly name: string
  /** `undefined` where the default of all topics holds. */
  readonly partitions: number | undefined
  readonly durability: Durability
}

const topics: Setting<readonly TopicSetting[]> = {
  name: 'TOPICS',
  help: 'topics to make at start; those on disk are served too',
  want: 'name[:partitions=N][:durability=fsync|disk|memory], several with commas',
  fallback: 'telemetry,transfers',
  parse(text) {
    return text.split(',').map((part) => parseTopic(part.trim()))
  },
}

export const brokerSettings = {
  ...commonSettings,
  brokerIndex: setting.integer('BROKER_INDEX', {
    help: 'number of this broker in its cluster, from 0; the data folder remembers it',
    default: '0',
    min: 0,
    max: 99_999,
  }),
  topics,
  partitionsPerTopic: setting.integer('PARTITIONS_PER_TOPIC', {
    help: 'partitions of a topic that TOPICS does not say it of',
    default: '4',
    min: 1,
    max: partitionsMax,
  }),
  maxPartitions: setting.integer('MAX_PARTITIONS', {
    help: 'partitions that a topic may have at most',
    default: String(partitionsMax),
    min: 1,
    max: partitionsMax,
  }),
  visibilityTimeoutMs: setting.duration('VISIBILITY_TIMEOUT', {
    help: 'how long a delivered record may stay unacknowledged before it is delivered again',
    default: '30s',
    min: '1s',
    max: '12h',
  }),
  maxInFlight: setting.integer('MAX_IN_FLIGHT', {
    help: 'records that a consumer may have in flight, unless it asks for another number',
    default: '10000',
    min: 1,
    max: 10_000_000,
  }),
  queueSize: setting.integer('QUEUE_SIZE', {
    help: 'records that a partition of a memory topic keeps in memory alone; beyond that they are written',
    default: '100000',
    min: 0,
    max: 100_000_000,
  }),
  memoryBytes: setting.bytes('MEMORY_BYTES', {
    help: 'newest records kept in memory, over all partitions',
    default: '256MiB',
    min: '8MiB',
    max: '64GiB',
  }),
  segmentBytes: setting.bytes('SEGMENT_BYTES', {
    help: 'a log file that has grown beyond this is closed and the next one begun',
    default: '256MiB',
    min: '4KiB',
    max: '16GiB',
  }),
  maxOpenFiles: setting.integer('MAX_OPEN_FILES', {
    help: 'files kept open at one time; default half of what the process may open (ulimit -n)',
    min: 16,
    max: 1_000_000,
  }),
  maxBodyBytes: setting.bytes('MAX_BODY_BYTES', {
    help: 'largest body of a produce request',
    default: '8MiB',
    min: '1KiB',
    max: '64MiB',
  }),
  maxRecordBytes: setting.bytes('MAX_RECORD_BYTES', {
    help: 'largest record',
    default: '1MiB',
    min: '1KiB',
    max: '64MiB',
  }),
}

export type BrokerSettings = Settings<typeof brokerSettings>

function parseTopic(text: string): TopicSetting {
  const [name = '', ...options] = text.split(':')
  if (!isName(name) || name.endsWith(deadSuffix)) throw new Error(`${name} is no name of a topic`)
  let partitions: number | undefined
  let durability: Durability = 'fsync'
  for (const option of options) {
    const [key, value = ''] = option.split('=')
    if (key === 'partitions' && /^\d+$/.test(value) && Number(value) >= 1 && Number(value) <= partitionsMax) {
      partitions = Number(value)
    } else if (key === 'durability' && (value === 'fsync' || value === 'disk' || value === 'memory')) durability = value
    else throw new Error(`${option} is no option of a topic`)
  }
  return { name, partitions, durability }
}
