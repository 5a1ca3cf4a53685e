/** CORRAL_BOXES: the boxes of a herd in one variable, `desk=192.168.1.7, http://box.lan:11434`. */
import { type OllamaHost, ollamaHostOf } from './ollama-host.ts';
import { FieldError } from './text-field.ts';

export interface ListedBox extends Pick<OllamaHost, 'baseUrl'> {
  /** Undefined: it is called by its host. */
  readonly name: string | undefined;
}

export const boxListVariable = 'CORRAL_BOXES';
const maxBoxes = 256;
const nameRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/**
 * Entries stand between commas or on lines of their own, each in any form that OLLAMA_HOST has, with `name=` in front where the
 * box is to be called so. Empty text: none. Throws FieldError, which names the entry and never repeats it: it may hold a password.
 */
export function boxListOf(text: string | undefined): readonly ListedBox[] {
  const entries = (text ?? '')
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length > maxBoxes) throw new FieldError(`${boxListVariable}: at most ${maxBoxes} boxes`);
  const boxes = entries.map((entry, index) => listedBoxOf(entry, index + 1));
  for (const key of ['name', 'baseUrl'] as const) {
    const seen = new Map<string, number>();
    for (const [index, { [key]: value }] of boxes.entries()) {
      if (value === undefined) continue;
      const other = seen.get(value);
      if (other !== undefined)
        throw new FieldError(
          `${boxListVariable}: entries ${other} and ${index + 1} have the same ${key === 'name' ? 'name' : 'address'}`,
        );
      seen.set(value, index + 1);
    }
  }
  return boxes;
}

function listedBoxOf(entry: string, number: number): ListedBox {
  const at = entry.indexOf('=');
  const name = at < 0 ? undefined : entry.slice(0, at).trim();
  const address = entry.slice(at + 1).trim();
  if (name !== undefined && !nameRule.test(name))
    throw new FieldError(
      `${boxListVariable}: entry ${number}: before "=" stands the box's name: letters, digits, ".", "_" and "-", 63 at most`,
    );
  if (address === '') throw new FieldError(`${boxListVariable}: entry ${number} has no address: write name=http://host:11434`);
  if (address.includes('@'))
    throw new FieldError(
      `${boxListVariable}: entry ${number} holds a user or a password: give headers to a box in a file, in fleet.boxes`,
    );
  try {
    return { name, baseUrl: ollamaHostOf(address).baseUrl };
  } catch (thrown) {
    if (!(thrown instanceof FieldError)) throw thrown;
    throw new FieldError(
      `${boxListVariable}: entry ${number}: expected an address as OLLAMA_HOST has it, such as http://box.lan:11434 or box.lan`,
    );
  }
}
