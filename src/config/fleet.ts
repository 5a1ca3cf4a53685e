/** `fleet`: how Corral treats its boxes. Only Corral knows this section. */
import * as z from 'zod';
import { baseUrlField } from '../fields/base-url.ts';
import { byteSizeField } from '../fields/byte-size.ts';
import { checkTimezone, minutesOf } from '../fields/cron.ts';
import { durationField } from '../fields/duration.ts';
import { onlyHere } from '../fields/portable.ts';
import { holdsSecret, leastSecret, secretField, secretTooShort } from '../fields/secret.ts';
import { FieldError, textField } from '../fields/text-field.ts';

/** Durations that become timers: not so short that Corral does nothing else, not longer than the runtimes' timers (24 days). */
function timerField(leastMs: number, least: string) {
  return durationField
    .refine((ms) => ms >= leastMs, `expected at least ${least}`)
    .refine((ms) => ms <= 24 * 86_400_000, 'expected 24 days at most');
}

/** A method and a path that are opened on boxes although they are not among the known ones; `*` is any one segment. */
export interface OpenPath {
  readonly method: string;
  readonly path: string;
}

const openPathField = textField(
  'a method and a path, such as "POST /api/pull"',
  (text): OpenPath => {
    const match = /^([A-Z]+) +(\/[\x21-\x7e]*)$/.exec(text);
    const [, method, path] = match ?? [];
    if (method === undefined || path === undefined)
      throw new FieldError('expected a method in capitals and a path, such as "POST /api/pull"');
    if (/[?#%]|\/\/|\/\.{1,2}(?:\/|$)/.test(path))
      throw new FieldError('expected a plain path, without query, "%", "//" or dot segments');
    if (/[^/]\*|\*[^/]/.test(path)) throw new FieldError('"*" stands for one whole segment, as in "GET /v1/responses/*"');
    return { method, path };
  },
  'METHOD /path',
);

/** Hop-by-hop headers and those that Corral writes itself. */
const ownHeaders =
  /^(?:host|connection|content-length|content-encoding|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-connection|x-corral-.*)$/;

/** Output: names in lower case. */
const boxHeadersField = z
  .record(z.string(), holdsSecret(z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'expected the value of a header, on one line')))
  .transform((given, context) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(given)) {
      const lower = name.toLowerCase();
      const message = !/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(lower)
        ? 'expected the name of a header'
        : lower === 'host'
          ? 'the Host is set with the policy urlRewrite.authority of the backend'
          : ownHeaders.test(lower)
            ? 'this header belongs to the connection or to Corral and cannot be set'
            : Object.hasOwn(headers, lower)
              ? 'this header stands here twice'
              : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', message, path: [name] });
      headers[lower] = value.trim();
    }
    return headers;
  });

const boxField = z
  .strictObject({
    url: baseUrlField
      .refine(({ path }) => path === '', 'expected scheme, host and port alone, such as "http://box.lan:11434", without a path')
      .describe('Scheme, host and port of the box, as a backend of this file reaches it.'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'expected letters, digits, ".", "_" and "-", 63 at most')
      .optional()
      .describe('What the box is called in headers, logs and commands. Left out: as its backend is called.'),
    headers: boxHeadersField
      .prefault({})
      .describe("Sent with every request to the box, probes included: a tunnel's credential, for instance."),
    access: z
      .boolean()
      .default(false)
      .describe(
        'Whether Cloudflare Access stands before it: then every request to it, probes included, shows the service token of `fleet.relay`. No other box gets to see that. https only.',
      ),
    binding: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'expected the name of a binding, such as DESK')
      .optional()
      .describe(
        'Workers only: the binding through which the box is reached, such as a Workers VPC service. The `url` then says the Host alone.',
      ),
    weight: z
      .number()
      .positive()
      .max(1_000)
      .default(1)
      .describe('Of two boxes that are alike, one of twice the weight gets twice the calls.'),
    slots: z
      .number()
      .int()
      .min(1)
      .max(1_024)
      .optional()
      .describe('Requests that one model serves at once there: what OLLAMA_NUM_PARALLEL says. Left out: learnt.'),
    vram: byteSizeField
      .optional()
      .describe('Memory for models. Left out: learnt from what is pushed out.')
      .meta({ examples: ['24GiB'] }),
    reserve: byteSizeField
      .optional()
      .describe("Of `vram`, what stays free for other things: for boxes that are people's desktops.")
      .meta({ examples: ['4GiB'] }),
    maxLoaded: z
      .number()
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('Models in memory at once: what OLLAMA_MAX_LOADED_MODELS says. Left out: learnt.'),
  })
  .refine(({ vram, reserve }) => vram === undefined || reserve === undefined || reserve < vram, {
    error: 'the reserve takes all of vram',
    path: ['reserve'],
  })
  .refine(({ access, url }) => !access || url.scheme === 'https', {
    error: 'the service token goes over https alone: write the url with https, or leave access out',
    path: ['access'],
  });

/** Each address and each name once: a box is found by either. */
function checkBoxes(boxes: readonly z.output<typeof boxField>[], context: z.RefinementCtx): void {
  const owners = new Map<string, number>();
  const claim = (what: 'url' | 'name', value: string, index: number) => {
    const other = owners.get(`${what} ${value}`);
    if (other === undefined) owners.set(`${what} ${value}`, index);
    else context.addIssue({ code: 'custom', path: [index, what], message: `boxes[${other}] has this ${what} already` });
  };
  for (const [index, { url, name }] of boxes.entries()) {
    claim('url', `${url.scheme}://${url.authority}`, index);
    if (name !== undefined) claim('name', name, index);
  }
}

const queueField = z
  .strictObject({
    maxWaiting: z
      .number()
      .int()
      .min(0)
      .max(10_000)
      .default(256)
      .describe('How many calls may wait for one model of one box. More get 503 with `Retry-After`.'),
    maxWait: timerField(1, '1ms').prefault('5m').describe('How long a call may wait for its turn; then it gets 503.'),
    share: z
      .enum(['key', 'user'])
      .default('user')
      .describe('Among whom slots are shared fairly: keys, or the people behind a trusted key where it names them.'),
  })
  .prefault({})
  .describe(
    'Who waits, how long, and in which order. A key carries its `weight` and `class` (interactive, bulk) in its metadata.',
  );

const loadsField = z
  .strictObject({
    own: z
      .boolean()
      .default(true)
      .describe(
        'Whether Corral itself loads a model that is not in memory, once for all who want it, so that no client that leaves ends the load.',
      ),
    headersAfter: timerField(100, '100ms')
      .prefault('10s')
      .describe('After this long without an answer a stream gets its headers, and from then on heartbeats.'),
    heartbeat: timerField(100, '100ms').prefault('15s').describe('The longest silence of a stream whose headers have left.'),
    padJson: z
      .boolean()
      .default(false)
      .describe(
        'Whether answers that are no streams get heartbeats, too: spaces before the JSON. Their status is 200 from then on, errors stand in the body.',
      ),
  })
  .prefault({})
  .describe('Cold loads and other silences.');

const warmShape = {
  model: z.string().min(1).max(256).describe('The model that stays in memory.'),
  boxes: z
    .union([z.number().int().min(1).max(64), z.array(z.string().min(1)).min(1).max(64)])
    .default(1)
    .describe('On how many boxes, or on which ones, by name.'),
  numCtx: z.number().int().min(1).max(16_777_216).optional().describe('With this context. Left out: as the box does by itself.'),
  during: z
    .array(z.string().min(1).max(200))
    .max(20)
    .default([])
    .describe('When: cron expressions whose every matching minute counts, such as `* 8-17 * * 1-5`. Left out: always.'),
  timezone: z.string().min(1).max(64).default('UTC').describe('Of `during`, such as `Europe/Berlin`.'),
};

const warmField = z.strictObject(warmShape).superRefine(({ during, timezone }, context) => {
  const check = (path: (string | number)[], read: () => unknown) => {
    try {
      read();
    } catch (thrown) {
      if (!(thrown instanceof FieldError)) throw thrown;
      context.addIssue({ code: 'custom', path, message: thrown.message });
    }
  };
  check(['timezone'], () => checkTimezone(timezone));
  for (const [index, expression] of during.entries()) check(['during', index], () => minutesOf(expression, 'UTC'));
});

const placementField = z
  .strictObject({
    byPrediction: z
      .boolean()
      .default(true)
      .describe(
        'Whether the box with the shortest predicted time to the first token is asked first. False: a box that has the model in memory, then the idlest.',
      ),
    explain: z
      .enum(['admin', 'always', 'never'])
      .default('admin')
      .describe('Who gets the header `x-corral-why` with the prediction for each box.'),
    secondHome: z
      .boolean()
      .default(true)
      .describe('Whether a model that many wait for may be loaded on a further box while its own are busy.'),
  })
  .prefault({})
  .describe('Which box is asked first, where the file does not say so itself (weights, groups, `sessionAffinity`).');

const affinityField = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether the turns of a conversation stay with one box, as long as it is not much busier than the others.'),
    maxLoad: z
      .number()
      .min(1)
      .max(100)
      .default(1.25)
      .describe('How much busier than the average a box may be before turns go elsewhere.'),
    headers: z
      .array(z.string().min(1).max(100))
      .max(16)
      .default([])
      .describe('Further request headers that name a conversation, before those that Corral knows by itself.'),
    keepBillingLine: z
      .boolean()
      .default(false)
      .describe(
        "Whether Claude Code's line that changes with every request stays in the system prompt for boxes. It makes them read the whole prompt again each time.",
      ),
  })
  .prefault({})
  .describe('Conversations and the prompts that boxes have in their caches.');

const truncationField = z
  .strictObject({
    refuse: z
      .enum(['agents', 'always', 'never'])
      .default('agents')
      .describe(
        'Which prompts that are too long for the context are refused instead of cut: those of `/v1` surfaces, whose agents act on the error; all; or none.',
      ),
    warn: z.boolean().default(true).describe('Whether a prompt that was cut all the same is told of in header, log and metric.'),
  })
  .prefault({})
  .describe('Prompts that are longer than the context.');

const embeddingsField = z
  .strictObject({
    split: z
      .boolean()
      .default(true)
      .describe('Whether big batches are split over boxes that have the same model, and wait as bulk.'),
    maxBatch: z.number().int().min(1).max(10_000).default(32).describe('Inputs per part.'),
  })
  .prefault({})
  .describe('Batches of embeddings.');

const relayField = z
  .strictObject({
    secret: secretField
      .refine((secret) => secret.length >= leastSecret, secretTooShort)
      .optional()
      .describe(
        'What both ends of the leg know; what a Corral in front says of the caller is signed with it. Also `CORRAL_RELAY_SECRET`.',
      ),
    accessClientId: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Cloudflare Access service token, shown to the boxes that say `access: true`: its id.'),
    accessClientSecret: secretField.optional().describe('And its secret.'),
  })
  .refine(({ accessClientId: id, accessClientSecret: secret }) => (id === undefined) === (secret === undefined), {
    error: 'accessClientId and accessClientSecret belong together',
  })
  .prefault({})
  .describe('A Corral beside its box that owns slots, queue and loads for the Corrals in front of it (`corral --relay`).');

/** A service token that is to be shown must be there. */
function checkAccess(
  { boxes, relay }: { readonly boxes: readonly z.output<typeof boxField>[]; readonly relay: z.output<typeof relayField> },
  context: z.RefinementCtx,
): void {
  if (relay.accessClientId !== undefined) return;
  for (const [index, { access, url }] of boxes.entries()) {
    const message = 'there is no service token to show: set fleet.relay.accessClientId and accessClientSecret';
    if (access && url.scheme === 'https') context.addIssue({ code: 'custom', path: ['boxes', index, 'access'], message });
  }
}

export const fleetField = onlyHere(
  z
    .strictObject({
      loadTimeout: timerField(1_000, '1s')
        .prefault('15m')
        .describe(
          'How long a box may take to answer its first byte. A cold model is loaded from disk in this time, so keep it generous.',
        ),
      idleTimeout: timerField(1_000, '1s')
        .prefault('30s')
        .describe(
          'How long a stream may be silent once its box no longer answers probes. A box that answers is waited for without limit.',
        ),
      probeInterval: timerField(1_000, '1s')
        .prefault('10s')
        .describe('How often boxes are asked what they have and what they have loaded.'),
      maxBodyBytes: byteSizeField
        .optional()
        .describe('Largest request body; larger ones get 413. Left out: 32 MiB, on Workers 8 MiB.')
        .meta({ examples: ['64MiB'] }),
      maxBufferedBytes: byteSizeField
        .optional()
        .describe(
          'Most bytes of request bodies held in memory at once; beyond it requests get 503. Left out: 256 MiB, on Workers 48 MiB.',
        ),
      bodyTimeout: timerField(1_000, '1s')
        .prefault('60s')
        .describe('How long a client may take to send its body; then it gets 408.'),
      moderationUrl: baseUrlField
        .optional()
        .describe(
          'The server that openAIModeration guards ask, if it is not OpenAI: any with `POST /v1/moderations`. With a path, `/moderations` is added to it.',
        ),
      allowCloudModels: z
        .boolean()
        .default(false)
        .describe(
          'Whether models that Ollama would send to its cloud (`:cloud`, `-cloud`) may be used. What is asked of them leaves the house.',
        ),
      allowWebSearch: z
        .boolean()
        .default(false)
        .describe(
          'Whether `web_search` tools of Responses and Messages requests reach a box, which runs them through ollama.com. Otherwise they are left out, with a warning.',
        ),
      boxes: z
        .array(boxField)
        .max(256, 'at most 256 boxes')
        .superRefine(checkBoxes)
        .default([])
        .describe('What is to be known of single boxes. In a file that has no backends of its own, these boxes are the herd.'),
      queue: queueField,
      loads: loadsField,
      warm: z.array(warmField).max(100, 'at most 100 entries').default([]).describe('Models that stay in memory.'),
      placement: placementField,
      affinity: affinityField,
      truncation: truncationField,
      embeddings: embeddingsField,
      relay: relayField,
      openPaths: z
        .array(openPathField)
        .max(100, 'at most 100 paths')
        .default([])
        .describe(
          'Further paths to open on boxes, as `METHOD /path`; `*` stands for one segment, such as an id. Paths that manage a box still ask for the admin scope.',
        )
        .meta({ examples: [['POST /api/experimental']] }),
    })
    .superRefine(checkAccess),
  "agentgateway does not know this section: it is Corral's own",
)
  .prefault({})
  .meta({
    id: 'fleet',
    description: "How Corral treats its boxes. Only Corral knows this section; all others are agentgateway's.",
  });

export type FleetConfig = z.output<typeof fleetField>;
export type WarmConfig = z.output<typeof warmField>;
