/** What must fit together inside `llm`. */
import { compileModelPattern } from '../fields/model-name.ts';
import { FieldError } from '../fields/text-field.ts';
import { type CheckReport, checkRepeated, type Keys, keysOf, listOf, suggestion, textOf, unknownName } from './check-report.ts';
import type { YamlPath } from './diagnostic.ts';

/** Providers that are referred to, names that stand twice, targets of virtual models. */
export function checkModels(whole: Keys, report: CheckReport): void {
  const llm = keysOf(whole.llm);
  const providers = listOf(llm.providers).map(keysOf);
  const providerNames = providers.map(({ name }) => textOf(name) ?? '');
  checkRepeated(['llm', 'providers'], providerNames, report);
  for (const [index, provider] of providers.entries()) {
    const path: YamlPath = ['llm', 'providers', index];
    if (referenceOf(provider) !== undefined)
      report.error([...path, 'provider'], 'a provider of llm.providers cannot refer to another one');
    checkCustom(path, provider, report);
  }
  const models = listOf(llm.models).map(keysOf);
  checkRepeatedIds(models, report);
  checkEqualModels(models, report);
  for (const [index, model] of models.entries()) {
    const path: YamlPath = ['llm', 'models', index];
    checkCustom(path, model, report);
    checkReference(path, model, providerNames, report);
  }
  checkVirtualModels(llm, models, report);
}

function checkRepeatedIds(models: readonly Keys[], report: CheckReport): void {
  const seen = new Set<string>();
  for (const [index, model] of models.entries()) {
    const id = textOf(model.id);
    if (id === undefined) continue;
    if (seen.has(id)) report.error(['llm', 'models', index, 'id'], `the id "${id}" stands here twice`);
    seen.add(id);
  }
}

/** Entries of one name may stand side by side: several boxes for it. Those that are the same in all else add nothing. */
function checkEqualModels(models: readonly Keys[], report: CheckReport): void {
  const seen = new Map<string, number>();
  for (const [index, { id: _id, ...model }] of models.entries()) {
    const key = JSON.stringify(model, sortedMembers);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else report.warn(['llm', 'models', index], `the same as llm.models[${first}]: it adds nothing`);
  }
}

function sortedMembers(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([first], [second]) => (first < second ? -1 : 1)));
}

function referenceOf({ provider }: Keys): string | undefined {
  return textOf(keysOf(provider).reference);
}

function checkCustom(path: YamlPath, { provider, params }: Keys, report: CheckReport): void {
  if (keysOf(provider).custom === undefined) return;
  const { baseUrl, hostOverride } = keysOf(params);
  if (baseUrl === undefined && hostOverride === undefined)
    report.error([...path, 'provider'], 'a custom provider needs an address in params.baseUrl');
}

function checkReference(path: YamlPath, model: Keys, providerNames: readonly string[], report: CheckReport): void {
  const reference = referenceOf(model);
  if (reference === undefined) return;
  if (!providerNames.includes(reference)) {
    report.error([...path, 'provider', 'reference'], unknownName('entry of llm.providers', reference, providerNames));
  }
  for (const key of Object.keys(keysOf(model.params))) {
    if (key !== 'model')
      report.error(
        [...path, 'params', key],
        'a model that refers to a provider can set params.model only; the rest belongs to the provider',
      );
  }
}

function checkVirtualModels(llm: Keys, models: readonly Keys[], report: CheckReport): void {
  const virtuals = listOf(llm.virtualModels).map(keysOf);
  checkRepeated(
    ['llm', 'virtualModels'],
    virtuals.map(({ name }) => textOf(name) ?? ''),
    report,
  );
  const names = models.flatMap(({ name }) => textOf(name) ?? []);
  const patterns = names.flatMap(patternsOf);
  for (const [index, { routing }] of virtuals.entries()) {
    for (const kind of ['weighted', 'failover', 'conditional']) {
      for (const [target, value] of listOf(keysOf(keysOf(routing)[kind]).targets).entries()) {
        const model = textOf(keysOf(value).model);
        if (model === undefined || patterns.some((pattern) => pattern.matches(model))) continue;
        report.error(
          ['llm', 'virtualModels', index, 'routing', kind, 'targets', target, 'model'],
          `virtual model target ${model} does not match any llm.models entry${suggestion(model, names)}`,
        );
      }
    }
  }
}

/** A pattern that is wrong has its own message from the schema. */
function patternsOf(name: string) {
  try {
    return [compileModelPattern(name)];
  } catch (thrown) {
    if (thrown instanceof FieldError) return [];
    throw thrown;
  }
}
