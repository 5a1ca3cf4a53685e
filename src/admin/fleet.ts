/**
 * The herd at the admin address (docs/fleet.md): how it is, look again, and boxes out of service and back. Who may ask is
 * decided before (access.ts); a page of another origin never gets here, so neither do requests that it forges.
 */
import type { Context, Hono } from 'hono';
import type { DutyState, Keeper } from '../fleet/keeper.ts';
import type { AdminEnv } from './access.ts';

/** How long a drain may be waited for: no longer than proxies and clients wait for an answer without a byte. */
const maxDrainMs = 600_000;
const usualDrainMs = 60_000;
const maxBodyBytes = 4 * 1024;

/** `keeper`: looked at for each request, because a reload changes it. */
export function serveFleet(app: Hono<AdminEnv>, keeper: () => Keeper): void {
  app.get('/fleet', (c) => c.json(keeper().report()));
  app.post('/refresh', async (c) => c.json(await keeper().refresh()));
  app.post('/fleet/cordon', (c) => withBox(c, keeper(), (name) => keeper().cordon(name)));
  app.post('/fleet/uncordon', (c) => withBox(c, keeper(), (name) => keeper().uncordon(name)));
  app.post('/fleet/drain', (c) =>
    withBox(c, keeper(), async (name, { wait }) => {
      if (wait === undefined || wait === false) return keeper().drain(name, 0);
      return keeper().drain(name, wait === true ? usualDrainMs : Math.min(wait * 1_000, maxDrainMs));
    }),
  );
}

interface Asked {
  readonly box: string;
  /** Seconds, or true: as long as is usual. */
  readonly wait: number | boolean | undefined;
}

type Answer = (DutyState & { readonly isIdle: boolean }) | { readonly error: string };

async function withBox(
  c: Context<AdminEnv>,
  { names }: Keeper,
  act: (name: string, asked: Asked) => DutyState | undefined | Promise<DutyState | undefined>,
): Promise<Response> {
  const answer = (body: Answer, status: 200 | 400 | 404): Response => c.json(body, status);
  const asked = await askedOf(c);
  if (typeof asked === 'string') return answer({ error: asked }, 400);
  const state = await act(asked.box, asked);
  if (state === undefined)
    return answer(
      { error: `no box is called "${asked.box.slice(0, 100)}"; there are: ${names.slice(0, 50).join(', ') || 'none'}` },
      404,
    );
  return answer({ ...state, isIdle: state.inFlight + state.waiting === 0 }, 200);
}

const expected = 'expected a JSON object such as {"box": "desk"}; drain also takes "wait": seconds, or true';

/** A text is what is wrong. */
async function askedOf(c: Context<AdminEnv>): Promise<Asked | string> {
  const length = Number(c.req.header('content-length') ?? '0');
  if (length > maxBodyBytes) return expected;
  let body: unknown;
  try {
    const text = await c.req.text();
    if (text.length > maxBodyBytes) return expected;
    body = JSON.parse(text);
  } catch {
    return expected;
  }
  if (typeof body !== 'object' || body === null) return expected;
  const { box, wait } = body as { box?: unknown; wait?: unknown };
  if (typeof box !== 'string' || box === '') return expected;
  const isWait = wait === undefined || typeof wait === 'boolean' || (typeof wait === 'number' && wait >= 0);
  return isWait ? { box, wait } : expected;
}
