import type { SQLInputValue } from 'node:sqlite'
import { gpuAttributes } from '../attributes.ts'
import type { Moment } from './instants.ts'

/** Conditions joined by AND, with their values; what is `undefined` is no condition. */
export class Where {
  readonly #conditions: string[] = []
  readonly values: SQLInputValue[] = []

  equal(column: string, value: string | undefined): this {
    if (value === undefined) return this
    this.#conditions.push(`${column} = ?`)
    this.values.push(value)
    return this
  }

  oneOf(column: string, values: readonly string[] | undefined): this {
    if (values === undefined) return this
    this.#conditions.push(`${column} IN (SELECT value FROM json_each(?))`)
    this.values.push(JSON.stringify(values))
    return this
  }

  and(condition: string | undefined): this {
    if (condition !== undefined) this.#conditions.push(condition)
    return this
  }

  moment(condition: string, { s, ns }: Moment, ...more: SQLInputValue[]): this {
    this.#conditions.push(condition)
    this.values.push(s, ns, ...more)
    return this
  }

  get sql(): string {
    return this.#conditions.length === 0 ? '' : `WHERE ${this.#conditions.join(' AND ')}`
  }
}

export type Row = Record<string, string | number | null>

/** The columns of `gpus g` that say what a GPU is. */
export const gpuTexts = gpuAttributes.map((name) => `g.${name}`).join(', ')

/** By host, then by the number that the index is. */
export const gpuOrder =
  'g.hostname, CAST(g.gpu_id AS INTEGER), g.gpu_id, g.uuid, CAST(g.gpu_i_id AS INTEGER), g.gpu_i_id'
