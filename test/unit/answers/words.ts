/** Configurations, calls and answers in few words, for the tests of what routes answer. */
import { GatewayError } from '../../../src/errors.ts';
import { type Answer, createStage, type Script, type Stage, type StageOptions } from './stage.ts';

export const box = (name: string, model = '') =>
  `{ ai: { name: ${name}, hostOverride: "${name}:11434", provider: { openAI: {${model === '' ? '' : ` model: ${model}`}} } } }`;

export function boxes(names: readonly string[], { listener = '{}', route = '{}', more = '' } = {}): string {
  return `
binds:
  - port: 3000
    listeners:
      - policies: ${listener}
        routes:
          - policies: ${route}
            backends: [${names.map((name) => (name.startsWith('{') ? name : box(name))).join(', ')}]
${more}`;
}

export const chat = (model?: string, more: object = {}) => ({
  body: { ...(model === undefined ? {} : { model }), messages: [], ...more },
});
export const json = (body: object, status = 200): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
export const missing = (model: string) => json({ error: `model '${model}' not found` }, 404);

/** By host name of the upstream. */
export function byHost(answers: Readonly<Record<string, Answer | GatewayError | 'never'>>): Script {
  return ({ url }) => answers[new URL(url).hostname] ?? new GatewayError('upstream_unresolved', 'no such host');
}

export function stageOf(yaml: string, answers: Parameters<typeof byHost>[0] = {}, options: StageOptions = {}): Stage {
  return createStage(yaml, { script: byHost(answers), ...options });
}

export const keys = (...list: string[]) => `{ apiKey: { keys: [${list.join(', ')}] } }`;
export const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
