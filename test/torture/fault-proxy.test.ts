import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import { startPlantedS3Server } from '@varve/common/store/planted-s3-server.js';
import { S3Store } from '@varve/common/store/s3-store.js';
import { calm, planFate, startFaultProxy, type Weather } from './fault-proxy.js';

process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';

async function start(context: TestContext, weather: Partial<Weather>) {
  const server = await startPlantedS3Server();
  context.after(() => server.close());
  const proxy = await startFaultProxy(context, new URL(server.endpoint), Math.random);
  proxy.setWeather({ ...calm, ...weather });
  const store = S3Store.open({ url: 's3://bucket/lake', endpoint: proxy.url, pathStyle: true });
  context.after(() => store.close());
  return { server, proxy, store };
}

const body = new Uint8Array(3_000_000).fill(7);

test('in calm weather requests and answers pass unchanged', async (context) => {
  const { store } = await start(context, {});
  assert.equal(await store.putIfAbsent('a/b', body), 'created');
  assert.equal(await store.putIfAbsent('a/b', body), 'exists');
  assert.deepEqual(Buffer.from(await store.get('a/b')), Buffer.from(body));
});

test('a lost answer: the server has the object, the client does not know', async (context) => {
  const { server, proxy, store } = await start(context, { lost: 1 });
  await assert.rejects(store.putIfAbsent('a/b', body), { code: 'store_unavailable' });
  assert.equal(server.objects.get('/bucket/lake/a/b')?.length, body.length);
  proxy.setWeather(calm);
  assert.equal(await store.putIfAbsent('a/b', body), 'exists');
});

for (const weather of [{ reset: 1 }, { slowDown: 1 }, { isOut: true }])
  test(`${JSON.stringify(weather)}: the server has nothing`, async (context) => {
    const { server, proxy, store } = await start(context, weather);
    await assert.rejects(store.putIfAbsent('a/b', body), { code: 'store_unavailable' });
    assert.equal(server.objects.size, 0);
    proxy.setWeather(calm);
    assert.equal(await store.putIfAbsent('a/b', body), 'created');
  });

test('shares of fates', () => {
  const weather = { ...calm, slowDown: 0.25, reset: 0.25, lost: 0.25 };
  const fates = [0, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 0.99].map((chance) => planFate(weather, chance));
  assert.deepEqual(fates, ['slow down', 'slow down', 'reset', 'reset', 'lost', 'lost', 'pass', 'pass']);
});

test('answers to PUTs alone can be lost', () => {
  const weather = { ...calm, lost: 0.25, lostPuts: 0.25 };
  const fates = ['PUT', 'GET'].map((method) =>
    [0.24, 0.25, 0.5].map((chance) => planFate(weather, chance, method)),
  );
  assert.deepEqual(fates, [
    ['lost', 'lost', 'pass'],
    ['lost', 'pass', 'pass'],
  ]);
});
