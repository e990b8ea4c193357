import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { isFailure } from '@varve/common/errors.js';
import { isListening, loopback, requireFreePorts } from './ports.js';

test('a taken port is named with the option that chooses another', async () => {
  const server = createServer();
  server.listen(0, loopback);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const ports = [{ name: 'MQTT', option: '--mqtt-port', port }];
  assert.ok(await isListening(port));
  await assert.rejects(requireFreePorts(ports), (error) => {
    assert.ok(isFailure(error, 'port_taken'));
    assert.match(error.message, new RegExp(`${port} \\(MQTT\\)`));
    assert.match(error.hint ?? '', /--mqtt-port \d+/);
    return true;
  });
  server.close();
  await once(server, 'close');
  await requireFreePorts(ports);
  assert.ok(!(await isListening(port)));
});

test('two services cannot have one port', async () => {
  const ports = [
    { name: 'MQTT', option: '--mqtt-port', port: 1 },
    { name: 'the agent', option: '--edge-port', port: 1 },
  ];
  await assert.rejects(requireFreePorts(ports), (error) => isFailure(error, 'config_invalid'));
});
