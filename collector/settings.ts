/** The settings of the collector. */

import { httpSettings } from '#lib/http/settings'
import { commonSettings, setting, type Settings } from '#lib/settings'
import { tracingSettings } from '#lib/tracing'
import { storeSettings } from '#store/settings'
import { isName } from '#wire/ids'

const name = { pattern: { test: isName } as RegExp, want: '1 to 128 of A-Z a-z 0-9 . _ - not starting with a dot' }

export const collectorSettings = {
  ...commonSettings,
  ...httpSettings,
  ...tracingSettings,
  ...storeSettings,
  msgQueueAddr: setting.url('MSG_QUEUE_ADDR', {
    help: 'the broker or proxy to read from',
    default: 'http://127.0.0.1:8081',
  }),
  msgQueueTopic: setting.text('MSG_QUEUE_TOPIC', { help: 'the topic of GPU metrics', default: 'telemetry', ...name }),
  transfersTopic: setting.text('TRANSFERS_TOPIC', { help: 'the topic of transfers', default: 'transfers', ...name }),
  group: setting.text('GROUP', {
    help: 'the group to read as: the broker remembers how far it is',
    default: 'collector',
    ...name,
  }),
  batchRecords: setting.integer('BATCH_RECORDS', {
    help: 'records that are enough for a write; while more wait, up to four times as many are written at once',
    default: '5000',
    min: 1,
    max: 100_000,
  }),
  batchBytes: setting.bytes('BATCH_BYTES', {
    help: 'a batch that has grown to this is written, however few its records are',
    default: '8MiB',
    min: '1KiB',
    max: '256MiB',
  }),
  batchWaitMs: setting.duration('BATCH_WAIT', {
    help: 'how long a record waits for its batch to fill',
    default: '200ms',
    min: '0',
    max: '1m',
  }),
  visibilityMs: setting.duration('VISIBILITY_TIMEOUT', {
    help: 'how long the broker waits for an acknowledgement; while the store is away it is asked for more time',
    default: '30s',
    min: '1s',
    max: '12h',
  }),
}

export type CollectorSettings = Settings<typeof collectorSettings>
