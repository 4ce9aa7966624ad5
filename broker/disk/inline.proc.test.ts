/** A real broker on a disk each of whose writes takes 20 ms, as strace has it: which thread waits for them. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { t as thisFile, test } from 'tap'

import { startRole, temporaryFolder, type Scope } from '#test/start'
import { skipWithout, tools } from '#test/tools'

thisFile.setTimeout(120_000)

const records = 40

for (const bytes of ['16KiB', '0']) {
  test(`a slow disk with INLINE_WRITE_BYTES=${bytes}`, { skip: skipWithout(tools.strace) }, async (t) => {
    const { first, others, told } = await writesOf(t, bytes)
    t.ok(others >= records - 10, `threads of the pool made ${others} writes`)
    // Four pauses, each twice the one before, are fifteen seconds.
    if (bytes === '0') t.equal(first, 0, 'the event loop made none')
    else t.ok(first >= 1 && first <= 6, `the event loop made ${first}`)
    t.equal(told > 0, first > 0, 'the log says so')
  })
}

/** Sends records one by one; counts the writes of the event loop's thread and those of the others. */
async function writesOf(t: Scope, inlineBytes: string): Promise<{ first: number; others: number; told: number }> {
  const trace = join(temporaryFolder(t), 'trace')
  const slow = ['-e', 'trace=execve,pwritev,pwrite64', '-e', 'inject=pwritev,pwrite64:delay_enter=20000']
  const broker = await startRole(t, 'broker', {
    env: { TOPICS: 'load:partitions=1:durability=disk', INLINE_WRITE_BYTES: inlineBytes },
    under: ['strace', '-f', '-qq', '-o', trace, '-e', 'signal=none', ...slow],
  })
  for (let at = 0; at < records; at++) {
    const headers = { 'content-type': 'text/plain' }
    const answer = await fetch(`${broker.url}/produce?topic=load`, { method: 'POST', headers, body: `record ${at}` })
    if (answer.status !== 200) throw new Error(await answer.text())
    await answer.arrayBuffer()
  }
  const lines = readFileSync(trace, 'utf8').split('\n')
  const writes = lines.filter((line) => /^\d+ +pwrite(v|64)\(/.test(line)).map((line) => line.split(' ')[0])
  // The thread that a program is started in is Node's event loop.
  const loop = lines.find((line) => line.includes('execve('))?.split(' ')[0]
  const first = writes.filter((thread) => thread === loop).length
  const told = broker.stdout.filter((line) => line.includes('the disk took long for a small write')).length
  return { first, others: writes.length - first, told }
}
