import { test } from 'tap'
import type { Sink } from '#lib/http/http'
import { Feed } from './feed.ts'

function reader(): { sink: Sink; pending: (bytes: number) => void; text: () => string; leave: () => void } {
  const written: Uint8Array[] = []
  let pendingBytes = 0
  let leave = (): void => {}
  return {
    sink: {
      write: (bytes) => written.push(bytes) > 0,
      get pendingBytes() {
        return pendingBytes
      },
      onDrain: () => {},
      onClose: (callback) => (leave = callback),
      end: () => leave(),
      abort: () => leave(),
    },
    pending: (bytes) => (pendingBytes = bytes),
    text: () => Buffer.concat(written.splice(0)).toString(),
    leave: () => leave(),
  }
}

test('each record is an event; a slow reader misses some, is told how many, and holds nobody up', async (t) => {
  const feed = new Feed()
  const slow = reader()
  const fast = reader()
  feed.open(slow.sink)
  feed.open(fast.sink)
  slow.text()
  fast.text()
  feed.publish([{ data: '{"a":1}', key: '' }])
  t.equal(slow.text(), 'data: {"a":1}\n\n')
  slow.pending(100 << 20)
  feed.publish([{ data: '2', key: '' }])
  feed.publish([
    { data: '3', key: '' },
    { data: '4', key: '' },
  ])
  t.equal(slow.text(), '')
  t.equal(fast.text(), 'data: {"a":1}\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n')
  slow.pending(0)
  feed.publish([{ data: '5', key: '' }])
  t.equal(slow.text(), 'event: gap\ndata: {"missed":3,"reason":"slow reader"}\n\ndata: 5\n\n')
  slow.leave()
  t.equal(feed.readerCount, 1)
  feed.close()
  t.equal(feed.readerCount, 0)
})
