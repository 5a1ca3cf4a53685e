/** Versions of Ollama, compared; and the oldest that Corral counts on. */

/**
 * What is older serves chats, and not every client. What Corral uses of a box, and the first release that has it, by the history of
 * github.com/ollama/ollama (the pull request that brought it) and its release notes (github.com/ollama/ollama/releases/tag/v…):
 *
 * - 0.14.0 (January 2026): `/v1/messages` (#13600), also for models that cannot think (#13692): Claude Code gets 404 from what is older;
 *   this is the number below
 * - 0.13.3 (December 2025): `/v1/responses` (#13351): Codex and OpenAI's newer SDKs
 * - 0.12.11: log probabilities (#12899) · 0.12.6: `truncate` of chat and generate (#12582) · 0.12.0: models of the cloud and
 *   `remote_host`, by which they are told apart (#12307)
 * - 0.10.0: `context_length` in `/api/ps` (#11331): what is older tells nobody how much context a runner has · 0.9.0: `think` (#10584) ·
 *   0.6.4: `capabilities` in `/api/show` (#10066) · 0.2.6: `/api/embed`, `/v1/embeddings` (#5127, #5285) · 0.1.38: `/api/ps` (#4327)
 *
 * Newer, and done without where it is missing: `/v1/audio/transcriptions` (0.20.0, #15214); refusals that tell how many tokens a prompt
 * had (0.30.0, #16031: from there on llama-server runs all models).
 */
export const leastVersion = '0.14.0';

/** Undefined: it says nothing, as 0.0.0 of builds from source. */
function numbersOf(version: string): readonly number[] | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?/.exec(version);
  if (match === null) return undefined;
  const numbers = [match[1], match[2], match[3] ?? '0'].map(Number);
  return numbers.every((number) => number === 0) ? undefined : numbers;
}

/** False also where one of the two says nothing. */
export function isOlder(one: string, other: string): boolean {
  const ours = numbersOf(one);
  const theirs = numbersOf(other);
  if (ours === undefined || theirs === undefined) return false;
  for (const [index, number] of ours.entries()) {
    const their = theirs[index] ?? 0;
    if (number !== their) return number < their;
  }
  return false;
}
