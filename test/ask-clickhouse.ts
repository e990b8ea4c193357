/** Prints ClickHouse's answer to the SQL given, as JSON. It reads files below the working directory only. */
import { query } from 'chdb';

process.stdout.write(query(process.argv[2] ?? '', 'JSONCompact'));
