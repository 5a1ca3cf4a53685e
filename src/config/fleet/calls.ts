/** `fleet.queue`, `loads`, `placement`, `affinity`, `truncation`, `embeddings`: how calls reach boxes. */
import * as z from 'zod';
import { timerField } from './timer.ts';

export const queueField = z
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

export const loadsField = z
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

export const placementField = z
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

export const affinityField = z
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

export const truncationField = z
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

export const embeddingsField = z
  .strictObject({
    split: z
      .boolean()
      .default(true)
      .describe('Whether big batches are split over boxes that have the same model, and wait as bulk.'),
    maxBatch: z.number().int().min(1).max(10_000).default(32).describe('Inputs per part.'),
  })
  .prefault({})
  .describe('Batches of embeddings.');
