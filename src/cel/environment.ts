/** The one CEL environment: agentgateway's variables and functions on top of the standard ones. */
import { Environment } from '@marcbachmann/cel-js';
import { Redacted } from './expression.ts';
import { Flattened } from './flattened.ts';
import { registerEncodings } from './functions-encodings.ts';
import { registerJson } from './functions-json.ts';
import { registerMacros } from './functions-macros.ts';
import { registerNet } from './functions-net.ts';
import { registerNumbers } from './functions-numbers.ts';
import { registerTexts } from './functions-text.ts';
import { registerValues } from './functions-values.ts';
import { HeaderView } from './header-view.ts';
import { variables } from './variables.ts';
import { View } from './views.ts';

/** How large an expression may be. */
export const limits = {
  maxCharacters: 16_384,
  maxAstNodes: 4_000,
  /** Also bounds how deep the stack gets. */
  maxDepth: 64,
  maxListElements: 1_000,
  maxMapEntries: 1_000,
  maxCallArguments: 32,
} as const;

function createCelEnvironment(): Environment {
  const { maxCharacters: _, ...structure } = limits;
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits: structure });
  environment.registerType('View', View);
  environment.registerType('Headers', HeaderView);
  environment.registerType('Flattened', Flattened);
  environment.registerType('Redacted', Redacted);
  for (const name of variables.keys()) environment.registerVariable(name, 'dyn');
  for (const register of registrations) register(environment);
  return environment;
}

const registrations = [
  registerNumbers,
  registerJson,
  registerMacros,
  registerEncodings,
  registerTexts,
  registerValues,
  registerNet,
];

export const celEnvironment = createCelEnvironment();
