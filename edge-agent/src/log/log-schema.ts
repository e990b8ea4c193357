/**
 * The tables of the edge database, as the steps that lead there: step n brings a database of version n - 1 (`user_version`) to
 * version n, all steps that are missing in one transaction. A step that has been on a gateway never changes (I11).
 */
export const migrations: readonly string[] = [
  // Numbers of messages count from 1.
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE blocks (
    first_seq INTEGER PRIMARY KEY,
    message_count INTEGER NOT NULL,
    source TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), next_seq INTEGER NOT NULL, end_seq INTEGER NOT NULL) STRICT;
  INSERT INTO position VALUES (1, 1, 1);
  CREATE TABLE lanes (
    lane TEXT NOT NULL, database TEXT NOT NULL, table_name TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    PRIMARY KEY (lane, database, table_name)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL, database TEXT NOT NULL, table_name TEXT NOT NULL, seq INTEGER NOT NULL,
    file TEXT NOT NULL, row_count INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_log_seq INTEGER NOT NULL, last_log_seq INTEGER NOT NULL, staged_ms INTEGER NOT NULL,
    UNIQUE (lane, database, table_name, seq)
  ) STRICT;
  CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY, source TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, arrived_ms INTEGER NOT NULL
  ) STRICT;
  `,
  // The loss ledger, known gaps, the backlog, the clocks of boots (`boots.ts`).
  `
  ALTER TABLE dead_letters ADD COLUMN stream TEXT;
  CREATE TABLE losses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    when_ms INTEGER NOT NULL, kind TEXT NOT NULL, stream TEXT,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_ms INTEGER, last_ms INTEGER,
    count INTEGER NOT NULL, bytes INTEGER NOT NULL, reason TEXT NOT NULL,
    outbox_id INTEGER
  ) STRICT;
  CREATE INDEX losses_by_outbox ON losses (outbox_id, id);
  CREATE TABLE loss_totals (
    kind TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, last_reason TEXT NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE gaps (first_seq INTEGER PRIMARY KEY, end_seq INTEGER NOT NULL) STRICT;
  CREATE TABLE backlog (first_seq INTEGER PRIMARY KEY, end_seq INTEGER NOT NULL) STRICT;
  CREATE TABLE boots (
    boot INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, first_seq INTEGER NOT NULL, offset_ms INTEGER
  ) STRICT;
  ALTER TABLE position ADD COLUMN trusted_ms INTEGER;
  ALTER TABLE outbox ADD COLUMN clock_boot INTEGER NOT NULL DEFAULT 0;
  `,
  // Aggregates: which windows have been written, and which messages are in others.
  `
  CREATE TABLE aggregates (table_key TEXT PRIMARY KEY, closed_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  ALTER TABLE outbox ADD COLUMN recipe TEXT;
  CREATE TABLE open_ranges (first_seq INTEGER PRIMARY KEY, end_seq INTEGER NOT NULL) STRICT;
  `,
  // What reducers remember of series; the position that it is of.
  `
  CREATE TABLE reductions (id INTEGER PRIMARY KEY AUTOINCREMENT, table_key TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
  ALTER TABLE position ADD COLUMN reduced_seq INTEGER NOT NULL DEFAULT 0;
  `,
  // Dead letters can be replayed: who refused them, and who is to read which message (`stream-choices.ts`).
  `
  ALTER TABLE dead_letters ADD COLUMN refused_by TEXT NOT NULL DEFAULT '[]';
  UPDATE dead_letters SET refused_by = json_array(stream) WHERE stream IS NOT NULL;
  CREATE TABLE stream_choices (seq INTEGER PRIMARY KEY, only_for TEXT, not_for TEXT) STRICT;
  `,
];
