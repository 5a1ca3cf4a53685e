/** `fleet`: how Corral treats its boxes. Only Corral knows this section. */
import * as z from 'zod';
import { baseUrlField } from '../fields/base-url.ts';
import { byteSizeField } from '../fields/byte-size.ts';
import { onlyHere } from '../fields/portable.ts';
import { boxField, checkBoxes } from './fleet/boxes.ts';
import { affinityField, embeddingsField, loadsField, placementField, queueField, truncationField } from './fleet/calls.ts';
import { openPathField } from './fleet/open-paths.ts';
import { checkAccess, relayField } from './fleet/relay.ts';
import { timerField } from './fleet/timer.ts';
import { warmField } from './fleet/warm.ts';

export type { OpenPath } from './fleet/open-paths.ts';
export type { WarmConfig } from './fleet/warm.ts';

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
