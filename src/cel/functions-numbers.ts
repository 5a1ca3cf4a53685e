/** Arithmetic between ints and doubles, `min` and `max`, and the math extension. */
import type { Environment } from '@marcbachmann/cel-js';
import { CelFailure } from './expression.ts';
import { registerNamespace, sync } from './namespaces.ts';

type Num = bigint | number;

const mixed: readonly (readonly [string, (left: number, right: number) => number])[] = [
  ['+', (left, right) => left + right],
  ['-', (left, right) => left - right],
  ['*', (left, right) => left * right],
  ['/', (left, right) => left / right],
];

/** `min(a, …)` takes as many. */
const maxArguments = 8;
const maxInt = 2n ** 63n - 1n;
const minInt = -(2n ** 63n);

export function registerNumbers(environment: Environment): void {
  for (const [operator, operation] of mixed) {
    const handler = (left: Num, right: Num): number => operation(Number(left), Number(right));
    environment.registerOperator(`int ${operator} double: double`, handler);
    environment.registerOperator(`double ${operator} int: double`, handler);
  }
  for (let count = 1; count <= maxArguments; count++) {
    const parameters = Array(count).fill('dyn').join(', ');
    environment.registerFunction(`min(${parameters}): dyn`, least, sync);
    environment.registerFunction(`max(${parameters}): dyn`, greatest, sync);
  }
  registerMath(environment);
}

function registerMath(environment: Environment): void {
  const functions: Record<string, (...args: never[]) => unknown> = {};
  for (let count = 1; count <= maxArguments; count++) {
    const parameters = Array(count).fill('dyn').join(', ');
    functions[`least(${parameters}): dyn`] = least;
    functions[`greatest(${parameters}): dyn`] = greatest;
  }
  for (const [name, run] of Object.entries({ ceil: Math.ceil, floor: Math.floor, trunc: Math.trunc, round })) {
    functions[`${name}(double): double`] = run;
  }
  Object.assign(functions, {
    'isInf(double): bool': (value: number) => value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY,
    'isNaN(double): bool': Number.isNaN,
    'isFinite(double): bool': Number.isFinite,
    'abs(double): double': Math.abs,
    'abs(int): int': (value: bigint) => checked(value < 0n ? -value : value),
    'sign(double): double': Math.sign,
    'sign(int): int': (value: bigint) => (value > 0n ? 1n : value < 0n ? -1n : 0n),
    'sqrt(double): double': Math.sqrt,
    'sqrt(int): double': (value: bigint) => Math.sqrt(Number(value)),
    'bitAnd(int, int): int': (left: bigint, right: bigint) => left & right,
    'bitOr(int, int): int': (left: bigint, right: bigint) => left | right,
    'bitXor(int, int): int': (left: bigint, right: bigint) => left ^ right,
    'bitNot(int): int': (value: bigint) => ~value,
    'bitShiftLeft(int, int): int': (value: bigint, bits: bigint) => (bits > 63n ? 0n : BigInt.asIntN(64, value << places(bits))),
    'bitShiftRight(int, int): int': (value: bigint, bits: bigint) =>
      bits > 63n ? 0n : BigInt.asIntN(64, BigInt.asUintN(64, value) >> places(bits)),
  });
  registerNamespace(environment, 'math', functions);
}

/** Half away from zero. */
function round(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

function places(bits: bigint): bigint {
  if (bits < 0n) throw new CelFailure('bits are shifted by zero or more places');
  return bits;
}

function checked(value: bigint): bigint {
  if (value > maxInt || value < minInt) throw new CelFailure('integer overflow');
  return value;
}

function least(...values: unknown[]): Num {
  return extreme(values, (value, best) => value < best);
}

function greatest(...values: unknown[]): Num {
  return extreme(values, (value, best) => value > best);
}

/** Of the arguments, or of the one list that is given. */
function extreme(values: readonly unknown[], isBetter: (value: Num, best: Num) => boolean): Num {
  const [only] = values;
  const numbers = (values.length === 1 && Array.isArray(only) ? only : values).map((value: unknown): Num => {
    if (typeof value === 'bigint' || typeof value === 'number') return value;
    throw new CelFailure('min and max compare numbers');
  });
  const [first, ...rest] = numbers;
  if (first === undefined) throw new CelFailure('min and max of an empty list');
  return rest.reduce((best, value) => (isBetter(value, best) ? value : best), first);
}
