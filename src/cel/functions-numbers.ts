/** Arithmetic between ints and doubles, which agentgateway's CEL has and the standard has not. */
import type { Environment } from '@marcbachmann/cel-js';

const operations: readonly (readonly [string, (left: number, right: number) => number])[] = [
  ['+', (left, right) => left + right],
  ['-', (left, right) => left - right],
  ['*', (left, right) => left * right],
  ['/', (left, right) => left / right],
];

export function registerNumbers(environment: Environment): void {
  for (const [operator, operation] of operations) {
    const handler = (left: bigint | number, right: bigint | number): number => operation(Number(left), Number(right));
    environment.registerOperator(`int ${operator} double: double`, handler);
    environment.registerOperator(`double ${operator} int: double`, handler);
  }
}
