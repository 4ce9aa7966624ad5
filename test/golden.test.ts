/** Data folders of every format open in the program of today, and hold what they held (test/golden/README.md). */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { test } from 'tap'

import { MemoryDisk } from '#broker/disk/memory'

import { startBroker, type LocalBroker } from './broker.ts'
import { goldenOptions, type Contents } from './golden.ts'
import { root } from './start.ts'

const golden = join(root, 'test/golden')

/** A copy of a folder: opening one writes to it. */
function diskOf(folder: string): MemoryDisk {
  const disk = new MemoryDisk()
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    disk.files.set(`data${path.slice(folder.length)}`, readFileSync(path))
  }
  return disk
}

/** The records of an event stream, by id. (A dot, or ^ with the flag m, stops at U+2028; an event stream does not.) */
function recordsOf(stream: string): Record<string, string> {
  const records: Record<string, string> = {}
  for (const [, id = '', data = ''] of stream.matchAll(/^id: (\S+)\n((?:data: [^\n]*\n)+)\n/gm)) {
    records[id] = data.replace(/(?<=^|\n)data: /g, '').slice(0, -1)
  }
  return records
}

/** What a stream tells that is not there. */
function gapsOf(stream: string): unknown[] {
  return [...stream.matchAll(/^event: gap\ndata: ([^\n]*)\n\n/gm)].map(([, data = '']) => JSON.parse(data) as unknown)
}

/** Reads a stream until all of these ids have come. */
async function read(broker: LocalBroker, path: string, ids: readonly string[]): Promise<string> {
  const until = await broker.stream(path)
  let text = ''
  for (const id of ids) text = await until(new RegExp(`^id: ${id}\n(?:data: [^\n]*\n)+\n`, 'm'))
  return text
}

const folders = readdirSync(golden, { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && /^(killed|stopped)\.json$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name.slice(0, -'.json'.length)))
  .toSorted()

test('there are folders', async (t) => {
  t.ok(folders.length >= 2, folders.join())
})

for (const folder of folders) {
  test(`${folder.slice(golden.length + 1)} opens, and holds what it held`, async (t) => {
    const contents = JSON.parse(readFileSync(`${folder}.json`, 'utf8')) as Contents
    const disk = diskOf(folder)
    const broker = await startBroker(t, { ...goldenOptions, disk, topics: new Map() })
    t.equal(broker.reports.length, contents.reports.length, broker.reports.join('\n'))
    for (const report of contents.reports) {
      t.ok(
        broker.reports.some((text) => new RegExp(report).test(text)),
        `${report}: ${broker.reports.join('\n')}`,
      )
    }
    for (const [topic, records] of Object.entries(contents.records)) {
      const logs = broker.broker.topic(topic)?.logs ?? []
      t.strictSame(
        logs.map((log) => log.end),
        contents.next[topic],
        `where ${topic} goes on`,
      )
      const count = logs.reduce((sum, log) => sum + log.records, 0)
      t.equal(count, Object.keys(records).length, `records of ${topic}`)
      const found = await read(broker, `/consume?topic=${topic}&from=earliest`, Object.keys(records))
      t.strictSame(recordsOf(found), records, `what ${topic} holds`)
      const gaps = contents.gaps[topic]
      if (gaps !== undefined) t.strictSame(gapsOf(found), gaps, `what is told to be missing in ${topic}`)
    }
    for (const [topic, groups] of Object.entries(contents.waiting)) {
      for (const [group, waiting] of Object.entries(groups)) {
        const found = await read(broker, `/consume?topic=${topic}&group=${group}`, waiting)
        t.strictSame(Object.keys(recordsOf(found)).toSorted(), waiting, `what ${group} has still to get`)
        const gaps = contents.gaps[topic]
        if (gaps !== undefined) t.strictSame(gapsOf(found), gaps, `what ${group} is told to be missing`)
      }
    }
    for (const { topic, partition, producer, sequence, body, id } of contents.numbered) {
      const path = `/produce?topic=${topic}&partition=${partition}`
      const headers = { 'producer-id': producer, 'producer-sequence': String(sequence) }
      const answer = await broker.call('POST', path, body, headers)
      t.match(answer, { status: 200, body: { id, duplicate: true } }, `${producer} sends ${sequence} again`)
    }
    const next = contents.next['readings']?.[0]
    const appended = await broker.call('POST', '/produce?topic=readings&partition=0', 'more')
    t.match(appended, { status: 200, body: { id: `0/0/${next}` } }, 'and it is written on')
    await broker.close()
    const again = await startBroker(t, { ...goldenOptions, disk, topics: new Map() })
    t.strictSame(again.reports, [], 'the next start finds everything sound')
  })
}
