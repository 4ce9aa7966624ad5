/** What goes between two sites, and what fails on its way. */

import { t as root, test } from 'tap'
import { transferRecord } from '#store/samples'
import { errorClasses } from '#telemetry/outcome'
import type { TelemetryRecord } from '#telemetry/record'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testApi } from '#test/api'
import { testRows } from '#test/api-rows'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const at = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString()
const ends = { source_site: 'SITE_A', destination_site: 'SITE_B' }
const failed = { status: 'failed', bytes: null }

const records: readonly TelemetryRecord[] = [
  transferRecord({ ...ends, id: 'a', time: at(100), bytes: 1000, duration_s: 4 }),
  transferRecord({ ...ends, id: 'b', time: at(90), bytes: 3000, duration_s: 4 }),
  transferRecord({ ...ends, ...failed, id: 'c', time: at(80), error: 'no route to host' }),
  transferRecord({ ...ends, ...failed, id: 'd', time: at(20), error: 'E42', error_class: 'vendor_42', bytes: 6 }),
  transferRecord({ ...ends, id: 'old', time: at(100_000) }),
  transferRecord({ ...ends, id: 'back', time: at(10), source_site: 'SITE_B', destination_site: 'SITE_A' }),
  transferRecord({ id: 'half', time: at(10), destination_site: 'SITE_B', bytes: 5 }),
  transferRecord({ id: 'none', time: at(10), site: 'SITE_B', bytes: 7, status: 'failed', error: 'i/o timeout' }),
  transferRecord({ id: 'far', time: at(10), site: 'SITE_C', source_site: 'SITE_C' }),
]

const link = '/api/v1/sites/SITE_A/SITE_B'
const errors = '/api/v1/transfers/errors'
const classes = (body: any) => body.classes.map((each: any) => [each.error_class, each.transfers])

testRows(
  { filled: await testApi(root, { records, nowMs }), bare: await testApi(root, { nowMs }) },
  {
    getLink: {
      happy: [
        [
          link,
          (body) => ({ ...body, windows: [], as_of: '' }),
          {
            as_of: '',
            windows: [],
            ...ends,
            start: '2025-07-17T20:43:00Z',
            end: '2025-07-18T20:43:00Z',
            source_known: true,
            destination_known: true,
            transfers: 4,
            failed: 2,
            bytes: 4006,
            throughput_bytes_per_s: 4006 / 8.84,
            failed_share: 0.5,
            duration_s: 8 + 2 * 0.84,
            statuses: { success: 2, failed: 2 },
            error_classes: { vendor_42: 1, unreachable: 1 },
            last: at(20).replace('.000', ''),
            last_error: 'E42',
            untold: { transfers: 2, bytes: 12 },
            window_s: 961,
          },
        ],
        [
          `${link}?start=-2m&window=1m`,
          (body) =>
            body.windows.map((each: any) => [
              each.time,
              each.transfers,
              each.failed,
              each.throughput_bytes_per_s,
              each.carried_bytes_per_s,
            ]),
          [
            ['2025-07-18T20:41:00Z', 3, 1, 500, 4000 / 60],
            ['2025-07-18T20:42:00Z', 1, 1, 6 / 0.84, 0.1],
          ],
        ],
        [
          // The last window has ten seconds in the range.
          `${link}?start=-60s&end=-50s&window=1m`,
          (body) => [body.windows.length, body.transfers],
          [1, 0],
        ],
        [
          `${link}?start=-110s&end=-85s&window=1m`,
          (body) => body.windows.map((each: any) => each.carried_bytes_per_s),
          [160],
        ],
        [`${link}?start=-2d`, (body) => body.transfers, 5],
        [
          '/api/v1/sites/SITE_B/SITE_A',
          (body) => [body.transfers, body.untold.transfers, body.last_error],
          [1, 1, null],
        ],
        [
          '/api/v1/sites/SITE_A/nowhere',
          (body) => [body.transfers, body.destination_known, body.failed_share, body.throughput_bytes_per_s],
          [0, false, null, null],
        ],
      ],
      empty: [
        link,
        (body) => [body.transfers, body.source_known, body.last, body.windows.length],
        [0, false, null, 91],
      ],
      wrong: [
        [`${link}?start=-1d&window=1s`, 400, 'bad_parameter', /more than 1000 windows: want 87s at least/],
        [`${link}?start=soon`, 400, 'bad_parameter', /start=soon: want RFC 3339/],
        [`${link}?end=-2d&start=-1d`, 400, 'bad_parameter', /is not after start/],
        [`${link}?site=x`, 400, 'unknown_parameter', /site is not known/],
      ],
    },
    listTransferErrors: {
      happy: [
        [
          errors,
          (body) => [body.transfers, body.failed, classes(body)],
          [
            8,
            3,
            [
              ['timeout', 1],
              ['unreachable', 1],
              ['vendor_42', 1],
            ],
          ],
        ],
        [
          `${errors}?site=SITE_A&start=-30s`,
          (body) => body.classes,
          [
            {
              error_class: 'vendor_42',
              transfers: 1,
              share: 1,
              bytes: 6,
              sites: { SITE_A: 1 },
              last: at(20).replace('.000', ''),
              last_error: 'E42',
            },
          ],
        ],
        [`${errors}?source_site=SITE_A&destination_site=SITE_B`, (body) => body.failed, 2],
        [`${errors}?limit=1`, (body) => [body.truncated, body.cursor], [true, 'timeout']],
        [
          `${errors}?limit=1&cursor=timeout`,
          (body) => [classes(body), body.cursor],
          [[['unreachable', 1]], 'unreachable'],
        ],
        [`${errors}?cursor=unreachable`, (body) => [classes(body), body.cursor], [[['vendor_42', 1]], null]],
      ],
      empty: [errors, (body) => [body.transfers, body.failed, body.classes], [0, 0, []]],
      wrong: [
        [`${errors}?cursor=x`, 400, 'bad_parameter', /cursor: want one of an answer before/],
        [`${errors}?end=2025-07-18`, 400, 'bad_parameter', /end=2025-07-18: want RFC 3339/],
        [`${errors}?class=timeout`, 400, 'unknown_parameter', /class is not known/],
      ],
    },
  },
)

test('docs/API.md lists the classes that errors are read as', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/API.md'), 'utf8')
  for (const { errorClass } of errorClasses) t.ok(text.includes(`\`${errorClass}\``), errorClass)
})
