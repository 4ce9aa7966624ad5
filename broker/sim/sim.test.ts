import { test } from 'tap'

import { breaks } from './breaks.ts'
import { runSeed } from './simulate.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'
const seeds = isFull ? 300 : 75

/** A planted fault shows itself in one of so many seeds. */
const seedsToFind = 300

for (const focus of ['all', 'groups'] as const) {
  test(`what was promised holds in every seed, of ${focus}`, async (t) => {
    let crashes = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const { violation, crashes: inSeed } = await runSeed(seed, undefined, undefined, focus)
      crashes += inSeed
      if (violation === undefined) continue
      t.fail(`npm run sim -- ${focus === 'groups' ? '--groups ' : ''}--first ${seed} --seeds 1`, { violation })
    }
    t.ok(crashes > seeds, `${crashes} crashes`)
  })
}

test('a seed repeats exactly', async (t) => {
  for (const seed of [3, 17]) {
    const [first, second]: [string[], string[]] = [[], []]
    await runSeed(seed, undefined, (line) => first.push(line))
    await runSeed(seed, undefined, (line) => second.push(line))
    t.ok(first.length > 100)
    t.equal(first.join('\n'), second.join('\n'))
  }
})

for (const [name, planted] of Object.entries(breaks)) {
  test(`a planted fault is found: ${name}, ${planted.what}`, async (t) => {
    for (let seed = 1; seed <= seedsToFind; seed++) {
      const { violation } = await runSeed(seed, planted)
      if (violation === undefined) continue
      t.pass(`in seed ${seed}: expected ${violation.expected}`)
      return
    }
    t.fail(`not found in ${seedsToFind} seeds`)
  })
}
