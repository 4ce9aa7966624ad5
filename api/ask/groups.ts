/** Which GPUs a question is about, and by what their values are grouped: `where` and `group_by`. */

import type { OwnerRow } from '#store/store'
import { parseTime } from '#telemetry/time'
import type { Gpu } from '../contract.ts'
import { bad } from './parameters.ts'

/** What a GPU is, and whose it is: the latter changes. */
export const dimensions = ['host', 'model', 'gpu', 'namespace', 'pod', 'job', 'user'] as const
export type Dimension = (typeof dimensions)[number]

const ofOwner: readonly Dimension[] = ['namespace', 'pod', 'job', 'user']

/** By dimension, in the order of the names. */
export type Group = Readonly<Partial<Record<Dimension, string>>>

/** What is asked for, of the dimensions that are asked for: any of the texts. */
export type Conditions = ReadonlyMap<Dimension, readonly string[]>

/** Reads `host,model`. @throws Problem `bad_parameter` */
export function readGroupBy<Name extends Dimension>(text: string | undefined, allowed: readonly Name[]): Name[] {
  const names = text === undefined || text === '' ? [] : text.split(',')
  const isKnown = (name: string): name is Name => (allowed as readonly string[]).includes(name)
  if (names.every(isKnown) && new Set(names).size === names.length) return names
  throw bad('group_by', `group_by=${text?.slice(0, 100)}: want some of ${allowed.join(', ')}, with commas, each once`)
}

/** Reads `host=a`, each from a parameter of its own. @throws Problem `bad_parameter` */
export function readWhere(texts: readonly string[]): Conditions {
  const conditions = new Map<Dimension, string[]>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    const name = dimensions.find((one) => one === text.slice(0, equals))
    if (equals < 0 || name === undefined) {
      const want = `want ${dimensions.join('=…, ')}=…, such as where=host=node-1`
      throw bad('where', `where=${text.slice(0, 100)}: ${want}`)
    }
    conditions.set(name, [...(conditions.get(name) ?? []), text.slice(equals + 1)])
  }
  return conditions
}

export function needsOwners(groupBy: readonly Dimension[], where: Conditions): boolean {
  return ofOwner.some((name) => groupBy.includes(name) || where.has(name))
}

/** Those that fit what is asked of host, model and GPU: what does not change with time. */
export function selected(gpus: readonly Gpu[], where: Conditions): Gpu[] {
  const [hosts, models, ids] = [where.get('host'), where.get('model'), where.get('gpu')]
  const lower = models?.map((model) => model.toLowerCase())
  return gpus.filter(
    (gpu) =>
      hosts?.includes(gpu.hostname) !== false &&
      lower?.some((model) => gpu.model_name.toLowerCase().includes(model)) !== false &&
      ids?.some((id) => id === gpu.uuid || id === gpu.id || id === `${gpu.hostname}:${gpu.gpu_id}`) !== false,
  )
}

/** Nobody's. */
const none = { namespace: '', pod: '', job: '', user: '' }

/** An interval of one owner, in ms since 1970; `to` is Infinity where it goes on. */
export interface Held {
  readonly fromMs: number
  readonly toMs: number
  readonly owner: Readonly<Record<'namespace' | 'pod' | 'job' | 'user', string>>
}

/** By `uuid` and slice, in the order of time. */
export function heldBy(rows: readonly OwnerRow[]): ReadonlyMap<string, readonly Held[]> {
  const held = new Map<string, Held[]>()
  for (const { uuid, gpu_i_id, from, to, namespace, pod, hpc_job: job, user } of rows) {
    const key = keyOf({ uuid, gpu_i_id })
    const own = held.get(key) ?? []
    held.set(key, own)
    own.push({ fromMs: msOf(from), toMs: to === null ? Infinity : msOf(to), owner: { namespace, pod, job, user } })
  }
  return held
}

function msOf(time: string): number {
  return parseTime(time)?.ms ?? 0
}

export function keyOf({ uuid, gpu_i_id }: { readonly uuid: string; readonly gpu_i_id: string }): string {
  return `${uuid}\0${gpu_i_id}`
}

/** Whose it is at a time. */
export function ownerAt(held: readonly Held[], ms: number): Held['owner'] {
  return held.findLast(({ fromMs, toMs }) => fromMs <= ms && ms < toMs)?.owner ?? none
}

/** How long each had it from one time to another, those who had it not at all left out; nobody is an owner, too. */
export function shares(held: readonly Held[], fromMs: number, toMs: number): (readonly [Held['owner'], number])[] {
  const own = held.flatMap((one): (readonly [Held['owner'], number])[] => {
    const ms = Math.min(toMs, one.toMs) - Math.max(fromMs, one.fromMs)
    return ms > 0 ? [[one.owner, ms]] : []
  })
  const rest = toMs - fromMs - own.reduce((sum, [, ms]) => sum + ms, 0)
  return rest > 0 ? [...own, [none, rest]] : own
}

/** Whether an owner fits what is asked of owners. */
export function fits(owner: Held['owner'], where: Conditions): boolean {
  return ofOwner.every((name) => where.get(name)?.includes(owner[name as keyof typeof owner]) !== false)
}

export function groupOf(
  gpu: Pick<Gpu, 'id' | 'hostname' | 'model_name'>,
  owner: Held['owner'],
  by: readonly Dimension[],
): Group {
  const all = { host: gpu.hostname, model: gpu.model_name, gpu: gpu.id, ...owner }
  return Object.fromEntries(by.map((name) => [name, all[name]]))
}

/** Texts that are in the order of their groups, and equal for equal ones. */
export function groupKey(group: Group, by: readonly Dimension[]): string {
  return JSON.stringify(by.map((name) => group[name] ?? ''))
}
