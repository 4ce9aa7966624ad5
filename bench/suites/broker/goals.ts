/** What the figures are to reach, as ratios to others in the same run. */

export interface Goal {
  readonly ratio: number
  /** `most`: the ratio is to be no higher, as of times and of memory. */
  readonly is: 'least' | 'most'
}

type OfEngine = Readonly<Partial<Record<string, Goal>>>

const least = (ratio: number): Goal => ({ ratio, is: 'least' })
const most = (ratio: number): Goal => ({ ratio, is: 'most' })
const each = (goal: Goal, ...peers: readonly string[]): OfEngine =>
  Object.fromEntries(peers.map((peer) => [peer, goal] as const))

const both = (goals: OfEngine): Readonly<Record<string, OfEngine>> => ({ node: goals, uws: goals })

/** By work, engine and peer. */
const goals: Readonly<Record<string, Readonly<Record<string, OfEngine>>>> = {
  'produce-batch-disk': {
    node: each(least(2.5), 'redis', 'kafka', 'jetstream'),
    uws: each(least(4), 'redis', 'kafka', 'jetstream'),
  },
  'produce-batch-fsync': {
    node: { ...each(least(2), 'redis'), ...each(least(0.75), 'disk') },
    uws: { ...each(least(3), 'redis'), ...each(least(0.75), 'disk') },
  },
  // What of it the HTTP layer of `node` takes is told, and is no goal.
  'produce-single-disk': { uws: each(least(1), 'redis', 'jetstream') },
  'consume-memory': both({ ...each(least(3), 'kafka', 'redis', 'jetstream') }),
  'consume-disk': both(each(least(0.7), 'cat')),
  'latency-20k': both(each(most(1), 'jetstream')),
}

const besideMemory = 'MEMORY_BYTES + 100 MiB'

/** The goal of a figure beside a peer's; most have none. */
export function goalOf(
  work: string,
  engine: unknown,
  peer: string | undefined,
  partitions?: unknown,
): Goal | undefined {
  if (peer === undefined) return undefined
  if (work === 'backlog-resident') return peer === besideMemory && partitions === 10_000 ? most(1) : undefined
  return goals[work]?.[String(engine)]?.[peer]
}

/** What one raw reader is to get out of memory, where the loopback gives more. */
const readerGbPerS = 2
/** Nearer to what a process that does nothing else gets through the loopback, the loopback is the limit. */
const atTheLimit = 0.9

/** Whether a reader gets less than it should, of a figure beside `loopback`. */
export function isSlowReader(work: string, gbPerS: unknown, ofLoopback: number): boolean {
  return work === 'consume-memory' && Number(gbPerS) < readerGbPerS && ofLoopback < atTheLimit
}

export function isReached({ ratio, is }: Goal, measured: number): boolean {
  return is === 'least' ? measured >= ratio : measured <= ratio
}
