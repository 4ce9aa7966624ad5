/** The inventory: what the newest sighting of each GPU said, and whose it was when. */

import { gpuLabels, sightedAttributes } from '../attributes.ts'
import { intervalsOf, type OwnerChange, ownerFields } from '../owners.ts'
import type { GpuAttributes, Owner, OwnerQuery, OwnerRow } from '../store.ts'
import type { GpuRecord, Labels } from '#telemetry/record'
import { formatTime, type Instant } from '#telemetry/time'
import { instantOf, oneOf, rowsOf, type Series, where } from './influxql.ts'
import { headOf, stringField, type Tags, tagText, textOfTag, timeDigits } from './lines.ts'
import { type GpuState, newGpu, ownersMax, type Sightings } from './memory.ts'
import type { Server } from './server.ts'

/** A GPU as its newest sighting said. */
export interface Gpu extends GpuAttributes {
  readonly labels: Labels
  /** When that was said first. */
  readonly said: Instant
}

/** The fields of a GPU as one text, the same for the same attributes. */
function attributesOf(record: GpuRecord): string {
  return fieldsOf({ ...record, labels: gpuLabels(record.labels) })
}

/** Whether two records say the same of a GPU, told by their texts and by their labels being one object; false where not sure. */
function isAlike(a: GpuRecord, b: GpuRecord): boolean {
  return a.labels === b.labels && sightedAttributes.every((name) => a[name] === b[name])
}

function fieldsOf(gpu: Pick<Gpu, (typeof sightedAttributes)[number] | 'labels'>): string {
  const texts = sightedAttributes.map((name) => `${name}=${stringField(gpu[name])}`)
  return `${texts.join()},labels=${stringField(JSON.stringify(gpu.labels))}`
}

/** The lines that a batch's sightings of a GPU ask for; its attributes where they changed. */
export function sightingLines(sightings: Sightings, overwrites: boolean): string[] {
  const { state, seen, changes, newest } = sightings
  // Nearly always told without making the text, which takes some us.
  const isSame = newest === undefined || (state.like !== undefined && isAlike(newest, state.like))
  const attributes = isSame ? state.attributes : attributesOf(newest)
  const isChanged = attributes !== state.attributes && seen !== undefined
  if (!isChanged && changes.length === 0) return []
  const tags = tagsOf(state)
  const lines = changes.map(({ at, owner }) => {
    const fields = ownerFields.map((name) => `${name}=${stringField(owner[name])}`)
    return `${headOf('occupants', tags)} ${fields.join()} ${timeDigits(at)}`
  })
  if (!isChanged) return lines
  sightings.attributes = attributes
  // One point a GPU, and `said` in a field: the newest sighting counts, not the last one that came.
  const time = overwrites ? '0' : timeDigits(seen)
  return [...lines, `${headOf('gpus', tags)} ${attributes},said=${stringField(formatTime(seen))} ${time}`]
}

function tagsOf({ uuid, gpu_i_id }: Pick<GpuAttributes, 'uuid' | 'gpu_i_id'>): Tags {
  return { uuid: tagText(uuid), ...(gpu_i_id === '' ? {} : { gpu_i_id: tagText(gpu_i_id) }) }
}

function gpuOf(tags: Tags): Pick<GpuAttributes, 'uuid' | 'gpu_i_id'> {
  const sliced = tags['gpu_i_id'] ?? ''
  return { uuid: textOfTag(tags['uuid'] ?? '') ?? '', gpu_i_id: sliced === '' ? '' : (textOfTag(sliced) ?? '') }
}

/** GPUs by host, then by the number that the index is. @param uuids left out: all */
export async function readInventory(server: Server, database: string, uuids?: readonly string[]): Promise<Gpu[]> {
  const [series = []] = await server.query(database, [inventoryStatement(uuids)])
  return gpusOf(series)
}

function inventoryStatement(uuids: readonly string[] | undefined): string {
  return `SELECT * FROM gpus${where(ofUuids(uuids))} GROUP BY uuid, gpu_i_id ORDER BY time DESC LIMIT 1`
}

function ofUuids(uuids: readonly string[] | undefined): string | undefined {
  return uuids === undefined ? undefined : oneOf('uuid', uuids.map(tagText))
}

function gpusOf(series: readonly Series[]): Gpu[] {
  const gpus = series.map((one) => {
    const [cells = {}] = rowsOf(one)
    const texts = Object.fromEntries(sightedAttributes.map((name) => [name, String(cells[name] ?? '')]))
    const labels = JSON.parse(String(cells['labels'] ?? '{}')) as Labels
    return {
      ...gpuOf(one.tags),
      ...(texts as Omit<GpuAttributes, 'uuid' | 'gpu_i_id'>),
      labels,
      said: instantOf(cells['said']),
    }
  })
  return gpus.sort(byPlace)
}

/** By host, then by index as a number. */
export function byPlace(a: GpuAttributes, b: GpuAttributes): number {
  return (
    compare(a.hostname, b.hostname) ||
    integerOf(a.gpu_id) - integerOf(b.gpu_id) ||
    compare(a.gpu_id, b.gpu_id) ||
    compare(a.uuid, b.uuid) ||
    integerOf(a.gpu_i_id) - integerOf(b.gpu_i_id) ||
    compare(a.gpu_i_id, b.gpu_i_id)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function integerOf(text: string): number {
  const value = parseInt(text, 10)
  return Number.isNaN(value) ? 0 : value
}

/** What a writer remembers of GPUs. @param uuids left out: all */
export async function readStates(
  server: Server,
  database: string,
  uuids: readonly string[] | undefined,
): Promise<GpuState[]> {
  const [gpus = [], occupants = []] = await server.query(database, [
    inventoryStatement(uuids),
    `SELECT * FROM occupants${where(ofUuids(uuids))} GROUP BY uuid, gpu_i_id ORDER BY time DESC LIMIT ${ownersMax}`,
  ])
  const owners = new Map(occupants.map((one) => [keyOf(gpuOf(one.tags)), changesOf(one)]))
  return gpusOf(gpus).map((gpu) => {
    const changes = owners.get(keyOf(gpu)) ?? []
    const { uuid, gpu_i_id, said } = gpu
    const isWhole = changes.length < ownersMax
    return { ...newGpu(uuid, gpu_i_id), attributes: fieldsOf(gpu), seen: said, owners: changes, isWhole }
  })
}

function keyOf({ uuid, gpu_i_id }: Pick<GpuAttributes, 'uuid' | 'gpu_i_id'>): string {
  return `${uuid}\0${gpu_i_id}`
}

function changesOf(series: Series): OwnerChange[] {
  const changes = rowsOf(series).map((cells) => ({
    at: instantOf(cells['time']),
    owner: Object.fromEntries(ownerFields.map((name) => [name, String(cells[name] ?? '')])) as unknown as Owner,
  }))
  return changes.sort(({ at: a }, { at: b }) => a.ms - b.ms || a.ns - b.ns)
}

/** All changes of owner, by GPU. @param uuids left out: of all GPUs */
export async function readOwnerChanges(server: Server, database: string, uuids?: readonly string[]) {
  const [series = []] = await server.query(database, [
    `SELECT * FROM occupants${where(ofUuids(uuids))} GROUP BY uuid, gpu_i_id`,
  ])
  return series.map((one) => ({ gpu: gpuOf(one.tags), changes: changesOf(one) }))
}

export async function readOwners(server: Server, database: string, query: OwnerQuery): Promise<OwnerRow[]> {
  const all = await readOwnerChanges(server, database, query.uuid === undefined ? undefined : [query.uuid])
  const gpus = all
    .filter(({ gpu }) => query.gpu_i_id === undefined || gpu.gpu_i_id === query.gpu_i_id)
    .sort(({ gpu: a }, { gpu: b }) => compare(a.uuid, b.uuid) || compare(a.gpu_i_id, b.gpu_i_id))
  const rows = gpus.flatMap(({ gpu, changes }) => intervalsOf(changes, gpu))
  const isAfter = (time: string | null, bound: Instant): boolean => {
    if (time === null) return true
    const at = instantOf(time)
    return at.ms > bound.ms || (at.ms === bound.ms && at.ns > bound.ns)
  }
  const { start, end } = query
  return rows.filter(
    ({ from, to }) => (start === undefined || isAfter(to, start)) && (end === undefined || !isAtOrAfter(from, end)),
  )
}

function isAtOrAfter(time: string, bound: Instant): boolean {
  const at = instantOf(time)
  return at.ms > bound.ms || (at.ms === bound.ms && at.ns >= bound.ns)
}
