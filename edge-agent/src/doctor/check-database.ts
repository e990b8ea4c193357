/** The doctor's look at the edge database, while no agent runs. Changes nothing. */
import { existsSync } from 'node:fs';
import { isFailure } from '@varve/common/errors.js';
import { DamagedDatabase, type Row } from '../log/damaged-database.js';
import type { LogState } from '../log/edge-log.js';
import { subtract, type SeqRange } from '../log/gaps.js';
import { requireHeader } from '../log/header.js';
import { readMark, markPathOf, isBehind } from '../log/high-water.js';
import { whyUnreadable, type PackedRow } from '../log/stored-block.js';
import { readWal } from '../log/wal-file.js';
import { ok, problem, warning, type Finding } from './finding.js';

/** What the other checks go on with. */
export interface DatabaseLook {
  readonly findings: readonly Finding[];
  readonly outbox: LogState['outbox'];
}

const repair =
  'run "varve-edge doctor --repair" with this configuration, or start the agent: it salvages what is readable';
const listedMax = 5;

/** @throws Failure `data_dir_in_use` */
export function checkDatabase(path: string, agent: string): DatabaseLook {
  if (!existsSync(path)) {
    const mark = readMark(markPathOf(path));
    return mark
      ? look([problem('database', `${path} is gone; it had come to message ${mark.endSeq - 1}`, repair)])
      : look([ok('database', 'not made yet: the agent has not run on this data_dir')]);
  }
  const wal = checkWal(path);
  if (wal) return look([wal]);
  try {
    requireHeader(path);
  } catch (error) {
    if (!isFailure(error, 'log_corrupt')) throw error;
    return look([problem('database', error.message, repair)]);
  }
  const db = DamagedDatabase.open(path);
  if (!db) return look([problem('database', `${path} cannot be read by SQLite`, repair)]);
  try {
    return lookAt(db, path, agent);
  } finally {
    db.close();
  }
}

function look(findings: readonly Finding[], outbox: LogState['outbox'] = []): DatabaseLook {
  return { findings, outbox };
}

/** Opening the database would drop what follows the first damaged frame: so nothing more is looked at. */
function checkWal(path: string): Finding | undefined {
  if (!(readWal(path)?.isDoubtful ?? false)) return undefined;
  return warning(
    'write-ahead log',
    'ends in frames that do not hold: a power cut in the middle of a write, or damage; the rest of the database was not looked at',
    'start the agent: it tells the two apart, and salvages what is needed; then run this again',
  );
}

function lookAt(db: DamagedDatabase, path: string, agent: string): DatabaseLook {
  const pages = db.integrity();
  const seal = db.seal();
  const [position] = db.readSmall('position') ?? [];
  const nextSeq = Number(position?.['next_seq'] ?? 1);
  const outbox = (db.readSmall('outbox') ?? []).map(entryOf);
  const lanes = db.readSmall('lanes') ?? [];
  const blocks = checkBlocks(db, nextSeq);
  const endSeq = Math.max(blocks.endSeq, Number(position?.['end_seq'] ?? 1));
  const shipments = lanes.reduce((sum, row) => sum + Number(row['next_seq']), 0);
  const findings = [
    pages.length === 0
      ? ok('pages', 'SQLite finds every page in order')
      : problem('pages', pages.slice(0, listedMax).join('; '), repair),
    checkSeal(seal),
    checkOwner(db, agent),
    ...blocks.findings,
    checkMark(path, agent, { keepSeq: nextSeq, nextSeq, endSeq, shipments }),
    checkLanes(lanes, outbox),
  ];
  return look(findings, outbox);
}

function checkSeal(seal: 'whole' | 'broken' | 'missing' | undefined): Finding {
  if (seal === 'whole') return ok('seal', 'position, lanes and outbox are what was written');
  if (seal === 'missing') return ok('seal', 'none yet: an older version wrote this; the next start adds it');
  return problem('seal', 'position, lanes or outbox are not what was written', repair);
}

function checkOwner(db: DamagedDatabase, agent: string): Finding {
  const meta = new Map((db.readSmall('meta') ?? []).map(({ key, value }) => [key, String(value)]));
  const owner = meta.get('agent');
  const epoch = meta.get('epoch') ?? 'none';
  if (owner === agent) return ok('agent', `${agent}, epoch ${epoch}`);
  return problem(
    'agent',
    `the database is of agent "${owner ?? 'nobody'}", the configuration says "${agent}"`,
    'write its name in the configuration, or give this agent a data_dir of its own',
  );
}

function checkBlocks(db: DamagedDatabase, nextSeq: number): { findings: Finding[]; endSeq: number } {
  const keys = db.readTable('(SELECT first_seq, message_count FROM blocks)', 'first_seq');
  const readRow = db.rowReader(
    'SELECT first_seq AS firstSeq, message_count AS messageCount, source, bytes FROM blocks WHERE first_seq = ?',
  );
  const damaged: string[] = [];
  let messages = 0;
  for (const key of keys.rows) {
    const firstSeq = Number(key['first_seq']);
    const row = readRow(firstSeq);
    const why = isRow(row) ? whyUnreadable(row) : 'it cannot be read';
    if (why !== undefined) damaged.push(`${firstSeq} (${why})`);
    else messages += Number(key['message_count']);
  }
  const ranges = keys.rows.map(rangeOf);
  const endSeq = ranges.at(-1)?.endSeq ?? 1;
  const gaps = db.readTable('gaps', 'first_seq').rows.map((row) => ({
    firstSeq: Number(row['first_seq']),
    endSeq: Number(row['end_seq']),
  }));
  const holes = [...ranges, ...gaps].sort((a, b) => a.firstSeq - b.firstSeq);
  const missing = nextSeq < endSeq ? subtract({ firstSeq: nextSeq, endSeq }, holes) : [];
  return {
    endSeq,
    findings: [
      damaged.length === 0 && keys.isWhole
        ? ok('blocks', `${keys.rows.length} blocks with ${messages} messages, all readable`)
        : problem(
            'blocks',
            keys.isWhole
              ? `${damaged.length} of ${keys.rows.length} are damaged: ${damaged.slice(0, listedMax).join(', ')}`
              : 'not all of them can be found',
            keys.isWhole ? 'start the agent: it sets them aside and writes the loss down' : repair,
          ),
      missing.length === 0
        ? ok('sequence', 'no unexplained gap')
        : problem(
            'sequence',
            `messages are missing: ${missing.slice(0, listedMax).map(nameRange).join(', ')}`,
            repair,
          ),
    ],
  };
}

function checkMark(
  path: string,
  agent: string,
  now: { keepSeq: number; nextSeq: number; endSeq: number; shipments: number },
): Finding {
  const mark = readMark(markPathOf(path));
  if (!mark) return ok('high-water', 'no mark yet');
  if (mark.agent === agent && isBehind(now, mark))
    return problem(
      'high-water',
      `the database ends at message ${now.endSeq - 1}, and had come to ${mark.endSeq - 1}: the end of it is gone`,
      repair,
    );
  return ok('high-water', `the database has come as far as it ever had: message ${now.endSeq - 1}`);
}

function checkLanes(lanes: readonly Row[], outbox: LogState['outbox']): Finding {
  const nextSeqs = new Map(
    lanes.map((row) => [
      `${String(row['lane'])}/${String(row['database'])}/${String(row['table_name'])}`,
      Number(row['next_seq']),
    ]),
  );
  const wrong = outbox.filter(
    ({ lane, database, table, seq }) => seq >= (nextSeqs.get(`${lane}/${database}/${table}`) ?? 0),
  );
  return wrong.length === 0
    ? ok('lanes', `${lanes.length} lanes, ${outbox.length} shipments in the outbox`)
    : problem('lanes', `${wrong.length} shipments have numbers that their lane has not given out`, repair);
}

function entryOf(row: Row): LogState['outbox'][number] {
  return {
    id: Number(row['id']),
    lane: String(row['lane']),
    database: String(row['database']),
    table: String(row['table_name']),
    seq: Number(row['seq']),
    file: String(row['file']),
    rowCount: Number(row['row_count']),
    bytes: Number(row['bytes']),
    firstLogSeq: Number(row['first_log_seq']),
    lastLogSeq: Number(row['last_log_seq']),
    stagedMs: Number(row['staged_ms']),
  };
}

function rangeOf(row: Row): SeqRange {
  const firstSeq = Number(row['first_seq']);
  return { firstSeq, endSeq: firstSeq + Number(row['message_count']) };
}

function nameRange({ firstSeq, endSeq }: SeqRange): string {
  return `${firstSeq} to ${endSeq - 1}`;
}

function isRow(row: unknown): row is PackedRow {
  return typeof row === 'object' && row !== null;
}
