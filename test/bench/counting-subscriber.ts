/**
 * `node counting-subscriber.js <url> <clientId>`: the least an mqtt.js subscriber can do. Acknowledges as mqtt.js does, at once
 * and without keeping anything; writes its count to standard output every 20 ms while it grows.
 */
import { connect } from 'mqtt';

const reportEveryMs = 20;

const [url = '', clientId = ''] = process.argv.slice(2);
const client = connect(url, {
  clientId,
  clean: false,
  protocolVersion: 5,
  properties: { sessionExpiryInterval: 3_600, receiveMaximum: 1_000 },
});

let count = 0;
let reported = 0;
client.on('message', () => count++);
client.on('connect', () => void subscribe());
setInterval(report, reportEveryMs);
process.on('SIGTERM', () => void leave());

async function subscribe(): Promise<void> {
  await client.subscribeAsync('plant/#', { qos: 1 });
  process.stdout.write('subscribed\n');
}

function report(): void {
  if (count === reported) return;
  reported = count;
  process.stdout.write(`count ${count}\n`);
}

async function leave(): Promise<void> {
  await client.endAsync();
  process.exit();
}
