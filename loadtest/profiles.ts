/**
 * What is done, how much of it, and how well it must go: plain data, read by k6 (k6/main.ts) and by `npm run loadtest`.
 *
 * All is an open loop: a request is due at its time, whether those before it are answered or not, so that a pipeline that stands
 * still is not spared what comes meanwhile.
 */

/** What a virtual user can be busy with. Without a choice all of it goes on at once. */
export const works = {
  single_proxy: 'one record a request, through the proxy',
  single_direct: 'one record a request, to the brokers themselves',
  batch_proxy: 'batches of 200 records, through the proxy',
  batch_direct: 'batches of 200 records, to the brokers themselves',
  pull: 'up to 500 records pulled from a shared group, and acknowledged',
  query: 'questions to the API: the fleet, a page of GPUs, one GPU over time, a metric by host',
} as const

export type Work = keyof typeof works

/** What the API is asked, in turn. */
export const questions = ['fleet', 'gpus', 'one_gpu', 'by_host'] as const

export type Question = (typeof questions)[number]

/** Requests a second at level 1. */
export const perSecond: Readonly<Record<Work, number>> = {
  single_proxy: 25,
  single_direct: 25,
  batch_proxy: 4,
  batch_direct: 4,
  pull: 10,
  query: 5,
}

/** Records of a batch, and the most that one pull gives. */
export const batchRecords = 200
export const pullRecords = 500

export interface Profile {
  readonly about: string
  /** From one level to the next in so many seconds, each a multiple of {@link perSecond}. */
  readonly stages: readonly { readonly level: number; readonly seconds: number }[]
  /** What k6 must have measured: the share of requests that failed, and latencies in ms of each work. */
  readonly failedMax: number
  /** The share of the requests of each work that may be refused, see outcome.ts: no failure, where more is asked than can be done. */
  readonly refusedMax: number
  /** Requests a second that were due and not sent, because all users were busy: no better than those that failed. */
  readonly droppedMax: number
  readonly p95Ms: number
  readonly p99Ms: number
}

/**
 * The bounds are those of two cores that run k6, the pipeline and its database: a stack that is slower than that is ill, one
 * that is within is not thereby fast (`npm run bench` measures that).
 */
export const profiles = {
  smoke: {
    about: 'does it all work: a minute at a low rate',
    stages: [{ level: 1, seconds: 60 }],
    failedMax: 0,
    refusedMax: 0,
    // CI's machines have other work: what is wrong shows as a failure or a loss, not as a delay.
    droppedMax: 10,
    p95Ms: 5_000,
    p99Ms: 10_000,
  },
  load: {
    about: 'a working day: 5 minutes at a steady rate',
    stages: [
      { level: 4, seconds: 30 },
      { level: 4, seconds: 270 },
    ],
    failedMax: 0.001,
    refusedMax: 0.001,
    droppedMax: 1_000,
    p95Ms: 200,
    p99Ms: 500,
  },
  stress: {
    about: 'where does it bend: up to 20 times the rate in 4 minutes, and down again',
    stages: [
      { level: 5, seconds: 60 },
      { level: 10, seconds: 60 },
      { level: 20, seconds: 120 },
      { level: 1, seconds: 60 },
    ],
    failedMax: 0.05,
    refusedMax: 0.5,
    droppedMax: 1_000,
    p95Ms: 2_000,
    p99Ms: 5_000,
  },
  spike: {
    about: 'a burst: 15 times the rate within 5 s, for half a minute, twice',
    stages: [
      { level: 1, seconds: 20 },
      { level: 15, seconds: 5 },
      { level: 15, seconds: 30 },
      { level: 1, seconds: 5 },
      { level: 1, seconds: 30 },
      { level: 15, seconds: 5 },
      { level: 15, seconds: 30 },
      { level: 1, seconds: 5 },
      { level: 1, seconds: 20 },
    ],
    failedMax: 0.02,
    refusedMax: 0.2,
    droppedMax: 1_000,
    p95Ms: 2_000,
    p99Ms: 5_000,
  },
  soak: {
    about: 'does it stay well: an hour at a steady rate (--duration 8h: a night)',
    stages: [
      { level: 4, seconds: 60 },
      { level: 4, seconds: 3_540 },
    ],
    failedMax: 0.001,
    refusedMax: 0.001,
    droppedMax: 1_000,
    p95Ms: 300,
    p99Ms: 1_000,
  },
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof profiles

export function secondsOf({ stages }: Profile): number {
  return stages.reduce((sum, { seconds }) => sum + seconds, 0)
}

/**
 * The same picture drawn in so many seconds, narrower or wider: each stage keeps its share, and has at least a second.
 *
 * @param seconds a whole number, no fewer than there are stages
 */
export function lasting(profile: Profile, seconds: number): Profile {
  const factor = seconds / secondsOf(profile)
  let left = profile.stages.length
  let end = 0
  let drawn = 0
  const stages = profile.stages.map((stage) => {
    end += stage.seconds
    left -= 1
    const from = drawn
    // Ends are rounded, not lengths: so the sum is what was asked for.
    drawn = Math.min(Math.max(Math.round(end * factor), from + 1), seconds - left)
    return { ...stage, seconds: drawn - from }
  })
  return { ...profile, stages }
}

/** The scenarios of k6, one a work: a function of the same name in k6/main.ts does it. */
export function scenariosOf(profile: Profile, chosen: readonly Work[]) {
  const [first] = profile.stages
  return Object.fromEntries(
    chosen.map((work) => [
      work,
      {
        executor: 'ramping-arrival-rate' as const,
        exec: work,
        // k6 ramps from here to the first level: none is a jump.
        startRate: Math.ceil(perSecond[work] * (first?.level ?? 1)),
        timeUnit: '1s',
        stages: profile.stages.map(({ level, seconds }) => ({
          target: Math.ceil(perSecond[work] * level),
          duration: `${seconds}s`,
        })),
        preAllocatedVUs: 10,
        maxVUs: 200,
        tags: { work },
        gracefulStop: '10s',
      },
    ]),
  )
}

/** What k6 holds a run to. A threshold of a tagged metric also puts it into the summary. */
export function thresholdsOf(profile: Profile, chosen: readonly Work[]): Record<string, string[]> {
  const thresholds: Record<string, string[]> = {
    requests_failed: [`rate<=${profile.failedMax}`],
    checks: [`rate>=${1 - profile.failedMax}`],
    dropped_iterations: [`rate<=${profile.droppedMax}`],
  }
  for (const work of chosen) {
    thresholds[`http_req_duration{work:${work}}`] = [`p(95)<${profile.p95Ms}`, `p(99)<${profile.p99Ms}`]
    thresholds[`http_reqs{work:${work}}`] = ['count>0']
    thresholds[`requests_refused{work:${work}}`] = [`rate<=${profile.refusedMax}`]
  }
  if (chosen.includes('query')) {
    // Held to the bounds of the work; here so that the summary has each of them.
    for (const question of questions) thresholds[`http_req_duration{question:${question}}`] = ['max>=0']
  }
  return thresholds
}
