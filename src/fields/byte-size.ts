/** Sizes in bytes: a plain number, or a text with a unit, `512KiB`, `32MiB`, `1.5GB`. */
import * as z from 'zod';
import { onlyHere } from './portable.ts';
import { FieldError, parsedOr } from './text-field.ts';

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1000,
  ki: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
};

const expected = 'a size: a whole number of bytes, or a text such as "512KiB" or "32MiB"';

/** Bytes of a size text, rounded down. `k`, `m`, `g` alone count in 1024s, as `docker` and `nginx` do. Throws FieldError. */
export function bytesOf(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([a-z]{0,3})$/i.exec(text.trim());
  const unit = unitBytes[(match?.[2] ?? '').toLowerCase()];
  if (match === null || unit === undefined) throw new FieldError(`expected ${expected}, not "${text.slice(0, 64)}"`);
  const bytes = Math.floor(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) throw new FieldError(`"${text}" is too large`);
  return bytes;
}

/** A size in the YAML. Output: bytes. */
export const byteSizeField = onlyHere(
  z
    .union([z.int().nonnegative(), z.string()], { error: `expected ${expected}` })
    .transform((size, context) => (typeof size === 'number' ? size : parsedOr(() => bytesOf(size), context)))
    .meta({ title: 'size' }),
  (size) => (typeof size === 'string' ? 'agentgateway takes a plain number of bytes' : undefined),
);
