/** `llm.virtualModels`: names that stand for several models, and how one of them is chosen. */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import type { CelExpression } from '../cel/expression.ts';
import { nameField } from './backends.ts';

const maxTargets = 64;

const targetNameField = z.string().min(1).describe('Name of a model, as a client would ask for it: `llm.models` must take it.');

function targetsField<Target extends z.ZodType>(target: Target, about: string) {
  return z.array(target).min(1, 'expected at least one target').max(maxTargets).describe(about);
}

const weightedTarget = z.strictObject({
  model: targetNameField,
  weight: z.int().min(0).max(1_000_000).default(1).describe('Share of the requests.'),
});

const failoverTarget = z.strictObject({
  model: targetNameField,
  priority: z.int().min(0).describe('Lower numbers come first; equal ones share the load.'),
});

const conditionalTarget = z.strictObject({
  when: celField('When it serves.')
    .refine(({ needs }) => !needs.response, { error: 'the model is chosen before there is an answer' })
    .nullish()
    .describe('This model serves when this is true, and nothing before it was. `llmRequest` is what the client asks.')
    .meta({ examples: ['llmRequest.max_tokens > 1000', 'apiKey.tier == "gold"'] }),
  model: targetNameField,
});

/** Exactly one of the three ways. */
export const routingField = z
  .strictObject({
    weighted: z
      .strictObject({ targets: targetsField(weightedTarget, 'The models among which requests are shared out.') })
      .optional()
      .describe('Requests are shared out at random, by weight.'),
    failover: z
      .strictObject({ targets: targetsField(failoverTarget, 'The models in the order to try them.') })
      .optional()
      .describe(
        'The next model serves when the ones before it cannot: within the same request when they fail before the first byte or answer 429 or 5xx.',
      ),
    conditional: z
      .strictObject({
        targets: targetsField(conditionalTarget, 'The models in the order in which their conditions are asked.').superRefine(
          (targets, context) => {
            const early = targets.slice(0, -1).findIndex(({ when }) => when === undefined || when === null);
            if (early < 0) return;
            const message = 'a target without "when" always serves: only the last one may do without';
            context.addIssue({ code: 'custom', message, path: [early] });
          },
        ),
      })
      .optional()
      .describe('The first model whose condition is true serves; when there is none, the request gets 400.'),
  })
  .meta({ id: 'routing', description: 'Exactly one of `weighted`, `failover` and `conditional`.' })
  .transform(({ weighted, failover, conditional }, context): VirtualRouting => {
    const given: VirtualRouting[] = [
      ...(weighted === undefined ? [] : [{ kind: 'weighted' as const, targets: weighted.targets }]),
      ...(failover === undefined ? [] : [{ kind: 'failover' as const, targets: failover.targets }]),
      ...(conditional === undefined ? [] : [{ kind: 'conditional' as const, targets: conditional.targets }]),
    ];
    const [routing] = given;
    if (given.length === 1 && routing !== undefined) return routing;
    context.addIssue('expected exactly one of: weighted, failover, conditional');
    return z.NEVER;
  });

export type VirtualRouting =
  | { readonly kind: 'weighted'; readonly targets: readonly { readonly model: string; readonly weight: number }[] }
  | { readonly kind: 'failover'; readonly targets: readonly { readonly model: string; readonly priority: number }[] }
  | { readonly kind: 'conditional'; readonly targets: readonly ConditionalTarget[] };

export interface ConditionalTarget {
  readonly model: string;
  /** Nothing: always. */
  readonly when?: CelExpression | null | undefined;
}

export const virtualModelField = z
  .strictObject({ name: nameField.describe('The name clients ask for.'), routing: routingField })
  .meta({ id: 'virtualModel' });

export type VirtualModelConfig = z.output<typeof virtualModelField>;
