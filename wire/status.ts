/**
 * What the roles say of themselves: `GET /status`. Each role produces its own, and whoever reads one reads this. What is optional
 * is left out where it does not hold, or by brokers of before; the answer of another version may lack more.
 */

/** What every role says first. */
export interface RoleStatus {
  readonly role: string
  readonly version: string
  readonly uptime_s: number
}

/** What each role says behind that. */
export interface StatusOf {
  readonly broker: BrokerStatus
  readonly proxy: ProxyStatus
  readonly streamer: StreamerStatus
  readonly collector: CollectorStatus
  readonly api: ApiStatus
}

/** Whatever takes and hands out records: a proxy speaks for all of its brokers, a broker for itself. */
export type QueueStatus = RoleStatus & Partial<BrokerStatus & ProxyStatus>

export interface BrokerStatus {
  /** Its ordinal. */
  readonly broker: number
  /** It is being emptied, and takes nothing new. */
  readonly draining: boolean
  /** Left out where it keeps nothing on a disk. */
  readonly disk?: DiskStatus
  readonly topics: Readonly<Record<string, TopicStatus>>
}

export interface DiskStatus {
  readonly free_bytes: number
  readonly total_bytes: number
  /** With less than this free, nothing is taken any more. */
  readonly floor_bytes: number
  /** Why nothing is taken now. */
  readonly full?: string
}

export interface ProxyStatus {
  /** The version of the table that says who owns what. */
  readonly ring: string
  readonly members: readonly MemberStatus[]
  /** Whether every broker is in the figures of the topics. */
  readonly complete: boolean
  readonly topics: Readonly<Record<string, TopicStatus>>
}

/** A broker as a proxy sees it. */
export interface MemberStatus {
  /** Left out until it has told it. */
  readonly broker?: number | undefined
  readonly url: string
  /** What its certificate must name, where its address was looked up and is asked by TLS. */
  readonly server_name?: string
  readonly state: 'up' | 'down' | 'probing' | 'draining'
  readonly writable: boolean
  readonly draining: boolean
  /** Why it is not up, or takes no records. */
  readonly reason?: string
  /** Since when it is in this state. */
  readonly since: string
  readonly in_flight: number
  /** What it owns, by topic. */
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

export interface TopicStatus {
  readonly records: number
  readonly produced: number
  readonly bytes: number
  /** Offsets that hold no record though none was removed, by reason. */
  readonly missing?: Readonly<Record<string, number>>
  /** Of dead letters: those that nobody has dealt with. */
  readonly open?: number
  readonly groups: Readonly<Record<string, GroupStatus>>
}

export interface GroupStatus {
  readonly mode: string
  /** Records that it has not acknowledged, and of them those that are delivered. */
  readonly lag: number
  readonly in_flight: number
  readonly given_back?: number
  readonly given_up?: number
  readonly consumers: number
  /** Records that were removed before it had acknowledged them. */
  readonly lost?: number
  /** The age of the record that waits longest; left out where none waits. */
  readonly oldest_unacknowledged_s?: number
  /** How long nobody has read in it, and when it is deleted for that; left out where somebody reads. */
  readonly idle_s?: number
  readonly expires_in_s?: number
  readonly logs: readonly GroupLogStatus[]
}

/** A group in one log. */
export interface GroupLogStatus {
  readonly broker: number
  readonly partition: number
  /** Every record below it is acknowledged. */
  readonly floor: number
  /** Where delivery goes on. */
  readonly next: number
  readonly lag: number
  readonly in_flight: number
  /** The consumer that has the partition, in exclusive mode. */
  readonly holder?: string | null | undefined
}

export interface StreamerStatus {
  readonly sources: readonly SourceStatus[]
  /** Rows that are settled: acknowledged by the broker (`sent`), or dead-lettered. */
  readonly read: number
  readonly sent: number
  readonly dead: number
  /** Nothing is left to read, and nothing will come. */
  readonly done: boolean
}

export interface SourceStatus {
  readonly name: string
  readonly path: string
  readonly format: string | undefined
  /** How much of its text is settled, and its size on disk: they are of one kind unless it is compressed. */
  readonly bytes: number
  readonly size: number
  readonly rows: number
  readonly dead: number
  readonly done: boolean
  /** Why it cannot be read (on). */
  readonly error?: string
}

/** Records by what became of them. */
export interface CountsStatus {
  readonly received: number
  readonly stored: number
  readonly duplicate: number
  readonly not_reported: number
  readonly dead: number
}

/** The ledger's account, which is left out while the store cannot be asked, and what is between the broker and the ledger. */
export interface CollectorStatus extends Partial<CountsStatus> {
  readonly topics?: Readonly<Record<string, CountsStatus>>
  readonly logs?: readonly LedgerStatus[]
  /** Records received and not yet written. */
  readonly pending?: number
  readonly group: string
  readonly store?: { readonly engine: string; readonly bytes: number | undefined }
  /** Why nothing is written now. */
  readonly trouble?: string
}

/** The account of one log. */
export interface LedgerStatus extends CountsStatus {
  readonly topic: string
  readonly log_id: string
  readonly broker: number
  readonly partition: number
  /** Every record below this offset is settled. */
  readonly next: number
}

export interface ApiStatus {
  /** Of the live stream. */
  readonly readers: number
  readonly streamed: number
  /** Why the store could not be read when it was last asked; null: it could. */
  readonly store: string | null
  /** How the keys are that it follows. */
  readonly keys: object
}
