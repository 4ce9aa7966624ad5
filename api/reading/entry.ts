/** What runs in the reading thread: a store of its own, and the handlers over it. An answer leaves it as the bytes that the client gets. */

import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Inventory } from '../ask/inventory.ts'
import { StoreReader } from '../ask/reader.ts'
import { jsonOf } from '../ask/shared.ts'
import type { Call } from '../call.ts'
import { Bounds } from '../keys/bounds.ts'
import { readHandlers, type ReadSettings } from './answers.ts'
import { type Question, type Reply, thrownOf } from './messages.ts'

giveWay()

const port = parentPort as MessagePort
const settings = workerData as ReadSettings
const reader = new StoreReader(settings)
const handlers = readHandlers(reader, new Inventory(reader, settings.staleAfterMs, setImmediate), settings)

/**
 * Where processor time is short, those who write and the thread that speaks HTTP go first: a question of the whole fleet takes tens of
 * milliseconds, theirs one or two. Linux has a priority for each thread, under its number; elsewhere this one is like the others.
 */
function giveWay(): void {
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/')[2])
    setPriority(id, Math.min(getPriority(id) + 5, 19))
  } catch {
    // No Linux, or a sandbox that does not let it.
  }
}

const answering = new Set<Promise<void>>()

port.on('message', (message: Question | 'end') => {
  if (message === 'end') return void end()
  const own = answer(message)
  answering.add(own)
  void own.then(() => answering.delete(own))
})

/** A thread ends when nothing holds it any more. */
async function end(): Promise<void> {
  await Promise.all(answering)
  port.close()
  await reader.close()
}

async function answer({ id, operation, bounds, ...asked }: Question): Promise<void> {
  const handle = handlers[operation] as (call: Call<never>) => Promise<unknown>
  const call = { ...asked, bounds: new Bounds(...bounds), ...nobody }
  try {
    const given = await handle(call as unknown as Call<never>)
    const written = ownBytes(typeof given === 'string' ? given : jsonOf(given))
    port.postMessage({ id, problem: reader.problem, written } satisfies Reply, [written.buffer])
  } catch (error) {
    port.postMessage({ id, problem: reader.problem, thrown: thrownOf(error) } satisfies Reply)
  }
}

/** Of what else a call has, no handler that reads makes use: whose it is, and whether they still wait. */
const nobody = { body: undefined, lines: undefined, by: '', note: () => {}, signal: new AbortController().signal }

const encoder = new TextEncoder()

/** In memory of its own, which can be handed over: small buffers stand together in a pool. */
function ownBytes(given: string | Buffer): Uint8Array<ArrayBuffer> {
  if (typeof given === 'string') return encoder.encode(given)
  const isWhole = given.byteLength === given.buffer.byteLength
  return isWhole ? (given as Buffer<ArrayBuffer>) : new Uint8Array(given)
}
