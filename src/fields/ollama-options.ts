/** What Ollama reads from `options` and not from beside it, and by which other names callers of other protocols know it. */

/** A limit of an answer's tokens, by every name that the protocols have for it; the last is Ollama's own, in `options`. */
export const tokenLimitNames = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'] as const;

/** Ollama api/types.go, `Options` and `Runner`. Its server warns of other names in its log and pays no heed to them. */
const optionNames: ReadonlySet<string> = new Set([
  'draft_num_predict',
  'frequency_penalty',
  'main_gpu',
  'min_p',
  'num_batch',
  'num_ctx',
  'num_gpu',
  'num_keep',
  'num_thread',
  'presence_penalty',
  'repeat_last_n',
  'repeat_penalty',
  'seed',
  'stop',
  'temperature',
  'top_k',
  'top_p',
  'typical_p',
  'use_mmap',
]);

/** Whether the member limits an answer's tokens. `name` is folded. */
export function isTokenLimit(name: string): boolean {
  return (tokenLimitNames as readonly string[]).includes(name);
}

/** The name among Ollama's `options` of what is called `name` (folded) elsewhere; undefined when it is no option. */
export function optionNameOf(name: string): string | undefined {
  if (isTokenLimit(name)) return 'num_predict';
  return optionNames.has(name) ? name : undefined;
}

/** An option's JSON text as Ollama takes it: `stop` is a list there, and may be a single text in OpenAI's protocols. */
export function optionText(name: string, json: string): string {
  return name === 'stop' && json.startsWith('"') ? `[${json}]` : json;
}
