/** The settings of the broker. */

import { httpSettings } from '#lib/http/settings'
import { commonSettings, setting, WrongValue, type Setting, type Settings } from '#lib/settings'
import { tracingSettings } from '#lib/tracing'
import { deadSuffix, partitionsMax } from '#wire/ids'

import { completed, contradiction, isTopicName, optionNames, readOptions, type GivenOptions } from './options.ts'

/** What `TOPICS` says of each topic, by name. */
export type TopicSettings = ReadonlyMap<string, GivenOptions>

const topics: Setting<TopicSettings> = {
  name: 'TOPICS',
  help: 'topics to make at start, and what they shall be; those on disk are served too',
  want: `name[:option=value …], several with commas; options ${optionNames.join(', ')}`,
  fallback: 'telemetry,transfers',
  parse(text) {
    const read = new Map<string, GivenOptions>()
    for (const part of text.split(',')) {
      const [name, options] = parseTopic(part.trim())
      if (read.has(name)) throw new WrongValue(`${name} is named twice: give each topic once, with all of its options`)
      read.set(name, options)
    }
    return read
  },
}

export const brokerSettings = {
  ...commonSettings,
  ...httpSettings,
  ...tracingSettings,
  brokerIndex: setting.integer('BROKER_INDEX', {
    help: 'number of this broker in its cluster, from 0; the data folder remembers it',
    default: '0',
    min: 0,
    max: 99_999,
  }),
  topics,
  partitionsPerTopic: setting.integer('PARTITIONS_PER_TOPIC', {
    help: 'partitions of a new topic of which nobody says it',
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
  maxAttempts: setting.integer('MAX_ATTEMPTS', {
    help: 'how often a record is sent before it becomes a dead letter; default 5 in shared groups, for ever in exclusive ones',
    min: 2,
    max: 1_000_000,
  }),
  groupExpiryMs: setting.duration('GROUP_EXPIRY', {
    help: 'a group in which nobody has read for so long is forgotten, not within a day of a start',
    default: '7d',
    min: '1m',
    max: '3650d',
  }),
  queueSize: setting.integer('QUEUE_SIZE', {
    help: 'records that a partition of a memory topic keeps in memory alone; beyond that they are written',
    default: '100000',
    min: 0,
    max: 100_000_000,
  }),
  memoryBytes: setting.bytes('MEMORY_BYTES', {
    help: 'newest records kept in memory, over all partitions; less 6KiB a partition for itself, at most half',
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
  inlineWriteBytes: setting.bytes('INLINE_WRITE_BYTES', {
    help: 'a write of so much at most goes to the page cache without a thread; 0 for a disk that may hang, such as NFS',
    default: '16KiB',
    min: '0',
    max: '1MiB',
  }),
  maxOpenFiles: setting.integer('MAX_OPEN_FILES', {
    help: 'files kept open at one time; default half of what the process may open (ulimit -n)',
    min: 16,
    max: 1_000_000,
  }),
  diskFloorBytes: setting.bytes('DISK_FLOOR', {
    help: 'free bytes of the disk below which produce is refused; default 1GiB, of a small disk 5 %; 0 is none',
    min: '0',
    max: '1024TiB',
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

function parseTopic(text: string): [string, GivenOptions] {
  const [name = '', ...parts] = text.split(':')
  if (!isTopicName(name)) {
    throw new WrongValue(
      `${JSON.stringify(name.slice(0, 140))} is no name of a topic: want 1 to 123 of A-Z a-z 0-9 . _ -, ` +
        `not starting with a dot and not ending in ${deadSuffix}`,
    )
  }
  const values: Record<string, string> = {}
  for (const part of parts) {
    const equals = part.indexOf('=')
    const option = equals === -1 ? part : part.slice(0, equals)
    if (Object.hasOwn(values, option)) throw new WrongValue(`${name}: ${option} is given twice`)
    values[option] = equals === -1 ? '' : part.slice(equals + 1)
  }
  const options = readOptions(values)
  if ('wrong' in options) throw new WrongValue(`${name}: ${options.wrong}`)
  const wrong = contradiction(completed({ partitions: 1, ...options }), partitionsMax)
  if (wrong !== undefined) throw new WrongValue(`${name}: ${wrong}`)
  return [name, options]
}
