/** `corral fleet load` and `unload`: a model into the memory of one box, and out of it. */
import { GatewayError } from '../../errors.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import { messageOf, troubleAdvice, wordsOf } from '../../fleet/asking/advice.ts';
import { type RunningModel, runningOf } from '../../fleet/asking/answers.ts';
import { type Answer, createStop } from '../../fleet/asking/ask.ts';
import { factsOf } from '../../fleet/asking/shows.ts';
import {
  CommandError,
  type CommandLine,
  type CommandScope,
  configOptions,
  exitCodes,
  type OptionShapes,
  readLine,
} from '../command.ts';
import { plainText, sizeText, spanText } from '../table.ts';
import { type BoxLine, boxLinesOf } from './box-line.ts';
import { untilInterrupted } from './interrupt.ts';
import { processorText } from './ps.ts';
import { boxesMeant } from './pull.ts';
import { openSession } from './session.ts';
import { tellGateway } from './tell-gateway.ts';

export const loadUsage = 'corral fleet load MODEL --box BOX [--num-ctx N] [--keep-alive TIME]';
export const unloadUsage = 'corral fleet unload MODEL --box BOX';
export const unloadOptions = {
  box: { type: 'string', value: 'BOX', about: 'where' },
  ...configOptions,
} as const satisfies OptionShapes;
export const loadOptions = {
  box: unloadOptions.box,
  'num-ctx': { type: 'string', value: 'N', about: 'with this context, in tokens' },
  'keep-alive': { type: 'string', value: 'TIME', about: 'how long it stays when nobody asks: 30m, 1h; -1: for ever' },
  ...configOptions,
} as const satisfies OptionShapes;

const askLimitMs = 5_000;
/** A box waits with it until the requests that run have ended. */
const unloadLimitMs = 30_000;

export async function load(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, loadOptions, loadUsage, 1);
  const numCtx = numCtxOf(line.text('num-ctx'));
  const keepAlive = keepAliveOf(line.text('keep-alive'));
  const options = {
    ...(numCtx !== undefined && { options: { num_ctx: numCtx } }),
    ...(keepAlive !== undefined && { keep_alive: keepAlive }),
  };
  return atOneBox(line, scope, loadUsage, async (box, model, { loadTimeoutMs, signal }) => {
    const startedMs = scope.platform.clock.now();
    scope.surroundings.err(`${box.name} loads ${plainText(model)} …\n`);
    // Without a prompt, or without input, a box loads the model and nothing else (Ollama server/routes.go).
    const path = (await isEmbedding(box, model)) ? '/api/embed' : '/api/generate';
    const answer = await asked(box, path, { model, stream: false, ...options }, loadTimeoutMs, signal);
    const running = await runnerOf(box, model);
    if (running === undefined)
      throw new CommandError(refusalOf(box, model, answer) ?? `${box.name} answered, and has not got it in memory`);
    scope.surroundings.out(`${box.name}  ${loadedText(running, scope.platform.clock.now() - startedMs)}\n`);
    return exitCodes.done;
  });
}

export async function unload(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, unloadOptions, unloadUsage, 1);
  return atOneBox(line, scope, unloadUsage, async (box, model, { signal }) => {
    await asked(box, '/api/generate', { model, stream: false, keep_alive: 0 }, unloadLimitMs, signal);
    const left = await runnerOf(box, model);
    const words = left === undefined ? 'is not in memory any more' : 'goes as soon as what it answers has ended';
    scope.surroundings.out(`${box.name}  ${plainText(model)} ${words}\n`);
    return exitCodes.done;
  });
}

interface BoxWork {
  readonly loadTimeoutMs: number;
  readonly signal: AbortSignal;
}

async function atOneBox(
  line: CommandLine,
  scope: CommandScope,
  usage: string,
  work: (box: BoxLine, model: string, asked: BoxWork) => Promise<number>,
): Promise<number> {
  const [model] = line.words;
  if (model === undefined) throw new CommandError(`which model?\nUsage: ${usage}`, exitCodes.wrongLine);
  const { plan } = await openSession(line, scope).configured();
  const [box, second] = boxesMeant(line.text('box'), boxLinesOf(plan, scope.platform), usage);
  if (box === undefined || second !== undefined)
    throw new CommandError(`one box at a time\nUsage: ${usage}`, exitCodes.wrongLine);
  const trouble = await box.trouble();
  if (trouble !== undefined) throw new CommandError(trouble);
  const { loadTimeoutMs } = plan.settings;
  const code = await untilInterrupted(
    scope.terminal,
    (signal) => work(box, model, { loadTimeoutMs, signal }),
    () => scope.surroundings.err(`stopped; ${box.name} gives the load up\n`),
  );
  if (code === exitCodes.done) await tellGateway(plan, scope);
  return code;
}

/** Throws CommandError with what the box says against it, and the signal's reason. */
async function asked(box: BoxLine, path: string, body: unknown, limitMs: number, signal: AbortSignal): Promise<Answer> {
  const stop = createStop();
  signal.addEventListener('abort', stop.stop, { once: true });
  const answer = await box.post(path, body, limitMs, stop);
  signal.removeEventListener('abort', stop.stop);
  if (signal.aborted) throw signal.reason;
  if (answer instanceof GatewayError) throw new CommandError(wordsOf(troubleAdvice(box.upstream, answer)));
  if (answer.status >= 300)
    throw new CommandError(plainText(`${box.name} says: ${messageOf(answer.text ?? '') ?? answer.status}`));
  return answer;
}

function refusalOf(box: BoxLine, model: string, { text }: Answer): string | undefined {
  const said = messageOf(text ?? '');
  return said === undefined ? undefined : plainText(`${box.name} did not load ${model}: ${said}`);
}

async function isEmbedding(box: BoxLine, model: string): Promise<boolean> {
  const answer = await box.post('/api/show', { model }, askLimitMs);
  const capabilities = answer instanceof GatewayError ? undefined : factsOf(answer)?.capabilities;
  return capabilities?.includes('embedding') === true && !capabilities.includes('completion');
}

async function runnerOf(box: BoxLine, model: string): Promise<RunningModel | undefined> {
  const answer = await box.get('/api/ps', askLimitMs);
  if (answer instanceof GatewayError) return undefined;
  return runningOf(answer)?.find(({ name }) => canonicalModel(name) === canonicalModel(model));
}

function loadedText(running: RunningModel, afterMs: number): string {
  const { name, sizeBytes, contextLength } = running;
  const context = contextLength === undefined ? '' : `, context ${contextLength}`;
  return `${plainText(name)} in memory after ${spanText(afterMs)}: ${sizeText(sizeBytes)}, ${processorText(running)}${context}`;
}

function numCtxOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const tokens = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (tokens < 1) throw new CommandError(`--num-ctx takes a number of tokens, not "${text}"`, exitCodes.wrongLine);
  return tokens;
}

/** As Ollama reads it: a number of seconds, or a duration of Go. Negative: for ever. */
export function keepAliveOf(text: string | undefined): number | string | undefined {
  if (text === undefined) return undefined;
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  if (/^-?(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return text;
  throw new CommandError(`--keep-alive takes a time such as 30m, 1h30m or -1 for ever, not "${text}"`, exitCodes.wrongLine);
}
