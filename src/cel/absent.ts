/** Expressions that can never be evaluated where they stand, told when the configuration is read. */
import type { CelExpression } from './expression.ts';

/** `request`: before an upstream is chosen. `attempt`: while one is tried. `answer`: once it has answered. */
export type Moment = 'request' | 'attempt' | 'answer';

const never: Readonly<Record<string, string>> = {
  mcp: 'Corral serves no MCP',
  mcpGuardrails: 'Corral serves no MCP',
  extproc: 'Corral has no extProc',
  'llm.cost': 'Corral counts no costs',
  'llm.costRates': 'Corral counts no costs',
  'source.port': 'the runtimes do not tell it',
  'apiKey.key': 'keys are not kept; tell them apart by their metadata',
};

/** What the expression reads that cannot be there at this moment, and what to read instead; undefined when nothing is known against it. */
export function absenceIn(expression: CelExpression, moment: Moment): string | undefined {
  for (const name of expression.reads) {
    const reason = never[name] ?? never[name.split('.', 1)[0] ?? ''];
    if (reason !== undefined) return `"${name}" is never there: ${reason}`;
  }
  if (moment !== 'request') {
    return moment === 'attempt' && expression.needs.response ? '"response" is not there before an answer' : undefined;
  }
  if (expression.needs.response) return '"response" is not there before an answer';
  if (expression.needs.llm) {
    return '"llm" is not there before an ai backend is reached: read the body, as in json(request.body).model, or put this on the backend or the model';
  }
  return expression.reads.has('backend') || [...expression.reads].some((name) => name.startsWith('backend.'))
    ? '"backend" is not there before a backend is chosen: put this on the backend'
    : undefined;
}
