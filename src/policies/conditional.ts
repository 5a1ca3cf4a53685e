/**
 * The conditional form that some policies have beside their plain one (agentgateway types/local.rs):
 *
 *     directResponse:
 *       conditional:
 *         - condition: request.path == "/old"
 *           status: 410
 *         - status: 404
 *
 * The first entry whose condition is true applies; when there is none, the policy is passed over. A condition that cannot be
 * evaluated is not true.
 *
 * A policy gets the form by being wrapped. The second argument is its own options' shape with `condition` beside them:
 *
 *     export const directResponse = withConditions(plain, (condition) =>
 *       z.strictObject({ ...shape, ...condition }).transform(({ condition, ...options }) => ({ condition, options })),
 *     );
 */
import type { MiddlewareHandler } from 'hono';
import * as z from 'zod';
import * as core from 'zod/v4/core';
import { absenceIn } from '../cel/absent.ts';
import { celField } from '../cel/cel-field.ts';
import type { CelExpression, CelExtras } from '../cel/expression.ts';
import type { AttemptEdit, Exchange, GatewayEnv } from '../exchange.ts';
import { onlyHere } from '../fields/portable.ts';
import type { PolicyDefinition, PolicyScope } from './policy.ts';

const maxEntries = 64;

const conditionShape = {
  condition: celField(
    'This entry applies when this is true, and no entry before it was. The last one may do without.',
  ).optional(),
};

export interface ConditionalEntry<Options> {
  readonly condition?: CelExpression | undefined;
  readonly options: Options;
}

export interface Conditions<Options> {
  readonly conditional: readonly ConditionalEntry<Options>[];
}

/** What a policy with a conditional form is given. */
export type MaybeConditional<Options> = Options | Conditions<Options>;

/** The policy with a conditional form beside its plain one. `entryOf` makes the schema of one entry. */
export function withConditions<Options>(
  policy: PolicyDefinition<Options>,
  entryOf: (shape: typeof conditionShape) => z.ZodType<ConditionalEntry<Options>>,
): PolicyDefinition<MaybeConditional<Options>> {
  const { onRequest, onAttempt, onBackendAttempt, onTranslated, onBackendAnswer, protects, refuses } = policy;
  const { name, about, places, example, inherits } = policy;
  return {
    name,
    about,
    places,
    example,
    options: eitherField(policy.options, onlyHere(conditionsField(entryOf(conditionShape)), notOnBackends)),
    ...(onRequest === undefined ? {} : { onRequest: requestFactory(onRequest) }),
    ...(onAttempt === undefined ? {} : { onAttempt: attemptFactory(onAttempt) }),
    ...(onBackendAttempt === undefined ? {} : { onBackendAttempt: attemptFactory(onBackendAttempt) }),
    ...(onTranslated === undefined ? {} : { onTranslated: attemptFactory(onTranslated) }),
    ...(onBackendAnswer === undefined ? {} : { onBackendAnswer: answerFactory(onBackendAnswer) }),
    ...(protects === undefined ? {} : { protects: (given) => protectsAlways(given, protects) }),
    ...(refuses === undefined
      ? {}
      : { refuses: (given, runtime) => plainsOf(given).flatMap((options) => refuses(options, runtime) ?? [])[0] }),
    ...(inherits === undefined ? {} : { inherits: inheritedBy(inherits) }),
  };
}

function notOnBackends(_value: unknown, yamlPath: string): string | undefined {
  return /\b(?:backends|providers|models)\[/.test(yamlPath) ? 'agentgateway has no conditional form on backends' : undefined;
}

const initUnion = z.ZodUnion.init as (inst: z.ZodUnion, def: z.core.$ZodUnionDef) => void;

/**
 * One form or the other, told apart by the key `conditional`. A plain union would be content with a plain form that has an
 * unknown key where it is the conditional one that has a mistake inside. `core`, not `z.core`: of that a bundler would have to
 * keep everything, messages in fifty languages included.
 */
const EitherForm = core.$constructor<z.ZodUnion, z.core.$ZodUnionDef>('EitherForm', (inst, def) => {
  initUnion(inst, def);
  const [plain, conditional] = def.options;
  inst._zod.parse = (payload, context) => {
    const { value } = payload;
    const isOther = typeof value === 'object' && value !== null && 'conditional' in value;
    return ((isOther ? conditional : plain) ?? inst)._zod.run(payload as never, context) as never;
  };
});

function eitherField<Options>(
  plain: z.ZodType<Options>,
  conditional: z.ZodType<Conditions<Options>>,
): z.ZodType<MaybeConditional<Options>> {
  return new EitherForm({ type: 'union', options: [plain, conditional] }) as unknown as z.ZodType<MaybeConditional<Options>>;
}

function conditionsField<Options>(entry: z.ZodType<ConditionalEntry<Options>>) {
  return z
    .strictObject({
      conditional: z
        .array(entry)
        .min(1)
        .max(maxEntries)
        .superRefine((entries, context) => {
          const early = entries.slice(0, -1).findIndex(({ condition }) => condition === undefined);
          if (early < 0) return;
          const message = 'an entry without condition always applies: only the last one may do without';
          context.addIssue({ code: 'custom', message, path: [early] });
        })
        .describe(
          'Entries of this policy, each with a `condition`. The first whose condition is true applies; with none, nothing does.',
        ),
    })
    .describe('Other options for other requests.');
}

function isConditional<Options>(given: MaybeConditional<Options>): given is Conditions<Options> {
  return typeof given === 'object' && given !== null && 'conditional' in given;
}

function plainsOf<Options>(given: MaybeConditional<Options>): readonly Options[] {
  return isConditional(given) ? given.conditional.map(({ options }) => options) : [given];
}

/** Only what applies to every request locks anything. */
function protectsAlways<Options>(given: MaybeConditional<Options>, protects: (options: Options) => boolean): boolean {
  if (!isConditional(given)) return protects(given);
  return given.conditional.at(-1)?.condition === undefined && given.conditional.every(({ options }) => protects(options));
}

/** Plain options of two places combine as the policy says; conditional ones stand alone. */
function inheritedBy<Options>(
  inherits: NonNullable<PolicyDefinition<Options>['inherits']>,
): NonNullable<PolicyDefinition<MaybeConditional<Options>>['inherits']> {
  if (inherits === 'both') return inherits;
  return (outer, inner) => (isConditional(outer) || isConditional(inner) ? inner : inherits(outer, inner));
}

interface Choice<Made> {
  readonly condition: CelExpression | undefined;
  readonly made: Made;
}

/** Each entry made once, when the plan is compiled. */
function choicesOf<Options, Made>(
  { conditional }: Conditions<Options>,
  scope: PolicyScope,
  moment: 'request' | 'attempt',
  make: (options: Options, scope: PolicyScope) => Made,
): readonly Choice<Made>[] {
  return conditional.map(({ condition, options }, index) => {
    const place = `conditional[${index}]`;
    const absence = condition === undefined ? undefined : absenceIn(condition, moment);
    if (absence !== undefined) scope.warn(`${place}.condition: ${absence}`);
    const inner = { ...scope, yamlPath: `${scope.yamlPath}.${place}`, stateKey: `${scope.stateKey}/${place}` };
    return { condition, made: make(options, inner) };
  });
}

/** The choice for this request; a promise only when a condition asks for the request's body. */
function chosenOf<Made>(
  choices: readonly Choice<Made>[],
  exchange: Exchange,
  extras: CelExtras,
): Made | undefined | Promise<Made | undefined> {
  for (const [index, { condition, made }] of choices.entries()) {
    if (condition?.needs.requestBody === true && exchange.heldBody === undefined) {
      return exchange.bodies.read(exchange).then(() => chosenOf(choices.slice(index), exchange, extras));
    }
    if (condition === undefined || condition.holds(exchange, extras)) return made;
  }
  return undefined;
}

const noExtras: CelExtras = {};

function requestFactory<Options>(make: NonNullable<PolicyDefinition<Options>['onRequest']>) {
  return (given: MaybeConditional<Options>, scope: PolicyScope): MiddlewareHandler<GatewayEnv> | undefined => {
    if (!isConditional(given)) return make(given, scope);
    const choices = choicesOf(given, scope, 'request', make);
    return async (c, next) => {
      const chosen = await chosenOf(choices, c.env, noExtras);
      return chosen === undefined ? next() : chosen(c, next);
    };
  };
}

function attemptFactory<Options>(make: NonNullable<PolicyDefinition<Options>['onAttempt']>) {
  return (given: MaybeConditional<Options>, scope: PolicyScope): AttemptEdit | undefined => {
    if (!isConditional(given)) return make(given, scope);
    const choices = choicesOf(given, scope, 'attempt', make);
    return (attempt) => {
      const chosen = chosenOf(choices, attempt.exchange, noExtras);
      return chosen instanceof Promise ? chosen.then((edit) => edit?.(attempt)) : chosen?.(attempt);
    };
  };
}

function answerFactory<Options>(make: NonNullable<PolicyDefinition<Options>['onBackendAnswer']>) {
  return (given: MaybeConditional<Options>, scope: PolicyScope): ReturnType<typeof make> => {
    if (!isConditional(given)) return make(given, scope);
    const choices = choicesOf(given, { ...scope, warn: () => undefined }, 'attempt', make);
    return (exchange, answer) => {
      const chosen = choices.find(({ condition }) => condition === undefined || condition.holds(exchange, { answer }));
      chosen?.made?.(exchange, answer);
    };
  };
}
