import { test } from 'tap'
import { SettingsError } from '../settings.ts'
import { chooseEngine } from './choose.ts'
import { UwsAbsent } from './uws-api.ts'

const loads = () => ({})
const absent = () => {
  throw new UwsAbsent("libc.so.6: version `GLIBC_2.38' not found", true)
}
const optional = () => {
  throw new UwsAbsent('uWebSockets.js is not installed (npm run engine)', false)
}

test('auto takes uws where it loads, and says why where it does not', async (t) => {
  t.match(chooseEngine('auto', false, loads), { name: 'uws', why: 'it loads' })
  t.match(chooseEngine('auto', false, absent), {
    name: 'node',
    why: "Node's own; uws, which is faster, does not load here: libc.so.6: version `GLIBC_2.38' not found",
  })
  t.match(chooseEngine('auto', false, optional), {
    name: 'node',
    why: "Node's own; uws, which is faster, comes with `npm run engine`",
  })
})

test('what is asked for by name is taken, or refused with the cause', async (t) => {
  t.match(chooseEngine('node', false, loads), { name: 'node', why: 'HTTP_ENGINE=node' })
  t.match(chooseEngine('uws', false, loads), { name: 'uws' })
  t.throws(() => chooseEngine('uws', false, absent), SettingsError)
  t.throws(() => chooseEngine('uws', false, absent), { message: /^HTTP_ENGINE=uws: .*GLIBC_2\.38/ })
  t.throws(() => chooseEngine('uws', false, optional), {
    message: /does not load: .* is not installed \(npm run engine\)/,
  })
})

test('TLS is for node, and the log says so', async (t) => {
  for (const wanted of ['auto', 'uws'] as const) {
    t.match(chooseEngine(wanted, true, loads), { name: 'node', why: /^TLS_CERT is set/ })
  }
})

test('an error that is not about loading is not taken for one', async (t) => {
  t.throws(
    () =>
      chooseEngine('auto', false, () => {
        throw new TypeError('a bug')
      }),
    TypeError,
  )
})
