/** A look at all that a log holds, compared with what must be there. */

import { parseId, type Offset, type RecordId } from '#wire/ids'

import type { Log } from '../log/log.ts'
import { textsOf } from '../log/texts.ts'
import type { Complain, LogModel } from './model.ts'
import { readBlock } from './sink.ts'

const headPattern = /^: batch (\d+) (\d+) (\d+) (\d+) /

export async function look(log: Log, model: LogModel, when: string, complain: Complain): Promise<void> {
  const found = new Map<number, string>()
  let at: number = log.first
  let lastMs = 0
  while (at < log.end) {
    const batches = await log.read(at as Offset, 4096)
    if (batches.length === 0) {
      model.gap(at, log.end, when)
      break
    }
    for (const { first, next, view } of batches) {
      const text = view.toString('utf8')
      const head = headPattern.exec(text)
      const blocks = text.split('\n\n').slice(0, -1).map(readBlock)
      if (head === null || Number(head[1]) !== first || blocks.length !== next - first) {
        complain(`a batch of ${first} to ${next - 1} in ${model.name}`, text)
        return
      }
      if (Number(head[4]) < lastMs) complain('append times never fall', `${lastMs}, then ${head[4]}`)
      lastMs = Number(head[4])
      if (first > at) model.gap(at, first, when)
      if (first < at) complain(`${model.name} goes on at ${at}`, `a batch of ${first} to ${next - 1}`)
      for (const [index, block] of blocks.entries()) {
        if (block.kind !== 'record' || block.offset !== first + index) complain(`the id of ${first + index}`, text)
        else found.set(block.offset, block.data)
      }
      at = next
    }
  }
  model.whole(found, when)
}

/** Of which records of which groups there are letters in a log of dead letters. */
export async function lettersIn(log: Log): Promise<readonly ({ readonly group: string } & RecordId)[]> {
  const letters: ({ readonly group: string } & RecordId)[] = []
  for (let at = log.first; at < log.end;) {
    const batches = await log.read(at, 1 << 20)
    for (const text of batches.flatMap(textsOf)) {
      const { group, origin } = JSON.parse(text) as { readonly group: string; readonly origin: string }
      letters.push({ group, ...(parseId(origin) as RecordId) })
    }
    at = batches.at(-1)?.next ?? log.end
  }
  return letters
}
