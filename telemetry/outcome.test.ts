import { test } from 'tap'
import { errorClasses, errorClassOf, isFailed } from './outcome.ts'

test('whether a transfer failed is read from the words of its source', async (t) => {
  const failed = (status: string, error = '', error_class?: string) =>
    isFailed({ status, error, ...(error_class === undefined ? undefined : { error_class }) })
  for (const status of ['success', 'OK', 'Done', 'FINISHED', 'completed', '200', ' succeeded ']) {
    t.notOk(failed(status), status)
  }
  for (const status of ['failed', 'FAILED', 'error', 'timeout', 'timed_out', 'cancelled', 'canceled', '503']) {
    t.ok(failed(status), status)
  }
  t.notOk(failed('success', 'one warning'), 'a status that is clear stands')
  t.notOk(failed(''))
  t.ok(failed('', 'no route'))
  t.notOk(failed('archived'))
  t.ok(failed('archived', '', 'quota'))
})

test('each class of the table is read from its example, and no row hides another', async (t) => {
  for (const { errorClass, example } of errorClasses) {
    t.equal(errorClassOf({ status: 'failed', error: example }), errorClass, example)
  }
  t.equal(new Set(errorClasses.map(({ errorClass }) => errorClass)).size, errorClasses.length)
})

test('what the source says of its error goes before what is read from it', async (t) => {
  const of = (error: string, error_class?: string, status = 'failed') =>
    errorClassOf({ status, error, ...(error_class === undefined ? undefined : { error_class }) })
  t.equal(of('no route to host', 'TRANSFER'), 'TRANSFER')
  t.equal(of('no route to host', ' '), 'unreachable')
  t.equal(of('', `${'x'.repeat(80)} connection refused`), 'connection_refused', 'a text in the place of a class')
  t.equal(of('', undefined, 'timeout'), 'timeout', 'from the status')
  t.equal(of(''), 'not_told')
  t.equal(of('the cat sat on it'), 'other')
  for (const [text, errorClass] of [
    ['no data for 60 s', 'timeout'],
    ['connection reset by peer', 'connection_reset'],
    ['checksum of the copy differs from the source', 'checksum_mismatch'],
    ['no space left on destination', 'no_space'],
    ['permission denied on destination', 'permission_denied'],
    ['source file does not exist', 'source_missing'],
  ] as const) {
    t.equal(of(text), errorClass, text)
  }
})
