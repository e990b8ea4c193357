/**
 * `node publisher.js <port> <messages>`: publishes at QoS 1 as fast as the broker acknowledges, with a window of 1,000, and
 * ends when all are acknowledged. Packets are encoded before the first is sent.
 */
import { connect } from 'node:net';
import { encodeConnect, encodePublish, PacketReader, packetTypes } from './mqtt-packets.js';
import { plantMessages } from './plant-messages.js';

const windowMax = 1_000;
const packetsPerWrite = 200;

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const writes = encodeWrites(count);
const socket = connect(port, '127.0.0.1');
const reader = new PacketReader();
let sent = 0;
let acknowledged = 0;

socket.on('connect', () => socket.write(encodeConnect('bench-publisher')));
socket.on('data', (bytes) => {
  for (const { type } of reader.push(bytes)) if (type === packetTypes.puback) acknowledged++;
  sendMore();
  if (acknowledged === count) socket.end();
});

function sendMore(): void {
  while (sent < count && sent - acknowledged + packetsPerWrite <= windowMax) {
    const packets = writes[sent / packetsPerWrite];
    if (packets) socket.write(packets);
    sent += packetsPerWrite;
  }
}

function encodeWrites(messageCount: number): Buffer[] {
  const packets = plantMessages(messageCount).map((message, index) =>
    encodePublish(message, (index % 65_000) + 1, 4),
  );
  return Array.from({ length: Math.ceil(messageCount / packetsPerWrite) }, (_, index) =>
    Buffer.concat(packets.slice(index * packetsPerWrite, (index + 1) * packetsPerWrite)),
  );
}
