/** The settings of the streamer. */

import { httpSettings } from '#lib/http/settings'
import { commonSettings, setting, WrongValue, type Setting, type Settings } from '#lib/settings'
import { tracingSettings } from '#lib/tracing'
import { Zone } from '#telemetry/zone'
import { inputEntry, isInput } from './input.ts'
import { Replay } from './pace.ts'

const csv = setting.list('CSV', {
  help:
    'what to read: CSV files (also .csv.gz and .csv.zst), folders of them and globs, in this order, or - for standard input; their ' +
    'header tells the format (DCGM export, nvidia-smi, transfer log)',
  want: 'files, folders and globs with commas',
  default: '',
})

export const streamerSettings = {
  ...commonSettings,
  ...httpSettings,
  ...tracingSettings,
  csv: {
    ...csv,
    parse(text: string) {
      const entries = csv.parse(text)
      if (entries !== undefined && entries.length > 1 && entries.includes(inputEntry))
        throw new WrongValue(`${inputEntry} is standard input, and stands alone: want it, or ${csv.want}`)
      return entries
    },
  },
  rate: setting.integer('RATE', { help: 'rows a second, over all files; default as fast as possible', min: 1 }),
  realtime: setting.boolean('REALTIME', {
    help: 'rows go as far apart as their times are; times that go back hold nothing up',
    default: 'false',
  }),
  speed: {
    ...setting.text('SPEED', {
      help: 'as REALTIME, and so many times as fast',
      want: 'a number above 0 such as 10 or 0.5',
    }),
    parse: (text: string) => (/^\d{0,9}\.?\d{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
  } as Setting<number | undefined>,
  gapMsMax: setting.duration('GAP_MAX', {
    help: 'with REALTIME or SPEED: longer waits for the next row are so long; default as long as they are',
    min: '1ms',
    max: '365d',
  }),
  times: setting.choice('TIMES', {
    help:
      'keep: the times of the rows; now: the first row is of now, and all others keep their distance to it, also after a ' +
      'restart; transfers get new ids',
    values: ['keep', 'now'],
    default: 'keep',
  }),
  loop: setting.boolean('LOOP', {
    help:
      'read the files again and again: each pass shifts all times by the span of the first one plus its smallest step (at ' +
      'least 1s), so that it makes new points; transfers get new ids',
    default: 'false',
  }),
  timeZone: {
    ...setting.text('TIME_ZONE', {
      help: 'the zone of times that have none, as those of nvidia-smi: a name such as Europe/Berlin, or local for that of this machine',
      want: 'UTC, local, or the name of a time zone such as Europe/Berlin',
      default: 'UTC',
    }),
    parse: (text: string) => (isZone(text) ? text : undefined),
  },
  sourceHost: setting.text('SOURCE_HOST', {
    help: "the host of rows that name none, as nvidia-smi's; default the name of this machine",
  }),
  demo: setting.boolean('DEMO', { help: 'stream a model of a GPU fleet at work', default: 'false' }),
  demoSeed: setting.integer('DEMO_SEED', {
    help: 'another number is another fleet',
    default: '1',
    min: 0,
    max: 2 ** 31,
  }),
  demoHosts: setting.integer('DEMO_HOSTS', { help: 'hosts of the demo, 8 GPUs each', default: '4', min: 1, max: 1000 }),
  demoStepMs: setting.duration('DEMO_STEP', {
    help: 'from one reading of the demo to the next',
    default: '5s',
    min: '100ms',
    max: '10m',
  }),
  demoHistoryMs: setting.duration('DEMO_HISTORY', {
    help: 'how far back the demo begins, and how much it makes up for after a stop',
    default: '30m',
    min: '0',
    max: '7d',
  }),
  msgQueueAddr: setting.url('MSG_QUEUE_ADDR', {
    help: 'the broker or proxy to send to',
    default: 'http://127.0.0.1:8081',
  }),
  straight: setting.boolean('STRAIGHT', {
    help:
      'behind a proxy: send each batch to the broker that owns its partition, and through the proxy where that fails; the ' +
      'brokers must be reachable by the addresses that the proxy has',
    default: 'false',
  }),
  msgQueueTopic: setting.text('MSG_QUEUE_TOPIC', { help: 'the topic of GPU metrics', default: 'telemetry' }),
  transfersTopic: setting.text('TRANSFERS_TOPIC', { help: 'the topic of transfers', default: 'transfers' }),
  rescanMs: setting.duration('RESCAN', {
    help: 'how often folders and globs are looked at again',
    default: '2s',
    min: '100ms',
    max: '1h',
  }),
}

/** What is wrong with settings that are right one by one, each in a line. */
export function conflictsOf(
  settings: Pick<StreamerSettings, 'csv' | 'loop' | 'rate' | 'realtime' | 'speed' | 'gapMsMax'>,
): string[] {
  const { csv: entries, loop, rate, realtime, speed, gapMsMax } = settings
  const paces = [
    ...(rate === undefined ? [] : ['--rate']),
    ...(realtime ? ['--realtime'] : []),
    ...(speed === undefined ? [] : ['--speed']),
  ]
  const isReplay = realtime || speed !== undefined
  return [
    ...(paces.length > 1 ? [`${paces.join(' with ')}: want one of them`] : []),
    ...(gapMsMax !== undefined && !isReplay ? ['--gap-max wants --realtime or --speed'] : []),
    ...(loop && isInput(entries)
      ? ['--loop reads files again, and standard input (--csv -) is gone when it is read']
      : []),
  ]
}

/** The pace of the rows' own times, where it is asked for. */
export function replayOf({
  realtime,
  speed,
  gapMsMax = Infinity,
}: Pick<StreamerSettings, 'realtime' | 'speed' | 'gapMsMax'>): Replay | undefined {
  return realtime || speed !== undefined ? new Replay(speed ?? 1, gapMsMax) : undefined
}

function isZone(name: string): boolean {
  try {
    return new Zone(name) instanceof Zone
  } catch {
    return false
  }
}

export type StreamerSettings = Settings<typeof streamerSettings>
