/**
 * Every recorded exchange with a real Ollama once more, through Corral: the client gets the status, content type, events and
 * body that the box gave. What is meant to differ stands in test/conformance/differences.ts, with its reason; a row that no
 * longer differs is an error, too.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differences } from '../conformance/differences.ts';
import { ask, herdOf, until } from '../conformance/stage.ts';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.ts';
import { openRawClient, requestBytes } from '../support/raw-client.ts';
import { bodyTextOf, type RawHeaders, type Recording, recordingNames, recordingOf } from '../support/recordings.ts';
import { type RunningCorral, testedRuntimes } from '../support/runtimes/index.ts';

interface Seen {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Answered by Corral from what it knows of the boxes: compared as JSON, in any order. */
const listPaths = new Set(['/api/tags', '/v1/models', '/api/ps']);
/** Corral makes these answers from the box's /api/tags, so that is what the box has to answer: recorded in the same minute. */
const tagsBehind: Readonly<Record<string, string>> = {
  'v1-models': 'tags',
  'v1-model': 'tags',
  'v1-model-notag': 'tags',
  'anthropic-models': 'tags',
  'empty-v1-models': 'empty-tags',
  'v1-model-missing': 'tags',
  'v1-model-slash': 'tags',
  'v1-model-slash-encoded': 'tags',
};

/** Recorded without the body that was sent; http.ts sends such bodies. */
const withoutBody: ReadonlySet<string> = new Set(['chunked-request', 'expect-100']);
/** Where the box answered at all: two clients had left before, and one met no box. */
const names = recordingNames().filter((name) => recordingOf(name).status_line !== undefined && !withoutBody.has(name));

/** A real Ollama was started with these. */
const originsOf = (name: string): string | undefined =>
  name.startsWith('origins-env-')
    ? 'https://app.example.com,https://*.corp.example'
    : name.startsWith('origins-star-')
      ? '*'
      : undefined;

/** These ask for a context; whatever comes after them to the same Corral would have to get along with it. */
const withContext: ReadonlySet<string> = new Set(['chat-numctx-reload', 'v1-chat-keepalive-ignored']);

/** On workerd no client has an address, so the suite opens routes to everybody, and forwarding headers are no matter any more. */
const onlyWithAddress: ReadonlySet<string> = new Set(['host-ok-xfh']);

// Side by side: each has a box of its own, and where Corral answers from what it knows they wait a second.
describe.concurrent.each(testedRuntimes())('recordings on $name', (runtime) => {
  let box: FakeOllama;
  const corrals = new Map<string | undefined, Promise<RunningCorral>>();
  const corralFor = (origins: string | undefined, key = origins): Promise<RunningCorral> => {
    const known = corrals.get(key);
    if (known !== undefined) return known;
    const started = runtime.start({
      yaml: JSON.stringify(herdOf([{ name: 'desk', at: box.port }], { fleet: { probeInterval: '1h' } }), null, 1),
      env: {
        ...(runtime.name === 'workerd' ? { CORRAL_ALLOW_ANONYMOUS: '1' } : {}),
        ...(origins === undefined ? {} : { OLLAMA_ORIGINS: origins }),
      },
    });
    corrals.set(key, started);
    return started;
  };
  beforeAll(async () => {
    box = await startFakeOllama({ models: [] });
    const { url } = await corralFor(undefined);
    await until('the box is known', async () => (await ask(`${url}/api/version`)).status === 200);
  });
  afterAll(async () => {
    for (const corral of corrals.values()) await (await corral).stop(0);
    await box?.stop();
  });

  const own = runtime.name === 'workerd' ? names.filter((name) => !onlyWithAddress.has(name)) : names;
  // One after the other: the box is told what to answer next.
  it.each(own)('%s', { concurrent: false }, async (name) => {
    const recording = recordingOf(name);
    const corral = await corralFor(originsOf(name), withContext.has(name) ? name : originsOf(name));
    const wanted = wantedOf(recording);
    box.clear();
    box.replay(name, { anyBody: true });
    const behind = tagsBehind[name];
    if (behind !== undefined) box.replay(behind);
    const send = () => replayThrough(corral.url, recording);
    const difference = differences[name];
    if (difference !== undefined && difference.only?.includes(runtime.name) !== false) {
      let seen = await send();
      if (behind !== undefined || isList(recording)) {
        await until(
          `${name} as it should be`,
          async () => {
            seen = await send();
            return seen.status === difference.status && difference.says.test(seen.text);
          },
          3000,
        ).catch(() => undefined);
      }
      expect(seen, `${name} does not differ any more: take its row out of the table`).not.toEqual(wanted);
      expect(seen.status, difference.reason).toBe(difference.status);
      expect(seen.text, difference.reason).toMatch(difference.says);
      return;
    }
    if (!isList(recording) && behind === undefined) {
      expect(await send()).toEqual(wanted);
      return;
    }
    // Corral asks the box again when what it knows is a second old.
    let seen: Seen | undefined;
    await until(
      `${name} as recorded`,
      async () => {
        seen = await send();
        return JSON.stringify(seen) === JSON.stringify(wanted);
      },
      10_000,
    ).catch(() => expect(seen).toEqual(wanted));
  });
});

/** The recorded request on a socket of its own: `fetch` would not send all of its headers. */
async function replayThrough(url: string, recording: Recording): Promise<Seen> {
  const { method, path, headers, body } = recording.request;
  const client = await openRawClient(url);
  try {
    const own: RawHeaders = Object.entries(headers ?? {}).filter(
      ([header, value]) =>
        !/^(content-length|connection|transfer-encoding|expect)$/i.test(header) &&
        !(header === 'Host' && value.startsWith('127.0.0.1')),
    );
    const bytes = bodyBytesOf(body);
    await client.send(
      requestBytes({ method, path, headers: own, host: new URL(url).host, ...(bytes === undefined ? {} : { body: bytes }) }),
    );
    if (isHeld(recording)) {
      // The recorded client left here; so does this one, once it has what the other one had.
      const recorded = bodyTextOf(recording);
      const tail = recorded.slice(-40);
      await client.until((text) => text.split(tail).length >= recorded.split(tail).length);
      client.close();
    }
    const reply = await client.reply({ head: method === 'HEAD' });
    return seenOf(recording, reply.status, reply.header('content-type'), reply.text);
  } finally {
    client.close();
  }
}

function bodyBytesOf(body: unknown): string | Uint8Array | undefined {
  if (body === null || body === undefined) return undefined;
  if (typeof body === 'string') return body;
  const { latin1 } = body as { latin1?: string };
  return latin1 === undefined ? JSON.stringify(body) : Buffer.from(latin1, 'latin1');
}

function wantedOf(recording: Recording): Seen {
  const type = recording.response_headers?.find(([name]) => name === 'Content-Type')?.[1];
  return seenOf(recording, recording.status ?? 0, type, bodyTextOf(recording));
}

function seenOf(recording: Recording, status: number, contentType: string | undefined, text: string): Seen {
  if (!isList(recording)) return { status, contentType, text };
  // A box never sees an Origin, so it cannot be told to answer this list: without one it is compared whole (`tags`).
  return { status, contentType, text: recording.request.headers?.Origin === undefined ? sorted(text) : 'a list' };
}

/** The stream was held open when its client left. */
function isHeld(recording: Recording): boolean {
  return recording.client_closed_at_ms !== undefined && recording.status === 200 && recording.error === undefined;
}

function isList({ request, status }: Recording): boolean {
  return request.method === 'GET' && status === 200 && listPaths.has(request.path.replace(/\?.*/, ''));
}

/** JSON with its items in a fixed order: Ollama's own order is newest first, ties at random. */
function sorted(text: string): string {
  try {
    const json = JSON.parse(text) as { models?: unknown[]; data?: unknown[] };
    for (const items of [json.models, json.data]) items?.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    return JSON.stringify(json);
  } catch {
    return text;
  }
}
