/** What one box by itself shows: whether it serves, how it is reached, what its memory holds. Pure. */

import type { BoxState, RunningState } from '../../fleet/report.ts';
import { relayHeader } from '../../http/signed-caller.ts';
import { processorText } from '../fleet/ps.ts';
import { listText, plainText, sizeText, spanText } from '../table.ts';
import { type Finding, finding } from './finding.ts';
import { kvBytesOf, type MemoryShape } from './memory.ts';
import { isOlder, leastVersion } from './versions.ts';

/** What was asked of a box beside its state. */
export interface Examined {
  /** Of an answer to `/api/version`; undefined: none came. */
  readonly headers: Headers | undefined;
  /** When that answer was there, in milliseconds since the epoch. */
  readonly atMs: number;
  /** Contexts that are loaded or wanted there, with what is known of the models' shape. */
  readonly contexts: readonly WantedContext[];
}

export interface WantedContext {
  readonly model: string;
  readonly numCtx: number;
  readonly weightBytes: number;
  readonly shape: MemoryShape;
}

export function boxFindings(box: BoxState, examined: Examined): Finding[] {
  const { name, isAlive, isBox, trouble } = box;
  if (isAlive !== true) {
    if (trouble === null) return [finding('error', 'upstream_silent', `${name} has not answered.`, 'Try again.', { box: name })];
    return [
      finding('error', trouble.code, plainText(trouble.why), plainText(trouble.mend), { box: name }),
      ...tunnelFindings(name, examined.headers),
    ];
  }
  if (!isBox)
    return [
      finding('info', 'no_ollama', `${name} answers, and is another OpenAI-compatible server: nothing more is known of it.`, '', {
        box: name,
      }),
    ];
  const rest = [
    ...versionFindings(box),
    ...tunnelFindings(name, examined.headers),
    ...clockFindings(name, examined),
    ...processorFindings(box),
    ...memoryFindings(box, examined.contexts),
  ];
  const { version, models, running } = box;
  const loaded = running.map((one) => `${plainText(one.name, 200)} (${processorText(one)})`);
  const memory = loaded.length === 0 ? 'nothing in memory' : `in memory: ${listText(loaded, 4)}`;
  const listed =
    models === null ? 'its list of models is not known' : `${models.length} ${models.length === 1 ? 'model' : 'models'}`;
  return [
    finding('ok', 'serves', `Ollama ${plainText(version ?? 'of unknown version', 64)}, ${listed}, ${memory}`, '', { box: name }),
    ...rest,
  ];
}

function versionFindings({ name: box, version }: BoxState): Finding[] {
  if (version === null || !isOlder(version, leastVersion)) return [];
  return [
    finding(
      'warn',
      'version_old',
      `${box} has Ollama ${plainText(version, 64)}, and Corral counts on ${leastVersion} or later.`,
      'Bring it up to date: clients of /v1/messages and /v1/responses fail there.',
      { box },
    ),
  ];
}

function tunnelFindings(box: string, headers: Headers | undefined): Finding[] {
  // A relay keeps a tunnel awake.
  if (headers === undefined || headers.has(relayHeader)) return [];
  const mend = `Put \`corral --relay\` beside ${box}, or keep its models in memory (fleet.warm).`;
  if (headers.has('cf-ray')) {
    return [
      finding(
        'warn',
        'tunnel_limit',
        `${box} is behind Cloudflare, which cuts what is silent for 100 s: a cold load of a big model (524).`,
        mend,
        { box },
      ),
    ];
  }
  if ([...headers.keys()].some((name) => name.startsWith('ngrok-'))) {
    return [
      finding(
        'warn',
        'tunnel_limit',
        `${box} is behind ngrok, which has limits of its own for what is silent and for how much is sent.`,
        mend,
        { box },
      ),
    ];
  }
  return [];
}

const mostSkewMs = 60_000;

function clockFindings(box: string, { headers, atMs }: Examined): Finding[] {
  const toldMs = Date.parse(headers?.get('date') ?? '');
  if (Number.isNaN(toldMs) || Math.abs(toldMs - atMs) <= mostSkewMs) return [];
  const side = toldMs > atMs ? 'ahead of' : 'behind';
  return [
    finding(
      'warn',
      'clock_skew',
      `The clock of ${box} is ${spanText(Math.abs(toldMs - atMs))} ${side} this machine's: expiry times and signed requests go by it.`,
      'Let both keep their time by NTP (timedatectl set-ntp true).',
      { box },
    ),
  ];
}

/** A box that has no GPU is as it is meant to be. Nothing tells for certain whether it has one: memory of it that is in use, or the file. */
function processorFindings({ name: box, configured, running }: BoxState): Finding[] {
  const sized = running.filter(({ sizeBytes }) => sizeBytes > 0);
  const hasGpu = (configured.vramBytes ?? 0) > 0 || sized.some(({ vramBytes }) => vramBytes > 0);
  if (hasGpu) return sized.flatMap((one) => splitFindings(box, one));
  if (sized.length === 0) return [];
  return [
    finding(
      'info',
      'cpu_only',
      `${box} runs on its CPU: nothing that it has in memory is in GPU memory.`,
      "If it has a GPU, Ollama has not found it: look for `inference compute` in Ollama's log there, and write its memory as `vram` in fleet.boxes, so that this is a warning.",
      { box },
    ),
  ];
}

function splitFindings(box: string, running: RunningState): Finding[] {
  const { name: model, sizeBytes, vramBytes, contextLength } = running;
  if (vramBytes >= sizeBytes) return [];
  const context = contextLength === null ? '' : ` with a context of ${contextLength}`;
  const how =
    vramBytes <= 0
      ? `runs wholly on the CPU of ${box}${context}, which is slow.`
      : `runs on ${box}${context} as ${processorText(running)}: ${sizeText(sizeBytes - vramBytes)} of ${sizeText(sizeBytes)} are not in GPU memory, which is slow.`;
  return [
    finding(
      'warn',
      'cpu_split',
      `${plainText(model, 200)} ${how}`,
      'Use a smaller variant or a smaller context (num_ctx), fewer slots (OLLAMA_NUM_PARALLEL), or unload other models there.',
      { box, model },
    ),
  ];
}

/** Only where the file says how much memory there is. */
function memoryFindings(
  { name: box, configured: { vramBytes, reserveBytes, slots } }: BoxState,
  contexts: readonly WantedContext[],
): Finding[] {
  if (vramBytes === null) return [];
  const roomBytes = vramBytes - reserveBytes;
  return contexts.flatMap(({ model, numCtx, weightBytes, shape }) => {
    const cacheBytes = kvBytesOf(shape) * numCtx * (slots ?? 1);
    if (weightBytes + cacheBytes <= roomBytes) return [];
    const times = slots === null ? 'one slot (fleet.boxes says nothing of slots)' : `${slots} slots`;
    return [
      finding(
        'warn',
        'memory_tight',
        `${plainText(model, 200)} with a context of ${numCtx} and ${times} needs roughly ${sizeText(weightBytes + cacheBytes)} on ${box}, of which ${sizeText(cacheBytes)} for the context (a rough estimate: f16, full attention); ${sizeText(roomBytes)} are there for models.`,
        'Use a smaller context, fewer slots, or OLLAMA_KV_CACHE_TYPE=q8_0, which halves the share of the context.',
        { box, model },
      ),
    ];
  });
}
