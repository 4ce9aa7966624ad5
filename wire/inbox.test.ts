import { test } from 'tap'
import type { LogHead } from './frames.ts'
import { Inbox, type InboxOptions } from './inbox.ts'
import { formatEvent, SseParser } from './sse.ts'

const head = (log: string, first: number, logId = '5d0c3f2a9b7e4416'): string =>
  `: penstock 1 ${logId} telemetry ${log.replace('/', ' ')} ${first}\n`
const event = (id: string): string => formatEvent({ id, data: '{}' })
const gap = (first: string, last: string): string =>
  formatEvent({ event: 'gap', data: JSON.stringify({ first, last, reason: 'unclean_stop' }) })

/** One connection after the other; what came of the last, and why it broke. */
function read(options: InboxOptions, ...connections: readonly (readonly string[])[]) {
  const logs = new Map<string, LogHead>()
  const cursors = new Map<string, number>()
  let ids: string[] = []
  let broken: string | undefined
  for (const lines of connections) {
    const inbox = new Inbox(options, logs, cursors)
    const parser = new SseParser(inbox)
    broken = undefined
    try {
      for (const line of lines) parser.feed(line)
    } catch (error) {
      broken = (error as Error).message
    }
    ids = inbox.take().map(({ id }) => id)
  }
  return { ids, broken, cursors: Object.fromEntries(cursors) }
}

test('records that are missing without a word end the connection, behind those before them', async (t) => {
  const lost = [head('0/3', 0), head('0/1', 7), event('0/3/0'), event('0/1/7'), event('0/3/1'), event('0/3/127')]
  t.same(read({ group: 'collector' }, lost), {
    ids: ['0/3/0', '0/1/7', '0/3/1'],
    broken:
      'unavailable: 0/3/127 came where 0/3/2 is next: 125 records before it did not come, and no line of the stream says why',
    cursors: { '0/3': 1, '0/1': 7 },
  })
  t.match(read({}, lost), { ids: ['0/3/0', '0/1/7', '0/3/1'], broken: /125 records before it/ })
})

test('a record that comes again without a word ends it, too', async (t) => {
  const twice = [head('0/3', 5), event('0/3/5'), event('0/3/6'), event('0/3/5')]
  t.match(read({ group: 'collector' }, twice), {
    ids: ['0/3/5', '0/3/6'],
    broken: /0\/3\/7 is next: it had come before/,
  })
})

test('a head line and a gap say where the stream goes on', async (t) => {
  const told = [head('0/3', 5), event('0/3/5'), gap('0/3/6', '0/3/9'), event('0/3/10'), head('0/3', 2), event('0/3/2')]
  t.same(read({ group: 'collector' }, [...told, head('0/3', 11), event('0/3/11')]), {
    ids: ['0/3/5', '0/3/10', '0/3/2', '0/3/11'],
    broken: undefined,
    cursors: { '0/3': 11 },
  })
  // What is not there is told behind the line that says where it goes on.
  t.match(read({ group: 'collector' }, [head('0/3', 9), gap('0/3/2', '0/3/4'), event('0/3/9')]), { broken: undefined })
})

test('each connection of a group begins where its head lines say', async (t) => {
  const again = [head('0/3', 4), event('0/3/4')]
  t.match(read({ group: 'collector' }, [head('0/3', 5), event('0/3/5')], again), { ids: ['0/3/4'], broken: undefined })
})

test('shared records, and a log without a head line, come in any order', async (t) => {
  const any = [head('0/3', 5), event('0/3/5'), event('0/3/9'), event('0/3/2')]
  t.match(read({ group: 'work', mode: 'shared' }, any), { ids: ['0/3/5', '0/3/9', '0/3/2'], broken: undefined })
  t.match(read({}, [event('0/3/5')]), { ids: ['0/3/5'], broken: undefined, cursors: { '0/3': 5 } })
})
