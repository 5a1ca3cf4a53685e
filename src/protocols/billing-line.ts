/**
 * The line that Claude Code writes at the start of every system prompt, as a first text block of its own:
 * `x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;`. Its `cch` is another one in each request, so
 * a box that reads it has none of the rest in its cache (anthropics/claude-code issue 68900, ggml-org/llama.cpp pull 21793). It
 * means something to Anthropic's own servers only.
 */
import { JsonTree } from '../json/tree.ts';

const mark = 'x-anthropic-billing-header:';
/** The line's pairs and the line end; what follows them on the same line is the prompt's. */
const line = /^x-anthropic-billing-header:(?:[ \t]*[\w.-]+=[^;\n]*(?:;|(?=\n|$)))*[ \t]*\n*/;
/** White space, `[{"type":"text","text":"` or the like: nobody writes more before the first block's text. */
const maxLead = 400;

/** The JSON text of `system` without the line; undefined where there is none. `system` is valid JSON: a text, or a list of blocks. */
export function withoutBillingLine(system: string): string | undefined {
  const at = system.indexOf(mark);
  if (at < 0 || at > maxLead) return undefined;
  const { root } = new JsonTree(system);
  if (root.kind === 'string') {
    const rest = restOf(root.string);
    return rest === undefined ? undefined : JSON.stringify(rest);
  }
  const [first, ...others] = root.elements();
  const text = first?.member('text');
  const rest = restOf(text?.string);
  if (first === undefined || text === undefined || rest === undefined) return undefined;
  if (rest === '') return `[${others.map(({ json }) => json).join(',')}]`;
  const tree = new JsonTree(system);
  const kept = tree.root.elements()[0]?.member('text');
  if (kept !== undefined) kept.string = rest;
  return tree.write();
}

/** Undefined: it does not begin with the line. */
function restOf(text: string | undefined): string | undefined {
  return text?.startsWith(mark) === true ? text.replace(line, '') : undefined;
}
