/** Names become folders, files, header fields and log lines: what is none is refused before it is any of these. */

import { test } from 'tap'

import { startBroker } from '#test/broker'

const bad = [
  '.',
  '..',
  '.a',
  '../a',
  '..%2fa',
  'a/b',
  '/a',
  'a\\b',
  'a b',
  ' a',
  'a\n',
  'a\r\nid: 0/0/9',
  '\0',
  'a\0b',
  'a\u007f',
  'ü',
  '\u2028',
  '\uFEFFa',
  'a:b',
  'a%',
  '*',
  'a'.repeat(129),
  'a'.repeat(5000),
]

const topics = new Map([['notes', { partitions: 1 }]])
const text = encodeURIComponent

test('what is no name makes nothing', async (t) => {
  const broker = await startBroker(t, { topics })
  const before = new Set(broker.disk.files.keys())
  const asked: Record<string, (name: string) => readonly [string, string, string?, Record<string, string>?]> = {
    'a topic to produce to': (name) => ['POST', `/produce?topic=${text(name)}`, 'x'],
    'a topic of dead letters': (name) => ['POST', `/dead?topic=${text(name)}`, '{"reason":"x"}'],
    'a topic to read': (name) => ['GET', `/consume?topic=${text(name)}`],
    'a topic to make': (name) => ['PUT', `/topics/${text(name)}`, '{}'],
    'a group': (name) => ['GET', `/consume?topic=notes&group=${text(name)}`],
    'a consumer': (name) => ['GET', `/consume?topic=notes&group=g&consumer=${text(name)}`],
    'a group to acknowledge in': (name) => ['POST', `/ack?topic=notes&group=${text(name)}`, '{"id":"0/0/0"}'],
  }
  const wrong: string[] = []
  for (const [what, call] of Object.entries(asked)) {
    for (const name of bad) {
      const { status, body } = await broker.call(...call(name))
      const { code } = body as { code: string }
      const isRefused =
        (status === 400 && code === 'bad_name') || (status === 404 && /^unknown_group|^not_found/.test(code))
      if (!isRefused && status !== 431) wrong.push(`${what}, ${JSON.stringify(name.slice(0, 20))}: ${status} ${code}`)
    }
  }
  for (const name of bad) {
    const headers = { 'producer-id': name, 'producer-sequence': '0' }
    const path = '/produce?topic=notes&partition=0'
    const answer = await broker.call('POST', path, 'x', headers).catch(() => undefined)
    // A client that keeps the rules of HTTP takes blanks at the ends away, and sends no line ends.
    const isTrimmed = name.trim() !== name
    if (answer !== undefined && answer.body.code !== 'bad_sequence' && !isTrimmed) {
      wrong.push(`a producer, ${JSON.stringify(name.slice(0, 20))}: ${answer.status}`)
    }
  }
  t.strictSame(wrong, [])
  // The group g is one: its consumer was not.
  const made = [...broker.disk.files.keys()].filter((path) => !before.has(path))
  t.strictSame(
    made.filter((path) => !/^data\/notes\/(groups\/g|partition-0\/0{20})\.log$/.test(path)),
    [],
  )
})

test('a key is no name: any text, of the same partition each time', async (t) => {
  const broker = await startBroker(t, { topics: new Map([['notes', { partitions: 4 }]]) })
  const wrong: string[] = []
  for (const key of bad) {
    const path = `/produce?topic=notes&key=${text(key)}`
    const [first, second] = [await broker.call('POST', path, 'x'), await broker.call('POST', path, 'x')]
    const places = [first, second].map(({ body }) => String((body as { id: unknown }).id).split('/')[1])
    if (first.status !== 200 || places[0] !== places[1])
      wrong.push(`${JSON.stringify(key.slice(0, 20))}: ${first.status}`)
  }
  t.strictSame(wrong, [])
})
