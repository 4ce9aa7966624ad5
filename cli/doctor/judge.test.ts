import { test } from 'tap'
import { setting } from '#lib/settings'
import { applicationId, migrations } from '#store/embedded/schema'
import { judgeApi } from './api.ts'
import { aheadOf, type Answered, judgeClock, shownUrl } from './ask.ts'
import { judgeAddresses, judgeReady, whyRefused } from './broker.ts'
import { judgeRetention, judgeWrite } from './database.ts'
import { judgeDisk, judgeHolder, judgeIdentity } from './disk.ts'
import { judgeFile } from './embedded.ts'
import { judgeCertificate, judgeMode } from './files.ts'
import { judgeMemory, judgeNode, judgeOpenFiles, openFilesIn } from './machine.ts'
import { judgePort } from './port.ts'
import { judgeNames, judgeValue } from './settings.ts'
import type { GroupStatus, MemberStatus, QueueStatus, TopicStatus } from '#wire/status'
import { judgeStatus } from './status.ts'

const GiB = 2 ** 30
const dayMs = 86_400_000

test('a name that no role knows is told with the nearest one, and what others set is left alone', (t) => {
  const known = [
    'QUEUE_SIZE',
    'MSG_QUEUE_ADDR',
    'INFLUXDB_URL',
    'INFLUXDB_ORG',
    'API_KEY',
    'API_KEY_FILE',
    'PORT',
    'TLS_CA',
  ]
  const found = judgeNames(
    ['PENSTOCK_QUEUE_SZE', 'PENSTOCK_ZZZZZZZZZZZZ', 'MSG_QUEUE_ADRD', 'INFLUXDB_DB', 'PATH', 'PENSTOCK_API_KEY_FILE'],
    known,
  )
  t.match(found, [
    { level: 'warning', what: /^MSG_QUEUE_ADRD is no setting/, mend: 'did you mean MSG_QUEUE_ADDR?' },
    { level: 'problem', what: /^PENSTOCK_QUEUE_SZE /, mend: 'did you mean PENSTOCK_QUEUE_SIZE?' },
    { level: 'problem', what: /^PENSTOCK_ZZZZZZZZZZZZ /, mend: /--help lists/ },
  ])
  t.equal(found.length, 3)
  const links = [
    'PENSTOCK_API_SERVICE_HOST',
    'PENSTOCK_API_PORT',
    'PENSTOCK_API_PORT_8080_TCP_ADDR',
    'PENSTOCK_SERVICE_PORT_HTTP',
  ]
  t.strictSame(judgeNames([...links, 'PENSTOCK_PARENT_PIPE'], known), [], 'Kubernetes and penstock up')
  const port = setting.port('PORT', { help: '', default: '8080' })
  t.match(judgeValue(port, 'PENSTOCK_PORT=tcp://10.0.0.1:80: want a port'), { mend: /enableServiceLinks/ })
  t.end()
})

test('a certificate that has ended, ends soon, is of tomorrow, or has another key', (t) => {
  const facts = { name: 'TLS_CERT=c', fromMs: 0, toMs: 100 * dayMs, fitsKey: true }
  t.match(judgeCertificate(facts, 50 * dayMs), { level: 'ok' })
  t.match(judgeCertificate(facts, 90 * dayMs), { level: 'warning', what: /ends in 10 days/ })
  t.match(judgeCertificate(facts, 100 * dayMs), { level: 'problem', what: /ended on 1970-04-11/ })
  t.match(judgeCertificate({ ...facts, fromMs: 60 * dayMs }, 50 * dayMs), { level: 'problem', mend: /clock/ })
  t.match(judgeCertificate({ ...facts, fitsKey: false }, 50 * dayMs), { level: 'problem', what: /key is of another/ })
  t.equal(judgeMode('f', 0o100640).level, 'ok')
  t.match(judgeMode('f', 0o100644), { level: 'warning', mend: /chmod 640/ })
  t.end()
})

test('a disk that is full, has no files left, or is none', (t) => {
  const facts = {
    folder: '/data',
    freeBytes: 50 * GiB,
    totalBytes: 100 * GiB,
    freeFiles: 10,
    allFiles: 20,
    type: 0xef53,
  }
  const wants = { floorBytes: undefined, isDurable: true }
  const levels = (...args: Parameters<typeof judgeDisk>) => judgeDisk(...args).map(({ level }) => level)
  t.strictSame(levels(facts, wants), ['ok'])
  t.strictSame(levels({ ...facts, freeBytes: GiB - 1 }, wants), ['problem'], 'the usual floor is 1 GiB')
  t.strictSame(levels({ ...facts, freeBytes: 1.5 * GiB }, wants), ['warning'])
  t.strictSame(levels({ ...facts, freeBytes: 0 }, { ...wants, floorBytes: 0 }), ['ok'], 'no floor is wanted')
  t.strictSame(levels({ ...facts, freeFiles: 0, allFiles: 1000 }, wants), ['ok', 'problem'])
  t.strictSame(levels({ ...facts, freeFiles: 0, allFiles: 0 }, wants), ['ok'], 'btrfs counts none')
  t.strictSame(levels({ ...facts, type: 0x01021994 }, wants), ['ok', 'problem'], 'tmpfs')
  t.strictSame(levels({ ...facts, type: 0x01021994 }, { ...wants, isDurable: false }), ['ok', 'warning'])
  t.strictSame(levels({ ...facts, type: 0x794c7630 }, wants), ['ok', 'warning'], 'overlayfs')
  t.strictSame(levels({ ...facts, type: 0x6969 }, wants), ['ok', 'warning'], 'NFS')
  t.strictSame(levels({ ...facts, type: 0x858458f6 - 2 ** 32 }, wants), ['ok', 'problem'], 'ramfs, as a signed number')
  t.end()
})

test('a folder of another broker, of another format, or in use', (t) => {
  t.match(judgeIdentity('/d', '{"format":1,"broker":2}', 2), { level: 'ok' })
  t.match(judgeIdentity('/d', '{"format":1,"broker":2}', 0), { level: 'problem', what: /broker 2, BROKER_INDEX is 0/ })
  t.match(judgeIdentity('/d', '{"format":9,"broker":0}', 0), { level: 'problem', what: /format 9/ })
  t.match(judgeIdentity('/d', '{"form', 0), { level: 'problem', what: /no JSON/ })
  t.match(judgeIdentity('/d', '{"format":1,"broker":0,"draining":true}', 0), { level: 'warning', mend: /--undo/ })
  t.equal(judgeHolder('/d', undefined, false).level, 'ok')
  t.equal(judgeHolder('/d', 7, true).level, 'ok')
  t.match(judgeHolder('/d', 7, false), { level: 'warning', mend: /stop process 7/ })
  t.end()
})

test('Node, files, memory, the port', (t) => {
  t.equal(judgeNode('24.1.0').level, 'ok')
  t.equal(judgeNode('20.19.0').level, 'problem')
  t.equal(
    openFilesIn('Max processes 1 2 p\nMax open files            1024                 4096                 files'),
    4096,
  )
  t.equal(openFilesIn('Max open files  1024  unlimited  files'), Infinity)
  t.equal(openFilesIn(''), undefined)
  t.equal(judgeOpenFiles(20_000, { connections: 10_000, files: 10_000 }).level, 'ok')
  t.match(judgeOpenFiles(4096, { connections: 10_000, files: 16 }), {
    level: 'warning',
    what: /MAX_OPEN_FILES 16 is 10016/,
  })
  t.equal(judgeMemory(GiB, GiB / 4).level, 'ok')
  t.equal(judgeMemory(GiB, 0.9 * GiB).level, 'warning')
  t.equal(judgeMemory(GiB, GiB).level, 'problem')
  t.strictSame(
    (['nobody', { role: 'broker' }, 'untrusted', 'another'] as const).map((tenant) => judgePort(80, tenant).level),
    ['ok', 'ok', 'not looked at', 'problem'],
  )
  t.end()
})

test('a clock counts from 2 s on, and neither a slow answer nor a rounded second does', (t) => {
  t.equal(aheadOf(10_000, 10_900, 10_950), 0, 'the second began 0.9 s ago')
  t.equal(aheadOf(12_000, 9_000, 13_000), 0, 'the answer took 4 s')
  t.equal(aheadOf(20_000, 10_000, 10_100), 9_900)
  t.equal(aheadOf(5_000, 10_000, 10_100), -4_000)
  t.equal(judgeClock('x', 1_900).level, 'ok')
  t.match(judgeClock('x', 2_500), { level: 'warning', what: /2\.5 s ahead of/ })
  t.match(judgeClock('x', -60_000), { level: 'warning', what: /60\.0 s behind/ })
  t.equal(shownUrl('http://user:secret@host:1/path'), 'http://host:1/path')
  t.end()
})

const answered = (status: number, body: unknown): Answered => ({ status, body, headers: new Headers(), aheadMs: 0 })

test('who answers at an address, and what it wants', (t) => {
  const reach = { url: 'http://b', setting: 'MSG_QUEUE_ADDR', isGiven: true, token: undefined, send: undefined }
  t.equal(judgeReady('b', reach, answered(200, { role: 'proxy' })), undefined)
  t.match(judgeReady('b', reach, answered(503, { role: 'broker', detail: 'recovering' })), {
    level: 'problem',
    what: /recovering/,
  })
  t.match(judgeReady('b', reach, answered(200, undefined)), { level: 'problem', what: /no broker and no proxy/ })
  t.match(judgeReady('b', reach, { failed: 'ECONNREFUSED' }), { level: 'problem', mend: /MSG_QUEUE_ADDR/ })
  t.match(judgeReady('b', { ...reach, isGiven: false }, { failed: 'ECONNREFUSED' }), { level: 'not looked at' })
  t.equal(whyRefused(200, 'API_KEY', true), undefined)
  t.match(whyRefused(401, 'API_KEY', true)?.[0], /not the right one/)
  t.match(whyRefused(401, 'API_KEY', false)?.[0], /wants API_KEY/)
  t.match(whyRefused(403, 'API_KEY', true)?.[0], /403/)
  t.equal(judgeAddresses('b', 2, 2).level, 'ok')
  t.equal(judgeAddresses('b', 1, 2).level, 'problem')

  const api = { url: 'http://a', isGiven: true, key: 'k', send: undefined }
  const ready = answered(200, { role: 'api' })
  t.match(judgeApi('a', api, ready, answered(200, {})), { level: 'ok', what: /API_KEY is right/ })
  t.match(judgeApi('a', api, ready, answered(401, {})), { level: 'problem' })
  t.match(judgeApi('a', { ...api, key: undefined }, ready, answered(401, {})), { level: 'ok', what: /wants a key/ })
  t.match(judgeApi('a', api, answered(503, { role: 'api', detail: 'no store' }), ready), {
    level: 'problem',
    what: /no store/,
  })
  t.match(judgeApi('a', { ...api, isGiven: false }, answered(404, {}), ready), { level: 'not looked at' })
  t.end()
})

test('what a broker or proxy tells of itself', (t) => {
  const group: GroupStatus = { mode: 'exclusive', lag: 0, in_flight: 0, consumers: 1, logs: [] }
  const topic: TopicStatus = { records: 5, produced: 5, bytes: 500, groups: {} }
  const disk = { free_bytes: 5, total_bytes: 500, floor_bytes: 10 }
  const member: MemberStatus = {
    broker: 0,
    url: 'http://b0',
    state: 'up',
    writable: true,
    draining: false,
    since: '2026-02-01T00:00:00.000Z',
    in_flight: 0,
    partitions: {},
  }
  const sound: QueueStatus = {
    role: 'proxy',
    version: '1',
    uptime_s: 60,
    ring: 'abc',
    members: [member],
    topics: { t: { ...topic, groups: { g: group } }, 't.dead': { ...topic, open: 0 } },
  }
  t.match(judgeStatus('p', sound, '1'), [{ level: 'ok', what: /ring abc of 1 broker, all up; 2 topics$/ }])
  const told = (change: Partial<QueueStatus>) => judgeStatus('p', { ...sound, ...change }, '1')
  const ofGroup = (g: Partial<GroupStatus>) => told({ topics: { t: { ...topic, groups: { g: { ...group, ...g } } } } })
  const cases: [QueueStatus | object, string, RegExp][] = [
    [told({ version: '0' }), 'warning', /version 0/],
    [told({ disk: { ...disk, full: '5 bytes are free' } }), 'problem', /5 bytes/],
    [told({ draining: true }), 'warning', /being emptied/],
    [told({ members: [{ ...member, state: 'down', reason: 'ECONNREFUSED' }] }), 'problem', /is down: ECONNREFUSED/],
    [told({ members: [{ ...member, writable: false }] }), 'problem', /takes no records/],
    [told({ topics: { t: topic } }), 'warning', /no group reads/],
    [told({ topics: { 't.dead': { ...topic, open: 3 } } }), 'warning', /3 dead letters/],
    [told({ topics: { t: { ...topic, missing: { damaged: 2 }, groups: { g: group } } } }), 'warning', /damaged 2/],
    [ofGroup({ lag: 9, consumers: 0 }), 'warning', /nobody reads in group g of t: 9 records wait/],
    [ofGroup({ lag: 9, oldest_unacknowledged_s: 7200 }), 'warning', /the oldest for 2 hours/],
    [ofGroup({ lost: 4 }), 'warning', /4 records were removed/],
  ]
  for (const [found, level, what] of cases) t.match(found, [{ level, what }], what.source)
  t.match(ofGroup({ lag: 9, oldest_unacknowledged_s: 100 }), [{ level: 'ok' }], 'a lag that moves is none')
  t.end()
})

test('a database that takes no token, has no bucket, or keeps too little; a file that is not ours', (t) => {
  const place = { bucket: 'b', org: 'o' }
  const cases: [number, string, string][] = [
    [204, '', 'ok'],
    [401, 'unauthorized', 'problem'],
    [403, 'forbidden', 'problem'],
    [404, 'organization name "o" not found', 'problem'],
    [404, 'bucket "b" not found', 'warning'],
    [500, 'oops', 'problem'],
  ]
  for (const [status, reason, level] of cases) t.equal(judgeWrite(place, { status, reason }).level, level, reason)
  t.strictSame(judgeRetention('b', undefined, 0), [])
  t.match(judgeRetention('b', 0, dayMs), [{ level: 'ok' }])
  t.match(judgeRetention('b', 3600, dayMs), [{ level: 'warning', what: /keeps 1 hour, RETENTION is 1 day/ }])

  const file = { path: 'p', bytes: 1, schema: migrations.length, application: applicationId, troubles: [] }
  t.match(judgeFile(file), [{ level: 'ok' }])
  t.match(judgeFile({ ...file, troubles: undefined }), [{ level: 'ok' }, { level: 'not looked at' }])
  t.match(judgeFile({ ...file, troubles: ['page 3'] }), [{ level: 'problem', what: /page 3/ }])
  t.match(judgeFile({ ...file, schema: 99 }), [{ level: 'problem', what: /schema 99/ }])
  t.match(judgeFile({ ...file, application: 1 }), [{ level: 'problem', what: /another program/ }])
  t.end()
})
