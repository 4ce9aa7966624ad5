/**
 * The tables, as the list of steps that make them. A step that was released is never changed; a new one is added.
 *
 * `points` is ordered by time first: a batch of fresh values then touches a handful of pages at the end of the table
 * (2.1M rows/s), where ordered by series each value touches a page of its own (167k rows/s, and COMMIT takes 25 times as
 * long). docs/decisions/050-store-layout.md has the figures. The price is that a range of one series seeks once a second
 * of the range (`queries.ts`), which rollups and sealed blocks are to take over for old data.
 *
 * Times are two columns, whole seconds and nanoseconds within the second, because nanoseconds since 1970 are beyond what
 * a JavaScript number holds exactly and BigInt costs more than the whole insert. SQLite keeps a zero in no bytes at all.
 */

/** One step: the schema of version `n` + 1 out of that of version `n`, n being the step's place in the list. */
export interface Migration {
  readonly name: string
  readonly sql: string
}

export const migrations: readonly Migration[] = [
  {
    name: 'points, series, gpus, transfers, ledger',
    sql: `
      CREATE TABLE gpus (
        id INTEGER PRIMARY KEY,
        uuid TEXT NOT NULL,
        gpu_i_id TEXT NOT NULL,
        hostname TEXT NOT NULL,
        gpu_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        model_name TEXT NOT NULL,
        container TEXT NOT NULL,
        pod TEXT NOT NULL,
        namespace TEXT NOT NULL,
        labels TEXT NOT NULL,
        UNIQUE (uuid, gpu_i_id)
      );
      CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        metric TEXT NOT NULL,
        gpu INTEGER REFERENCES gpus,
        labels TEXT NOT NULL
      );
      CREATE INDEX series_by_metric ON series (metric, gpu);
      CREATE INDEX series_by_gpu ON series (gpu);
      CREATE TABLE points (
        s INTEGER NOT NULL,
        series INTEGER NOT NULL,
        ns INTEGER NOT NULL,
        value REAL,
        PRIMARY KEY (s, series, ns)
      ) WITHOUT ROWID;
      CREATE TABLE latest (
        series INTEGER PRIMARY KEY,
        first_s INTEGER NOT NULL,
        first_ns INTEGER NOT NULL,
        s INTEGER NOT NULL,
        ns INTEGER NOT NULL,
        value REAL
      );
      CREATE TABLE transfers (
        id TEXT NOT NULL PRIMARY KEY,
        s INTEGER NOT NULL,
        ns INTEGER NOT NULL,
        site TEXT NOT NULL,
        source TEXT NOT NULL,
        destination TEXT NOT NULL,
        bytes REAL,
        duration_s REAL,
        status TEXT NOT NULL,
        error TEXT NOT NULL,
        started TEXT,
        source_site TEXT,
        destination_site TEXT,
        attempt INTEGER,
        final INTEGER,
        error_class TEXT
      ) WITHOUT ROWID;
      CREATE INDEX transfers_by_time ON transfers (s, ns, id);
      CREATE INDEX transfers_by_site ON transfers (site, s, ns, id);
      CREATE TABLE ledger (
        topic TEXT NOT NULL,
        log_id TEXT NOT NULL,
        broker INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        next INTEGER NOT NULL,
        received INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        duplicate INTEGER NOT NULL,
        not_reported INTEGER NOT NULL,
        dead INTEGER NOT NULL,
        PRIMARY KEY (topic, log_id)
      ) WITHOUT ROWID;
    `,
  },
  {
    name: 'owners, rows that retention removed',
    sql: `
      CREATE TABLE owners (
        gpu INTEGER NOT NULL REFERENCES gpus,
        s INTEGER NOT NULL,
        ns INTEGER NOT NULL,
        namespace TEXT NOT NULL,
        pod TEXT NOT NULL,
        container TEXT NOT NULL,
        hpc_job TEXT NOT NULL,
        user TEXT NOT NULL,
        PRIMARY KEY (gpu, s, ns)
      ) WITHOUT ROWID;
      CREATE TABLE removed (rows INTEGER NOT NULL);
      INSERT INTO removed VALUES (0);
    `,
  },
  {
    // Hours are counted since 1970. By hour first, as `points` is by time: an hour is sealed, and removed, in one place. The
    // key is an index, because a search in a table WITHOUT ROWID reads the whole of every row that it passes.
    name: 'blocks',
    sql: `
      CREATE TABLE hours (hour INTEGER PRIMARY KEY, samples INTEGER NOT NULL);
      CREATE TABLE blocks (
        hour INTEGER NOT NULL,
        series INTEGER NOT NULL,
        rollup BLOB NOT NULL,
        rows BLOB NOT NULL,
        PRIMARY KEY (hour, series)
      );
    `,
  },
  {
    // How often they changed: what tells a reader whether what it knows of them still holds. New series are told by their ids.
    name: 'changes of the inventory',
    sql: `
      CREATE TABLE changes (gpus INTEGER NOT NULL, series INTEGER NOT NULL);
      INSERT INTO changes VALUES (0, 0);
      CREATE TRIGGER gpus_inserted AFTER INSERT ON gpus BEGIN UPDATE changes SET gpus = gpus + 1; END;
      CREATE TRIGGER gpus_updated AFTER UPDATE ON gpus BEGIN UPDATE changes SET gpus = gpus + 1; END;
      CREATE TRIGGER gpus_deleted AFTER DELETE ON gpus BEGIN UPDATE changes SET gpus = gpus + 1; END;
      CREATE TRIGGER series_deleted AFTER DELETE ON series BEGIN UPDATE changes SET series = series + 1; END;
    `,
  },
  // No table changes: a version that does not know them would take such blocks for damaged ones, and has to refuse the file.
  { name: 'blocks packed by deflate', sql: '' },
]

/** `PRAGMA application_id` of our files ("PENS"): tells them from another program's database. */
export const applicationId = 0x50_45_4e_53

/** The table of the steps that a file went through. */
export const migrationsTable = `
  CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT NOT NULL)
`
