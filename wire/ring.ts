/** The table of owners, as `GET /ring` of a proxy tells it, and what a client reads out of it. Pure. */

/** A proxy's answers to produce name the table that they went by. */
export const ringHeader = 'penstock-ring'

/** `GET /ring?topic=T`, as far as it is read here. */
export interface RingAnswer {
  readonly version: string
  /** Whether the proxy knows all brokers. */
  readonly complete: boolean
  /** How long the table is good without asking again, in ms. */
  readonly max_age_ms: number
  readonly members: readonly {
    readonly broker?: number
    readonly url: string
    readonly state: string
    readonly writable: boolean
  }[]
  readonly topics: Readonly<
    Record<
      string,
      { readonly partitions: number; readonly owners: readonly number[]; readonly strict?: boolean } | undefined
    >
  >
}

/**
 * Where each partition of a topic may be sent straight, by number: the owner's address where it is up and takes records.
 * Everything else is the proxy's business, and so is a strict topic: it knows when a new owner may begin.
 */
export function addressesOf(ring: RingAnswer, topic: string): readonly (string | undefined)[] {
  const table = ring.topics[topic]
  if (!ring.complete || table === undefined || table.strict === true) return []
  const urls = new Map(
    ring.members.flatMap(({ broker, url, state, writable }) =>
      broker !== undefined && state === 'up' && writable ? [[broker, url]] : [],
    ),
  )
  return table.owners.map((owner) => urls.get(owner))
}

/** Reads an answer; `undefined` when it is none of a proxy. */
export function readRing(body: unknown): RingAnswer | undefined {
  const { version, members, topics, max_age_ms: ageMs } = (body ?? {}) as Partial<RingAnswer>
  const isOne =
    typeof version === 'string' && Array.isArray(members) && typeof topics === 'object' && ageMs !== undefined
  return isOne ? (body as RingAnswer) : undefined
}
