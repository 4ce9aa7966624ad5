import { test } from 'tap'

import { startBroker } from '#test/broker'

test('a topic is made with what the body says and defaults for the rest, once', async (t) => {
  const { call } = await startBroker(t)
  const asked = { partitions: 3, durability: 'disk', retention_age: '36h', max_bytes: 1 << 30 }
  const whole = {
    name: 'notes',
    partitions: 3,
    durability: 'disk',
    retention: 'time',
    retention_bytes: '512MiB',
    retention_age: '36h',
    max_bytes: '1GiB',
  }
  t.match(await call('PUT', '/topics/notes', asked), { status: 201, body: whole })
  t.match(await call('PUT', '/topics/notes', asked), { status: 200, body: whole }, 'again')
  t.match(await call('PUT', '/topics/notes'), { status: 200, body: whole }, 'nothing asked, nothing differs')
  const { topics } = (await call('GET', '/topics')).body as { topics: Record<string, unknown>[] }
  t.match(
    topics.find(({ name }) => name === 'notes'),
    { ...whole, logs: [{ next: 0 }, {}, {}] },
  )
  t.match(
    topics.find(({ name }) => name === 'notes.dead'),
    { partitions: 1, durability: 'disk', dead_letters: true },
  )
  t.match(await call('POST', '/produce?topic=notes&partition=2', 'x'), { status: 200, body: { id: '0/2/0' } })
  t.match(await call('POST', '/dead?topic=notes', { reason: 'x' }), { status: 200 })
})

test('what GET /topics shows can be given to PUT', async (t) => {
  const { call } = await startBroker(t)
  await call('PUT', '/topics/one', { retention: 'acknowledged', retention_bytes: 'none', retention_age: 'none' })
  const { topics } = (await call('GET', '/topics')).body as { topics: Record<string, unknown>[] }
  const shown = topics.find(({ name }) => name === 'one') as Record<string, unknown>
  const { name: _, logs: __, groups: ___, ...options } = shown
  t.match(options, { retention: 'acknowledged', retention_bytes: 'none', retention_age: 'none' })
  t.match(await call('PUT', '/topics/one', options), { status: 200 })
})

test('every bad request to make or change a topic is told what is right, and changes nothing', async (t) => {
  const { call, disk } = await startBroker(t, { partitionsMax: 100 })
  const before = JSON.stringify((await call('GET', '/topics')).body)
  const kept = new Map(disk.files)
  const long = 'x'.repeat(124)
  const refusals: [string, string, unknown, number, string, RegExp][] = [
    ['PUT', '/topics/a%2Fb', {}, 400, 'bad_name', /a\/b/],
    ['PUT', '/topics/.hidden', {}, 400, 'bad_name', /\.hidden/],
    ['PUT', `/topics/${long}`, {}, 400, 'bad_name', /too long to add \.dead/],
    ['PUT', '/topics/identity', {}, 400, 'bad_name', /identity/],
    ['PUT', '/topics/telemetry.dead', {}, 403, 'dead_topic', /whose dead letters/],
    ['PATCH', '/topics/telemetry.dead', { partitions: 2 }, 403, 'dead_topic', /whose dead letters/],
    ['PUT', '/topics/new?partitions=3', {}, 400, 'unknown_parameter', /takes no parameters/],
    ['PUT', '/topics/new', '{"partitions":', 400, 'bad_request', /no JSON/],
    ['PUT', '/topics/new', '[]', 400, 'bad_request', /want a JSON object/],
    ['PUT', '/topics/new', 'null', 400, 'bad_request', /want a JSON object/],
    ['PUT', '/topics/new', '"x"', 400, 'bad_request', /want a JSON object/],
    ['PUT', '/topics/new', `{"x":"${'x'.repeat(5000)}"}`, 413, 'body_too_large', /4096/],
    ['PUT', '/topics/new', { partition: 3 }, 400, 'bad_option', /partition is no option.*partitions, durability/],
    ['PUT', '/topics/new', { __proto__: 1, constructor: 1 }, 400, 'bad_option', /no option/],
    ['PUT', '/topics/new', { partitions: 0 }, 400, 'bad_option', /partitions=0: want a whole number from 1/],
    ['PUT', '/topics/new', { partitions: 1.5 }, 400, 'bad_option', /partitions=1\.5/],
    ['PUT', '/topics/new', { partitions: null }, 400, 'bad_option', /partitions=null/],
    ['PUT', '/topics/new', { partitions: 101 }, 400, 'bad_option', /at most MAX_PARTITIONS, 100/],
    [
      'PUT',
      '/topics/new',
      { durability: 'tape' },
      400,
      'bad_option',
      /durability=tape: want one of fsync, disk, memory/,
    ],
    ['PUT', '/topics/new', { retention: 'never' }, 400, 'bad_option', /one of time, acknowledged/],
    ['PUT', '/topics/new', { retention_age: 7 }, 400, 'bad_option', /retention_age=7: want a duration/],
    ['PUT', '/topics/new', { retention_age: '10ms' }, 400, 'bad_option', /at least 1s/],
    ['PUT', '/topics/new', { retention_bytes: '1KiB' }, 400, 'bad_option', /at least 1MiB/],
    ['PUT', '/topics/new', { max_bytes: -1 }, 400, 'bad_option', /max_bytes=-1: want a size/],
    [
      'PUT',
      '/topics/new',
      { retention_bytes: '2GiB', max_bytes: '1GiB' },
      400,
      'bad_option',
      /at most max_bytes, 1GiB/,
    ],
    ['PUT', '/topics/telemetry', { partitions: 4 }, 409, 'topic_differs', /partitions is 2, not 4/],
    ['PUT', '/topics/telemetry', { durability: 'disk', partitions: 2 }, 409, 'topic_differs', /durability is fsync/],
    ['PATCH', '/topics/nowhere', { partitions: 2 }, 404, 'unknown_topic', /nowhere/],
    ['PATCH', '/topics/telemetry', {}, 400, 'bad_option', /names no option/],
    ['PATCH', '/topics/telemetry', undefined, 400, 'bad_option', /names no option/],
    ['PATCH', '/topics/telemetry', { partitions: 1 }, 400, 'bad_option', /telemetry has 2, which can only be raised/],
    ['PATCH', '/topics/telemetry', { partitions: 101 }, 400, 'bad_option', /MAX_PARTITIONS/],
    [
      'PATCH',
      '/topics/telemetry',
      { max_bytes: '1MiB', retention_bytes: '2MiB' },
      400,
      'bad_option',
      /max_bytes, 1MiB/,
    ],
    ['POST', '/topics/telemetry', {}, 405, 'method_not_allowed', /POST/],
    ['DELETE', '/topics/telemetry', undefined, 405, 'method_not_allowed', /DELETE/],
    ['PUT', '/topics', {}, 405, 'method_not_allowed', /PUT/],
    ['PUT', '/topics/new/logs', {}, 404, 'not_found', /logs/],
  ]
  for (const [method, path, body, status, code, detail] of refusals) {
    t.match(await call(method, path, body), { status, body: { code, detail } }, `${method} ${path}`)
  }
  t.equal(JSON.stringify((await call('GET', '/topics')).body), before)
  t.strictSame(disk.files, kept)
})

test('partitions are raised: the answer says that keys map anew, and whoever reads gets the new ones too', async (t) => {
  const { call, stream, broker } = await startBroker(t)
  const inGroup = await stream('/consume?topic=telemetry&group=g')
  const plain = await stream('/consume?topic=telemetry')
  const single = await stream('/consume?topic=telemetry&partition=1')
  t.match(await call('PATCH', '/topics/telemetry', { partitions: 4 }), {
    status: 200,
    body: { partitions: 4, keys_map_anew: true, note: /there were 2 partitions, there are 4: keys map anew/ },
  })
  t.notOk((await call('PATCH', '/topics/telemetry', { partitions: 4 })).body.keys_map_anew, 'not the second time')
  for (const partition of [3, 1]) await call('POST', `/produce?topic=telemetry&partition=${partition}`, `p${partition}`)
  t.match(await inGroup(/p3[^]*p1|p1[^]*p3/), /: penstock 1 \d{16} telemetry 0 3 0\n/)
  t.match(await plain(/p3[^]*p1|p1[^]*p3/), /: penstock 1 \d{16} telemetry 0 3 0\n/)
  t.notMatch(await single(/p1/), 'p3')
  t.equal(
    broker
      .topic('telemetry')
      ?.groups.named('g')
      ?.figures(3 as never).inFlight,
    1,
  )
  t.match(await call('POST', '/ack?topic=telemetry&group=g', { up_to: ['0/3/0', '0/1/0'] }), { status: 200 })
})

test('another durability: readers are cut and come back, nothing is lost', async (t) => {
  const { call, stream } = await startBroker(t)
  await call('POST', '/produce?topic=telemetry&partition=0', 'before')
  const reader = await stream('/consume?topic=telemetry&group=g')
  await reader(/before/)
  await call('POST', '/ack?topic=telemetry&group=g', { up_to: ['0/0/0'] })
  t.match(await call('PATCH', '/topics/telemetry', { durability: 'memory', partitions: 3 }), {
    status: 200,
    body: { durability: 'memory', keys_map_anew: true },
  })
  await reader(/event: cut\ndata: {"code":"stopping"/)
  t.match(await call('POST', '/produce?topic=telemetry&partition=0', 'after'), {
    status: 200,
    body: { id: '0/0/1', durability: 'memory' },
  })
  t.notMatch(await (await stream('/consume?topic=telemetry&group=g'))(/after/), 'before')
  t.match(await (await stream('/consume?topic=telemetry&from=earliest'))(/after/), /before[^]*after/)
})

test('a disk that refuses leaves the topic as it was', async (t) => {
  const { call, disk } = await startBroker(t)
  disk.failNext('write', 'ENOSPC')
  t.match(await call('PUT', '/topics/new', {}), { status: 507, body: { code: 'disk_full' } })
  t.match(await call('PATCH', '/topics/new', { partitions: 5 }), { status: 404 }, 'it is not there')
  disk.failNext('write', 'EIO')
  t.match(await call('PATCH', '/topics/telemetry', { partitions: 5 }), { status: 503, body: { code: 'not_writable' } })
  t.match(await call('POST', '/produce?topic=telemetry&partition=4', 'x'), { status: 404 })
  t.match(await call('PUT', '/topics/new', {}), { status: 201 }, 'the next try makes it')
  t.match(await call('PATCH', '/topics/telemetry', { partitions: 5 }), { status: 200, body: { partitions: 5 } })
  t.match(await call('POST', '/produce?topic=telemetry&partition=4', 'x'), { status: 200 })
})

test('a broker that is emptied takes no records and serves those it has, also after a restart, until that is undone', async (t) => {
  const first = await startBroker(t)
  const produce = (broker: typeof first) => broker.call('POST', '/produce?topic=telemetry&partition=0', '{"n":1}')
  t.match(await produce(first), { status: 200 })
  t.match(await first.call('PUT', '/drain?broker=7'), { status: 409, body: { code: 'wrong_broker' } })
  t.match(await first.call('PUT', '/drain?broker=0'), { status: 200, body: { broker: 0, draining: true } })
  t.match(await first.call('PUT', '/drain'), { status: 200 }, 'again')
  const refusal = { status: 503, body: { code: 'draining', retry_after_s: 1 } }
  t.match(await produce(first), refusal)
  t.match(await first.call('POST', '/dead?topic=telemetry', '{"reason":"bad"}'), refusal)
  await first.close()

  const second = await startBroker(t, { disk: first.disk })
  t.match(second.status(), { draining: true })
  t.match(await produce(second), refusal)
  const read = await second.stream('/consume?topic=telemetry&group=g')
  t.match(await read(/id: 0\/0\/0/), /"n":1/)
  t.match(await second.call('POST', '/ack?topic=telemetry&group=g', { id: '0/0/0' }), { status: 200 })
  t.match(await second.call('DELETE', '/drain'), { status: 200, body: { draining: false } })
  t.match(await produce(second), { status: 200 })
  await second.close()
  const third = await startBroker(t, { disk: second.disk })
  t.match(await produce(third), { status: 200 })
})

test('a topic is made strict, and says so', async (t) => {
  const { call } = await startBroker(t)
  t.match(await call('PUT', '/topics/notes', { strict: true }), { status: 201, body: { strict: true } })
  t.match(await call('PATCH', '/topics/notes', { strict: 'perhaps' }), {
    status: 400,
    body: { detail: 'strict=perhaps: want true or false' },
  })
  const { body } = await call('GET', '/topics')
  const strict = body.topics.map((topic: { name: string; strict: boolean }) => [topic.name, topic.strict])
  t.strictSame(new Map(strict).get('notes'), true)
  t.strictSame(new Map(strict).get('notes.dead'), false)
})
