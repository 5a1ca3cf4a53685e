/** How hard a model shall think: OpenAI's words, Anthropic's words, and Anthropic's token budgets. */

/** Tokens for each of OpenAI's words, as agentgateway gives them (crates/llm/src/types/mod.rs). */
const budgets: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16_384,
};

/** Anthropic's least. */
export const minBudget = 1024;

export function budgetFor(effort: string): number | undefined {
  return budgets[effort];
}

/** OpenAI's word for a budget: the least that grants it, `high` beyond. */
export function effortForBudget(tokens: number): string {
  if (tokens <= 1024) return 'low';
  return tokens <= 2048 ? 'medium' : 'high';
}

/** OpenAI's word for Anthropic's `output_config.effort`. `max` is Anthropic's alone. */
export function effortForEffort(effort: string): string {
  return effort === 'max' ? 'xhigh' : effort;
}

/**
 * OpenAI's chat completions refuse reasoning beside tools from gpt-5.3 on (agentgateway conversion/completions.rs); only the
 * Responses API has both there.
 */
export function cannotReasonWithTools(model: string | undefined): boolean {
  const minor = /^gpt-5\.(\d+)/.exec(model ?? '')?.[1];
  return minor !== undefined && Number(minor) > 2;
}
