/**
 * Bulk data between sites: files of very different sizes over links of different speed, which are slower at busy hours,
 * fail now and then, and at times fail most of the time; what failed is tried again.
 */

import type { TransferRecord } from '#telemetry/record'
import type { Agenda } from './agenda.ts'
import { drift, exp, hash, keyOf, Random } from './prng.ts'
import { formatTime } from './time.ts'

const sites: readonly string[] = ['SITE_A', 'SITE_B', 'SITE_C']

/** An attempt that has ended. `endMs` is its record's time. */
export interface Attempt {
  readonly id: string
  readonly source: Place
  readonly destination: Place
  readonly startMs: number
  readonly endMs: number
  /** What was moved: less than the file where it failed. */
  readonly bytes: number
  readonly attempt: number
  /** No further attempt follows. */
  readonly final: boolean
  readonly failure: Failure | undefined
}

interface Place {
  readonly site: string
  readonly path: string
}

/** One way from one site to another. */
interface Link {
  readonly source: string
  readonly destination: string
  readonly key: number
  readonly bytesPerS: number
  readonly setupS: number
  /** Until then it fails most of the time. */
  badUntilMs: number
}

interface Failure {
  readonly class: string
  readonly text: string
  /** Trying again makes sense. */
  readonly retry: boolean
}

const failures: readonly (Failure & { readonly weight: number })[] = [
  { class: 'timeout', text: 'no data for 60 s', retry: true, weight: 30 },
  { class: 'connection_reset', text: 'connection reset by peer', retry: true, weight: 30 },
  { class: 'checksum_mismatch', text: 'checksum of the copy differs from the source', retry: true, weight: 12 },
  { class: 'no_space', text: 'no space left on destination', retry: true, weight: 8 },
  { class: 'permission_denied', text: 'permission denied on destination', retry: false, weight: 12 },
  { class: 'source_missing', text: 'source file does not exist', retry: false, weight: 8 },
]

/** What a link that is down gives. */
const linkDown: readonly Failure[] = failures.slice(0, 2)

const attemptsMax = 3
const failShare = 0.015
const failShareBad = 0.75
/** A sound link goes bad this long after the last time, and stays so for 10 to 40 minutes. */
const soundMs = 12 * 3_600_000

const fileKinds = ['raw/run', 'datasets/shard', 'checkpoints/step', 'archive/day']
const projects = ['genomics', 'climate', 'vision', 'telescope']

/** Ends of attempts, in `ended`, as the agenda comes to them. Whoever reads them empties it. */
export class Transfers {
  readonly ended: Attempt[] = []
  /** Off while time is wound forward: a month of ended attempts need not stand in memory to be thrown away. */
  kept = true
  readonly #seed: number
  readonly #agenda: Agenda
  readonly #random: Random
  readonly #links: readonly Link[]
  readonly #gapMs: number
  #started = 0

  /** Transfers start from `fromMs` on; two minutes after `badFromMs` the first link goes bad, for 10 to 20 minutes. */
  constructor(seed: number, agenda: Agenda, fromMs: number, badFromMs: number, transfersPerMinute: number) {
    this.#seed = seed
    this.#agenda = agenda
    this.#random = new Random(keyOf(seed, 'transfers'))
    this.#links = sites.flatMap((source) =>
      sites.filter((site) => site !== source).map((destination) => this.#makeLink(source, destination)),
    )
    this.#gapMs = transfersPerMinute > 0 ? 60_000 / transfersPerMinute : Infinity
    if (this.#gapMs === Infinity) return
    agenda.at(fromMs, (ms) => this.#begin(ms))
    const first = this.#random.pick(this.#links)
    agenda.at(badFromMs + 120_000, (ms) => this.#spoil(first, ms, this.#random.between(10, 20) * 60_000))
    for (const link of this.#links) {
      const random = new Random(hash(link.key, 1))
      const spoil = (ms: number): void => {
        this.#spoil(link, ms, random.between(10, 40) * 60_000)
        agenda.at(ms + 2_400_000 + Math.ceil(random.exponential(soundMs)), spoil)
      }
      agenda.at(badFromMs + 3_600_000 + Math.ceil(random.exponential(soundMs)), spoil)
    }
  }

  #makeLink(source: string, destination: string): Link {
    const key = keyOf(this.#seed, `${source} to ${destination}`)
    const random = new Random(key)
    const setupS = random.between(0.15, 0.6)
    return { source, destination, key, bytesPerS: random.logNormal(4e8, 0.6), setupS, badUntilMs: -Infinity }
  }

  #spoil(link: Link, ms: number, forMs: number): void {
    link.badUntilMs = Math.max(link.badUntilMs, Math.round(ms + forMs))
  }

  #begin(ms: number): void {
    const link = this.#random.pick(this.#links)
    const number = this.#started++
    const random = new Random(keyOf(this.#seed, 'transfer', number))
    const name = `${random.pick(projects)}/${random.pick(fileKinds)}-${String(random.integer(100_000)).padStart(5, '0')}.h5`
    const bytes = Math.ceil(Math.min(4e12, random.logNormal(8e8, 1.7)))
    const id = `t${hash(link.key, number).toString(16).padStart(8, '0')}${number.toString(36)}`
    this.#attempt(ms, link, random, { id, name, bytes }, 1)
    const busy = 1 + 0.4 * drift(hash(this.#seed, 2), ms, 3_600_000)
    this.#agenda.at(ms + 1 + Math.floor(this.#random.exponential(this.#gapMs / busy)), (at) => this.#begin(at))
  }

  #attempt(ms: number, link: Link, random: Random, file: File, attempt: number): void {
    const bad = ms < link.badUntilMs
    const speed = link.bytesPerS * hourFactor(link.key, ms) * random.logNormal(1, 0.25)
    const failed = random.unit() < (bad ? failShareBad : failShare)
    const failure = failed ? drawFailure(random, bad) : undefined
    const bytes = failure === undefined ? file.bytes : failure.retry ? Math.floor(file.bytes * random.unit() * 0.9) : 0
    const waitedS = failure?.class === 'timeout' ? 60 : 0
    const endMs = ms + Math.max(1, Math.round((link.setupS + waitedS + bytes / speed) * 1000))
    const final = failure === undefined || !failure.retry || attempt === attemptsMax
    const source = { site: link.source, path: `/projects/${file.name}` }
    const destination = { site: link.destination, path: `/lake/${file.name}` }
    // Each attempt has an id of its own: records of one id are one point.
    const record = {
      id: `${file.id}-${attempt}`,
      source,
      destination,
      startMs: ms,
      endMs,
      bytes,
      attempt,
      final,
      failure,
    }
    this.#agenda.at(endMs, () => {
      if (this.kept) this.ended.push(record)
    })
    if (final) return
    const pauseMs = Math.round(random.between(5000, 15_000) * attempt)
    this.#agenda.at(endMs + pauseMs, (at) => this.#attempt(at, link, random, file, attempt + 1))
  }
}

interface File {
  readonly id: string
  readonly name: string
  readonly bytes: number
}

/** The record of an attempt, by the field names of the API. */
export function recordOf(attempt: Attempt): TransferRecord {
  const { source, destination, failure } = attempt
  return {
    kind: 'transfer',
    time: formatTime(attempt.endMs),
    id: attempt.id,
    site: source.site,
    source: placeText(source),
    destination: placeText(destination),
    bytes: attempt.bytes,
    duration_s: (attempt.endMs - attempt.startMs) / 1000,
    status: statusOf(attempt),
    error: failure?.text ?? '',
    started: formatTime(attempt.startMs),
    source_site: source.site,
    destination_site: destination.site,
    attempt: attempt.attempt,
    final: attempt.final,
    ...(failure === undefined ? undefined : { error_class: failure.class }),
  }
}

/** `SITE_A:/projects/…`. */
export function placeText(place: Place): string {
  return `${place.site}:${place.path}`
}

export function statusOf(attempt: Attempt): 'success' | 'failed' {
  return attempt.failure === undefined ? 'success' : 'failed'
}

function drawFailure(random: Random, bad: boolean): Failure {
  if (bad) return random.pick(linkDown)
  return failures[random.weighted(failures.map((failure) => failure.weight))] as Failure
}

/** Half the speed in the busiest hours of a link, which come at the same time each day. */
function hourFactor(key: number, ms: number): number {
  const hour = (ms / 3_600_000 + (key % 24)) % 24
  const fromNoon = (hour - 12) / 4
  return 1 - 0.5 * exp(-fromNoon * fromNoon)
}
