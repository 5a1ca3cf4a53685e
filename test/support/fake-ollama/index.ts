/**
 * A fake Ollama for tests: answers from recordings of a real one, or from a small model of it, byte for byte and chunk for chunk,
 * and goes wrong in every way that a box can. See README.md beside this file.
 */
export { type BlackHole, openBlackHole } from './black-hole.ts';
export { type ClosedPort, reserveClosedPort } from './closed-port.ts';
export type { FakeOllama, FakeOllamaOptions } from './fake-box.ts';
export { type Faults, noFaults } from './faults.ts';
export { defaultTokens, type FakeModel } from './models.ts';
export type { ReceivedRequest } from './received.ts';
export type { ReplayOptions } from './replay.ts';
export { startFakeOllama } from './server.ts';

/** A base URL whose name never resolves (RFC 6761). */
export const unresolvableUrl = 'http://no-such-box.invalid:11434';
