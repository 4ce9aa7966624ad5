/** Batches on their way: bounded in number, settled in their order, each settled one leaving its checkpoint behind. */

/** Each is a read of a file (1 MiB) at most, and the text made of it. */
const batchesMax = 4

export class Settling<Checkpoint> {
  private readonly save: (checkpoint: Checkpoint) => Promise<void>
  private waiting: Promise<void>[] = []
  private last: Promise<void> = Promise.resolve()

  /** @param save told of the checkpoints of settled batches, one after the other */
  constructor(save: (checkpoint: Checkpoint) => Promise<void>) {
    this.save = save
  }

  /**
   * Takes a batch on its way; returns when there is room for the next.
   *
   * @throws what an earlier batch failed with: then no later one leaves a checkpoint
   */
  async add(done: Promise<unknown>, checkpoint: Checkpoint): Promise<void> {
    const before = this.last
    // Both are awaited at once, so that a failure behind an earlier batch is not unhandled meanwhile.
    const settled = Promise.all([before, done]).then(() => this.save(checkpoint))
    settled.catch(() => {})
    this.last = settled
    this.waiting.push(settled)
    while (this.waiting.length >= batchesMax) await this.waiting.shift()
  }

  /** Waits for all of them. */
  async flush(): Promise<void> {
    await this.last
    this.waiting = []
  }
}
