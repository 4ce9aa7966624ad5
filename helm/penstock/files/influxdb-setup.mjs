// Sets a new InfluxDB 2 up: organisation, bucket, user and token. One that is set up already is left as it is.
// Several pods run this at once; InfluxDB lets one of them be the first.

import { readFileSync } from 'node:fs'

const { SETUP_URL, SETUP_USER, SETUP_ORG, SETUP_BUCKET, SETUP_RETENTION } = process.env
const secret = (name) => readFileSync(`/run/secrets/setup/${name}`, 'utf8').trim()
const setup = `${SETUP_URL}/api/v2/setup`

for (let failures = 0; ; failures++) {
  try {
    const state = await fetch(setup, { signal: AbortSignal.timeout(5_000) })
    if (!state.ok) throw new Error(`GET ${setup}: ${state.status} ${await state.text()}`)
    if ((await state.json()).allowed !== true) {
      console.log('InfluxDB is set up')
      break
    }
    const answer = await fetch(setup, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        username: SETUP_USER,
        password: secret('influxdb-password'),
        token: secret('influxdb-token'),
        org: SETUP_ORG,
        bucket: SETUP_BUCKET,
        retentionPeriodSeconds: seconds(SETUP_RETENTION),
      }),
      signal: AbortSignal.timeout(30_000),
    })
    // Another pod may have been first: the next look tells.
    if (!answer.ok) throw new Error(`POST ${setup}: ${answer.status} ${await answer.text()}`)
    console.log(`InfluxDB is set up now, with the bucket ${SETUP_BUCKET} of ${SETUP_ORG}`)
  } catch (error) {
    // Kubernetes starts it again, with pauses; what is wrong for good is then seen in the state of the pod.
    if (failures === 60) throw error
    if (failures % 10 === 0) console.log(`not yet: ${error.cause?.message ?? error.message}`)
    await new Promise((resolve) => setTimeout(resolve, 2_000))
  }
}

/** `720h`, as people write it; 0 or nothing keeps everything. */
function seconds(text = '') {
  const [, number = '0', unit = 's'] = /^(\d+)([smhdw]?)$/.exec(text) ?? []
  return Number(number) * { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }[unit || 's']
}
