/** Rules that decide whether a request may pass (agentgateway http/authorization.rs). */
import * as z from 'zod';
import { absenceIn, type Moment } from '../cel/absent.ts';
import { celField } from '../cel/cel-field.ts';
import type { CelExpression } from '../cel/expression.ts';
import type { Exchange } from '../exchange.ts';

export type RuleKind = 'allow' | 'deny' | 'require';

export interface Rule {
  readonly kind: RuleKind;
  readonly condition: CelExpression;
}

const maxRules = 256;

const keyedRule = z
  .strictObject({
    allow: celField('The request may pass when this is true and no `deny` or `require` speaks against it.').optional(),
    deny: celField(
      'The request is refused when this is true. What cannot be evaluated does not deny: prefer `require`.',
    ).optional(),
    require: celField('The request is refused unless this is true.').optional(),
  })
  .transform(({ allow, deny, require }, context): Rule => {
    const given = Object.entries({ allow, deny, require }).filter(([, condition]) => condition !== undefined);
    const [kind, condition] = given[0] ?? [];
    if (given.length === 1 && condition !== undefined) return { kind: kind as RuleKind, condition };
    context.addIssue('expected exactly one of: allow, deny, require');
    return z.NEVER;
  });

const bareRule = celField('The same as `allow`.').transform((condition): Rule => ({ kind: 'allow', condition }));

export const rulesField = z
  .array(z.union([bareRule, keyedRule], { error: 'expected a CEL expression, or one of allow, deny, require' }))
  .max(maxRules)
  .describe(
    'Any `deny` that is true refuses. Every `require` must be true. Then any `allow` that is true lets pass; where there are `allow` rules and none is true, the request is refused. A rule that cannot be evaluated is not true.',
  )
  .meta({ examples: [['jwt.sub == "alice"', { require: 'request.method == "POST"' }]] });

/** Decides on one request. */
export type Verdict = (exchange: Exchange) => boolean;

/** The rules in the order in which agentgateway asks them. */
export function verdictOf(rules: readonly Rule[]): Verdict {
  const of = (kind: RuleKind) => rules.filter((rule) => rule.kind === kind).map(({ condition }) => condition);
  const [denies, requires, allows] = [of('deny'), of('require'), of('allow')];
  return (exchange) => {
    const isTrue = (condition: CelExpression): boolean => condition.holds(exchange);
    if (denies.some(isTrue) || !requires.every(isTrue)) return false;
    return allows.length === 0 || allows.some(isTrue);
  };
}

const failing: Readonly<Record<RuleKind, string>> = {
  allow: 'lets nobody pass',
  deny: 'denies nobody',
  require: 'refuses everybody',
};

/** Warns of rules that read what cannot be there. */
export function warnOfAbsences(rules: readonly Rule[], moment: Moment, warn: (message: string) => void): void {
  for (const { kind, condition } of rules) {
    const absence = absenceIn(condition, moment);
    if (absence === undefined) continue;
    warn(`the rule "${kind}: ${shortened(condition.source)}": ${absence}; a rule that fails ${failing[kind]}`);
  }
}

function shortened(source: string): string {
  return source.length > 80 ? `${source.slice(0, 80)}…` : source;
}

/** Rules about a client before its request is looked at: they may read `source` only. */
export const networkAuthorizationField = z
  .strictObject({
    rules: rulesField.superRefine((rules, context) => {
      for (const [index, { condition }] of rules.entries()) {
        const foreign = [...condition.reads].find((name) => name.split('.', 1)[0] !== 'source');
        if (foreign === undefined) continue;
        const message = `"${foreign}" is not known when a connection is judged: these rules read "source" only; use the policy authorization`;
        context.addIssue({ code: 'custom', message, path: [index] });
      }
    }),
  })
  .describe('Refuses clients by their address, before anything else is looked at: they get 403.')
  .meta({ examples: [{ rules: [{ require: 'cidr("192.168.0.0/16").containsIP(source.address)' }] }] });

/** Undefined where there is nothing to decide. */
export function networkVerdictOf(
  options: z.output<typeof networkAuthorizationField> | undefined,
  warn: (message: string) => void,
): Verdict | undefined {
  if (options === undefined || options.rules.length === 0) return undefined;
  warnOfAbsences(options.rules, 'request', warn);
  return verdictOf(options.rules);
}
