/** Whatever policies meet, and however an exchange ends: everything that it held is given back, once, and nobody waits on. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { type Answer, type Ask, client, createStage, type Script, type Stage } from './stage.ts';

const chat = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };
const box = { ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} } } };
const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream' };

const onRequest: Readonly<Record<string, object>> = {
  readRequest: { authorization: { rules: [{ deny: 'request.body == b"never"' }] } },
  replaced: { transformations: { request: { body: 'string(request.body) + "          "' } } },
  shorter: { transformations: { request: { body: '"{\\"model\\":\\"m\\",\\"messages\\":[]}"' } } },
  both: { transformations: { response: { body: 'string(request.body) + string(response.body)' } } },
  header: { transformations: { response: { set: { 'x-size': 'size(request.body)' } } } },
  gone: { transformations: { response: { set: { ':status': '204' } } } },
};
const others: Readonly<Record<string, object>> = {
  buffer: { buffer: { request: { maxBytes: 2_000 }, response: { maxBytes: 1_000 } } },
  open: { buffer: { response: { maxBytes: 2, failureMode: 'failOpen' } } },
  mirror: { requestMirror: { backend: { host: 'mirror:1' }, percentage: 1 } },
  retry: { retry: { attempts: 2, codes: [503] } },
  guard: { ai: { promptGuard: { response: [{ regex: { rules: [{ pattern: 'x+y' }] } }] } } },
  asks: { extAuthz: { host: 'authz:1', protocol: { http: {} }, includeRequestBody: { maxRequestBytes: 4_000 } } },
  limit: { localRateLimit: [{ type: 'tokens', maxTokens: 1000, tokensPerFill: 1000, fillInterval: '1s' }] },
  waits: { delay: { duration: '5s' } },
};
const none = {};

const answers: readonly (Answer | GatewayError | 'never')[] = [
  { headers: json, body: '{"choices":[]}' },
  { headers: events, body: ['data: {"choices":[{"delta":{"content":"xx"}}]}\n\n', 'data: [DONE]\n\n'] },
  { headers: events, body: ['data: {}\n\n'], ends: 'broken' },
  { headers: events, body: ['data: {}\n\n'], ends: 'silent' },
  { headers: json, body: '{', ends: 'broken' },
  { headers: json, body: 'x'.repeat(3_000) },
  { status: 503, headers: json, body: '{"error":"busy"}' },
  { status: 404, headers: json, body: '{"error":"no such model"}' },
  { status: 204 },
  new GatewayError('upstream_refused', 'refused'),
  'never',
];

const wrongGzip = { headers: { 'content-encoding': 'gzip' }, body: 'no gzip' };
const requests: readonly Ask[] = [
  { body: chat },
  { body: { ...chat, stream: true } },
  { body: 'no json' },
  { body: '' },
  { method: 'GET' },
  { body: { ...chat, filler: 'x'.repeat(5_000) } },
  wrongGzip,
];

/** How the client behaves: it reads to the end, lets go of the body, or leaves. */
const behaviours = ['reads', 'cancels', 'leaves at once', 'leaves later'] as const;

const some = fc.record({
  first: fc.constantFrom(...Object.keys(onRequest), 'none'),
  onListener: fc.constantFrom(...Object.keys(onRequest), 'none'),
  second: fc.constantFrom(...Object.keys(others), 'none'),
  third: fc.constantFrom(...Object.keys(others), 'none'),
  isHost: fc.boolean(),
  answer: fc.nat(answers.length - 1),
  asked: fc.array(fc.record({ request: fc.nat(requests.length - 1), behaviour: fc.constantFrom(...behaviours) }), {
    minLength: 1,
    maxLength: 3,
  }),
});

const heldBytes = 300_000;

async function behave(stage: Stage, ask: Ask, behaviour: (typeof behaviours)[number]): Promise<void> {
  const peer = client();
  const asking = stage.ask('/v1/chat/completions', { ...ask, client: peer });
  if (behaviour === 'leaves at once') peer.leave();
  const response = await Promise.race([asking, stage.clock.settle().then(() => undefined)]);
  if (behaviour === 'leaves later' || response === undefined) peer.leave();
  await stage.clock.advance(5_000);
  // A load that nobody waits for any more is given up.
  for (const { abort } of stage.leavings) abort();
  const answered = await asking;
  if (behaviour === 'reads') await readWhatComes(stage, answered);
  else await answered.body?.cancel().catch(() => undefined);
}

/** To the end, or until nothing more comes. */
async function readWhatComes(stage: Stage, { body }: Response): Promise<void> {
  const reader = body?.getReader();
  let isOver = reader === undefined;
  const end = () => {
    isOver = true;
  };
  const readOn = async (): Promise<void> => {
    while ((await reader?.read())?.done === false);
  };
  void readOn().then(end, end);
  for (let turn = 0; turn < 20 && !isOver; turn++) await stage.clock.advance(1);
  if (!isOver) await reader?.cancel().catch(() => undefined);
}

it('leaves no memory taken, none given twice, and nothing under way', async () => {
  await fc.assert(
    fc.asyncProperty(some, async ({ first, onListener, second, third, isHost, answer, asked }) => {
      const policies = { ...onRequest[first], ...others[second], ...others[third] };
      const backends = [isHost ? { host: 'up:1' } : box];
      const holding = { policies: { buffer: { request: {} } }, backends: [{ host: 'slow:1' }] };
      const listeners = [
        { hostname: 'holder.local', routes: [holding] },
        { policies: onRequest[onListener] ?? none, routes: [{ policies, backends }] },
      ];
      const script: Script = ({ url }) => {
        if (url.startsWith('http://slow')) return 'never';
        return url.startsWith('http://authz') || url.startsWith('http://mirror') ? {} : (answers[answer] ?? 'never');
      };
      const stage = createStage(JSON.stringify({ binds: [{ port: 3000, listeners }] }), { script });
      const whole = stage.budgetLeft();
      // Somebody else holds memory all the while: what is given back twice would be theirs.
      const holder = client();
      const held = stage.ask('/held', { host: 'holder.local', body: 'x'.repeat(heldBytes), client: holder });
      await stage.clock.settle();
      const taken = whole - stage.budgetLeft();
      expect(taken).toBeGreaterThanOrEqual(heldBytes);
      for (const { request, behaviour } of asked) await behave(stage, requests[request] ?? {}, behaviour);
      await stage.clock.settle();
      const isHolding = stage.told.every(({ exchange }) => exchange.path !== '/held');
      expect(stage.budgetLeft()).toBe(isHolding ? whole - taken : whole);
      expect(stage.told.filter(({ exchange }) => exchange.path !== '/held')).toHaveLength(asked.length);
      expect(stage.gateway.inFlight).toBe(isHolding ? 1 : 0);
      holder.leave();
      for (const { abort } of stage.leavings) abort();
      await held;
      expect([stage.budgetLeft(), stage.gateway.inFlight]).toEqual([whole, 0]);
    }),
    { numRuns: 150, timeout: 3_000 },
  );
}, 60_000);
