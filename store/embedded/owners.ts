/** Who had a GPU when: changes as `store/owners.ts` makes them, a row each. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { changesBy, intervalsOf, isOwnerOf, nobody, type OwnerChange, ownerOf, withChanges } from '../owners.ts'
import type { Owner, OwnerQuery, OwnerRow } from '../store.ts'
import { instantOf, momentOf } from './instants.ts'
import { Where } from './where.ts'
import type { GpuRecord } from '#telemetry/record'
import { epochNs, type Instant, parseTime } from '#telemetry/time'

/** What the writer keeps in memory of a GPU's owners: enough for the sightings that come in order and change nothing. */
export interface Holder {
  /** Of the newest change, and when that was; `-1`: there is none. */
  owner: Owner
  ownerS: number
  ownerNs: number
  /** The newest sighting. */
  seenS: number
  seenNs: number
}

export function noHolder(): Holder {
  return { owner: nobody, ownerS: -1, ownerNs: 0, seenS: -1, seenNs: 0 }
}

/** Takes sightings, and writes what they change at once, within the writer's transaction. */
export class OwnerWriter {
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  /** Changes of the GPUs that this write changes, so that many late sightings of one read them once. */
  readonly #changes = new Map<number, readonly OwnerChange[]>()

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#insert = db.prepare('INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  }

  sight(gpu: { readonly id: number; readonly holder: Holder }, record: GpuRecord, s: number, ns: number): void {
    const { holder } = gpu
    const isInOrder = s > holder.ownerS || (s === holder.ownerS && ns >= holder.ownerNs)
    if (!isInOrder || !isOwnerOf(holder.owner, record)) this.#change(gpu.id, holder, record, s, ns)
    if (s > holder.seenS || (s === holder.seenS && ns > holder.seenNs)) {
      holder.seenS = s
      holder.seenNs = ns
    }
  }

  /** Between two writes, whether the first one stands or not. */
  forget(): void {
    this.#changes.clear()
  }

  #change(id: number, holder: Holder, record: GpuRecord, s: number, ns: number): void {
    const known = this.#changes.get(id) ?? readChanges(this.#db, id).get(id) ?? []
    const lastSeen = holder.seenS < 0 ? undefined : instantOf(holder.seenS, holder.seenNs)
    const changes = changesBy(known, { at: instantOf(s, ns), owner: ownerOf(record) }, lastSeen)
    for (const { at, owner } of changes) {
      const moment = momentOf(at)
      const { namespace, pod, container, hpc_job, user } = owner
      this.#insert.run(id, moment.s, moment.ns, namespace, pod, container, hpc_job, user)
    }
    const all = withChanges(known, changes)
    this.#changes.set(id, all)
    const newest = all.at(-1)
    if (newest === undefined) return
    const { s: ownerS, ns: ownerNs } = momentOf(newest.at)
    Object.assign(holder, { owner: newest.owner, ownerS, ownerNs })
  }
}

/** The changes of each GPU, or of one, by time. */
export function readChanges(db: DatabaseSync, gpu?: number): Map<number, OwnerChange[]> {
  const rows = db.prepare(`SELECT * FROM owners ${gpu === undefined ? '' : 'WHERE gpu = ?'} ORDER BY gpu, s, ns`)
  const changes = new Map<number, OwnerChange[]>()
  for (const { gpu: id, s, ns, ...owner } of rows.iterate(...(gpu === undefined ? [] : [gpu])) as Iterable<ChangeRow>) {
    const own = changes.get(id)
    const change = { at: instantOf(s, ns), owner }
    if (own === undefined) changes.set(id, [change])
    else own.push(change)
  }
  return changes
}

/** The newest change of each GPU. */
export function readHolders(db: DatabaseSync): Map<number, Pick<Holder, 'owner' | 'ownerS' | 'ownerNs'>> {
  // SQLite takes bare columns from the row that holds the one max() beside them (sqlite.org/lang_select.html#bareagg).
  const rows = db.prepare('SELECT *, max(s * 1000000000 + ns) AS newest FROM owners GROUP BY gpu')
  rows.setReadBigInts(true)
  return new Map(
    (rows.all() as unknown as (Owner & Record<'gpu' | 's' | 'ns', bigint>)[]).map((row) => {
      const { namespace, pod, container, hpc_job, user } = row
      const owner = { namespace, pod, container, hpc_job, user }
      return [Number(row.gpu), { owner, ownerS: Number(row.s), ownerNs: Number(row.ns) }]
    }),
  )
}

export function readOwners(db: DatabaseSync, query: OwnerQuery): OwnerRow[] {
  const where = new Where().equal('uuid', query.uuid).equal('gpu_i_id', query.gpu_i_id)
  const rows = db.prepare(`SELECT id, uuid, gpu_i_id FROM gpus ${where.sql} ORDER BY uuid, gpu_i_id`)
  const gpus = rows.all(...where.values) as unknown as { id: number; uuid: string; gpu_i_id: string }[]
  const changes = readChanges(db, gpus.length === 1 ? gpus[0]?.id : undefined)
  return gpus
    .flatMap(({ id, uuid, gpu_i_id }) => intervalsOf(changes.get(id) ?? [], { uuid, gpu_i_id }))
    .filter(({ from, to }) => {
      const isAfter = query.start === undefined || to === null || compare(to, query.start) > 0
      return isAfter && (query.end === undefined || compare(from, query.end) < 0)
    })
}

function compare(time: string, instant: Instant): number {
  const own = epochNs(parseTime(time) as Instant)
  const other = epochNs(instant)
  return own < other ? -1 : own > other ? 1 : 0
}

interface ChangeRow extends Owner {
  readonly gpu: number
  readonly s: number
  readonly ns: number
}
