import { test } from 'tap'

import type { Sink } from '#lib/http/http'

import { ConsumeStream } from './stream.ts'

/** A socket of which the test says how much it has not taken. */
class FakeSink implements Sink {
  pendingBytes = 0
  text = ''
  ended = false
  #closed = (): void => {}

  write(bytes: Uint8Array): boolean {
    this.text += Buffer.from(bytes).toString('utf8')
    return true
  }

  onDrain(): void {}

  onClose(callback: () => void): void {
    this.#closed = callback
  }

  end(): void {
    this.ended = true
    this.#closed()
  }

  abort(): void {
    this.end()
  }
}

test('an idle reader is told that we are alive; one that takes nothing for 20 s is cut, and told why', (t) => {
  const sink = new FakeSink()
  const stream = new ConsumeStream(sink, [], () => {})
  stream.beat()
  t.equal(sink.text, ': heartbeat\n\n')
  sink.pendingBytes = 5_000
  for (let beats = 0; beats < 2; beats++) t.equal(stream.beat(), undefined)
  t.equal(sink.text, ': heartbeat\n\n', 'nothing is sent behind what is not taken')
  t.equal(stream.beat(), sink, 'who waits for it may drop it')
  t.match(
    sink.text,
    /event: cut\ndata: {"code":"slow","reason":"5000 bytes were sent, and nothing of them was read for 20 s"}/,
  )
  t.ok(sink.ended && stream.closed)
  t.end()
})

test('a reader that is slow, but reads, is left alone', (t) => {
  const sink = new FakeSink()
  const stream = new ConsumeStream(sink, [], () => {})
  for (let beats = 0; beats < 100; beats++) {
    sink.pendingBytes = 100_000 - 10 * beats
    t.equal(stream.beat(), undefined)
  }
  t.notOk(sink.ended)
  t.end()
})
