/** What a broker acknowledged is there, whatever was done to its process. */

import { setTimeout as sleep } from 'node:timers/promises'

import { t as thisFile, test } from 'tap'

import { Load, type LoadOptions, type Verdict } from './load.ts'
import { startRole, type StartedRole } from './start.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

thisFile.setTimeout(isFull ? 1_200_000 : 600_000)

/** How often a broker is killed; with `--full` at least a minute long. */
const kills = isFull ? 100 : 6
const killingMsMax = isFull ? 60_000 : 15_000
const partitions = 2

const nothingWrong: Partial<Verdict> = { lost: 0, duplicates: 0, disordered: 0, unseen: 0, redelivered: 0 }

for (const [durability, signal, times] of [
  ['fsync', 'SIGKILL', kills],
  ['disk', 'SIGKILL', Math.ceil(kills / 2)],
  ['memory', 'SIGTERM', Math.ceil(kills / 2)],
] as const) {
  test(`${durability}: nothing acknowledged is lost by ${signal}, again and again under load`, async (t) => {
    const env = { TOPICS: `load:partitions=${partitions}:durability=${durability}`, SEGMENT_BYTES: '256KiB' }
    let broker = await startRole(t, 'broker', { env })
    const { dataDir, port, url } = broker
    const load = new Load(url, { topic: 'load', partitions })
    load.start()
    const untilMs = performance.now() + killingMsMax
    let killed = 0
    while (killed < times && (killed < 2 || performance.now() < untilMs)) {
      await underWay(load, broker)
      await load.inRequest()
      await broker.kill(signal)
      killed++
      broker = await startRole(t, 'broker', { env: { ...env, DATA_DIR: dataDir, PORT: String(port) } })
    }
    await underWay(load, broker)
    await load.stop()
    const verdict = await load.verdict()
    const { acknowledged, repeats, lost, duplicates } = verdict
    t.comment(
      `${durability}, ${signal}: kills ${killed}, acknowledged ${acknowledged}, sent again ${repeats}, ` +
        `lost ${lost}, duplicates ${duplicates}`,
    )
    t.match(verdict, nothingWrong)
    t.ok(acknowledged > 100 * killed, `${acknowledged} records are acknowledged`)
  })
}

test('a broker that stands still longer than its clients wait: nothing is lost, nothing is there twice', async (t) => {
  let silences = 0
  const options: LoadOptions = {
    topic: 'load',
    partitions,
    timeoutMs: 1_500,
    onWarning: (text) => {
      if (/does not answer within|nothing came for/.test(text)) silences++
    },
  }
  const broker = await startRole(t, 'broker', { env: { TOPICS: `load:partitions=${partitions}` } })
  const load = new Load(broker.url, options)
  load.start()
  for (let round = 0; round < (isFull ? 6 : 2); round++) {
    await underWay(load, broker)
    const before = silences
    process.kill(broker.pid, 'SIGSTOP')
    // Both partitions of the producer, the reader and the group have given up on their requests.
    await until(() => silences >= before + 4)
    process.kill(broker.pid, 'SIGCONT')
  }
  await underWay(load, broker)
  await load.stop()
  const verdict = await load.verdict()
  t.comment(`SIGSTOP: acknowledged ${verdict.acknowledged}, lost ${verdict.lost}, duplicates ${verdict.duplicates}`)
  t.match(verdict, nothingWrong)
})

/** Waits until all of the load's parts have got on, so that whatever comes next comes in the middle of their work. */
async function underWay(load: Load, broker: StartedRole): Promise<void> {
  const { acknowledged, seen, settled } = load
  while (load.acknowledged < acknowledged + 200 || load.seen === seen || load.settled === settled) {
    if (broker.hasExited()) throw new Error(`the broker has ended:\n${broker.tail()}`)
    await sleep(5)
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20)
}
