/** The one CEL environment: agentgateway's variables and functions on top of the standard ones. */
import { Environment } from '@marcbachmann/cel-js';
import { registerJson } from './functions-json.ts';
import { registerMacros } from './functions-macros.ts';
import { registerNumbers } from './functions-numbers.ts';
import { HeaderView } from './header-view.ts';
import { variables } from './variables.ts';
import { View } from './views.ts';

/** How large an expression may be. */
export const limits = {
  characters: 16_384,
  /** What cel-js counts while it parses. */
  maxAstNodes: 4_000,
  maxDepth: 100,
  maxListElements: 1_000,
  maxMapEntries: 1_000,
  maxCallArguments: 32,
} as const;

function createCelEnvironment(): Environment {
  const { characters: _, ...structure } = limits;
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits: structure });
  environment.registerType('View', View);
  environment.registerType('Headers', HeaderView);
  for (const name of variables.keys()) environment.registerVariable(name, 'dyn');
  registerNumbers(environment);
  registerJson(environment);
  registerMacros(environment);
  return environment;
}

export const celEnvironment = createCelEnvironment();
