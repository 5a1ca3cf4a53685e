import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';

it('takes port 0 for an address to listen on, and nowhere else', () => {
  const source = { name: 'x.yaml', env: () => undefined };
  const listening = loadConfig('config: {adminAddr: "127.0.0.1:0"}\nbinds: []\n', source);
  expect(listening.ok && listening.config.config.adminAddr).toEqual({ host: '127.0.0.1', port: 0 });
  const dialled = loadConfig('binds: [{port: 1, listeners: [{routes: [{backends: [{host: "localhost:0"}]}]}]}]\n', source);
  expect(dialled.ok ? [] : dialled.errors.map(({ message }) => message)).toEqual(['a port is a number from 1 to 65535, not 0']);
});
