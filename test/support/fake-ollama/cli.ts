/**
 * A fake box for trying things by hand:
 *   node test/support/fake-ollama/cli.ts --port 11434 --models llama3.2,mistral --load-ms 3000 --tokens-per-second 20
 */
import { parseArgs } from 'node:util';
import { startFakeOllama } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '11434' },
    models: { type: 'string', default: 'llama3.2' },
    replay: { type: 'string', default: '' },
    parallel: { type: 'string', default: '1' },
    'load-ms': { type: 'string', default: '0' },
    'tokens-per-second': { type: 'string', default: '20' },
    'cut-after': { type: 'string' },
    busy: { type: 'boolean', default: false },
  },
});

const names = values.models.split(',').filter((name) => name !== '');
const box = await startFakeOllama({
  port: Number(values.port),
  parallel: Number(values.parallel),
  models: names.map((name) => ({ name, capabilities: /embed|minilm/.test(name) ? ['embedding'] : ['completion', 'tools'] })),
  faults: {
    loadMs: Number(values['load-ms']),
    tokensPerSecond: Number(values['tokens-per-second']),
    cutAfterChunks: values['cut-after'] === undefined ? undefined : Number(values['cut-after']),
    busy: values.busy,
  },
});
for (const name of values.replay.split(',').filter((each) => each !== '')) box.replay(name, { speed: 1 });
process.stdout.write(`fake Ollama on ${box.url} with ${names.join(', ') || 'no models'}\n`);

let told = 0;
setInterval(() => {
  for (const { method, path, body } of box.requests.slice(told))
    process.stdout.write(`${method} ${path} ${body.slice(0, 200)}\n`);
  told = box.requests.length;
}, 200);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void box.stop().then(() => process.exit(0)));
