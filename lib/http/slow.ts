import type { HttpLimits } from './engine.ts'

/** A body that is under way. */
export interface Upload {
  readonly receivedBytes: number
  /** It does not come in time: refuse it. It is looked at no more. */
  late(): void
}

interface Clock {
  readonly deadlineMs: number
  /** By then `uploadBytesMin` more than `bytes` must have come. */
  markMs: number
  bytes: number
}

/** Finds the bodies that do not come, or come too slowly. */
export class SlowUploads {
  readonly #limits: HttpLimits
  readonly #clocks = new Map<Upload, Clock>()
  /** One timer for all, and only while there are any: a timer a request would cost more than the request's own objects. */
  #look: NodeJS.Timeout | undefined

  constructor(limits: HttpLimits) {
    this.#limits = limits
  }

  add(upload: Upload): void {
    const nowMs = performance.now()
    const { requestMs, uploadMs } = this.#limits
    this.#clocks.set(upload, { deadlineMs: nowMs + requestMs, markMs: nowMs + uploadMs, bytes: 0 })
    this.#look ??= setInterval(this.#lookAtAll, Math.min(250, requestMs / 4))
  }

  delete(upload: Upload): void {
    this.#clocks.delete(upload)
  }

  readonly #lookAtAll = (): void => {
    const nowMs = performance.now()
    for (const [upload, clock] of this.#clocks) {
      if (nowMs < clock.deadlineMs && this.#isFast(upload, clock, nowMs)) continue
      this.#clocks.delete(upload)
      upload.late()
    }
    if (this.#clocks.size > 0) return
    clearInterval(this.#look)
    this.#look = undefined
  }

  #isFast({ receivedBytes }: Upload, clock: Clock, nowMs: number): boolean {
    if (nowMs < clock.markMs) return true
    const came = receivedBytes - clock.bytes
    clock.markMs = nowMs + this.#limits.uploadMs
    clock.bytes = receivedBytes
    return came >= this.#limits.uploadBytesMin
  }
}
