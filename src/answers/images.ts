/**
 * Ollama finds out whether a model can read images when the model is in memory, and not before (llama-server refuses them): a cold
 * model would be loaded only for a call to hear no, and its stream might have status 200 by then. So that is told beforehand here.
 */
import { GatewayError } from '../errors.ts';
import type { Attempt, Call } from '../exchange.ts';
import { readObject } from '../json/read-object.ts';
import { type JsonNode, JsonTree } from '../json/tree.ts';
import type { AnswerTools } from './tools.ts';

/** Any of these reads what Ollama takes as images: sounds come among them, and models that make images may be given some. */
const readers = ['vision', 'audio', 'image'];

/** llama-server's words, which Ollama hands on (recording `generate-image-nonvision`), and the mend. */
const refusal =
  'Multimodal data provided, but model does not support multimodal requests. Use a model that has the capability vision, or leave the images out.';

/**
 * Before a try leaves for a box. Throws image_unsupported where the prompt has images, and the box's model is known to read none. One that
 * is in memory is left to its box, which answers at once; so is what runs in Ollama's cloud, and models of which nothing is known.
 */
export function judgeImages(
  { body, replacedBody, protocol, exchange, upstream }: Attempt,
  call: Call,
  model: string,
  { fleet }: Pick<AnswerTools, 'fleet'>,
): void {
  // Nearly always.
  if (fleet.isResident(upstream, model) === true) return;
  const able = fleet.factsOf(upstream, model)?.capabilities;
  if (able === undefined || readers.some((reader) => able.includes(reader))) return;
  const operation = exchange.protocol?.operation;
  if ((operation !== 'chat' && operation !== 'text_completion') || fleet.isRemote(upstream, model)) return;
  // In Ollama's own words it may have been put by Corral; what else a policy has put in its place is not looked into.
  const native = replacedBody !== undefined && protocol?.family === 'ollama' ? readObject(replacedBody) : undefined;
  const sent = body ?? native ?? (replacedBody === undefined ? call.body : undefined);
  if (sent !== undefined && hasImages(sent)) throw new GatewayError('image_unsupported', refusal);
}

/** Whether there is an image anywhere where one of the protocols has a place for it. */
export function hasImages(body: { textOf(name: string): string | undefined }): boolean {
  const images = body.textOf('images');
  if (images !== undefined && isFilled(new JsonTree(images).root)) return true;
  return ['messages', 'input'].some((name) => {
    const list = body.textOf(name);
    return (
      list !== undefined &&
      new JsonTree(list).root.elements().some((message) => isFilled(message.member('images')) || hasImagePart(message))
    );
  });
}

function isFilled(list: JsonNode | undefined): boolean {
  return list !== undefined && list.elements().length > 0;
}

const imageTypes = new Set(['image', 'image_url', 'input_image']);
/** A result of a tool is a part that has parts. */
const maxDepth = 3;

function hasImagePart(owner: JsonNode, depth = 1): boolean {
  if (depth > maxDepth) return false;
  return [owner.member('content'), owner.member('output')].some((parts) =>
    parts?.elements().some((part) => imageTypes.has(part.member('type')?.string ?? '') || hasImagePart(part, depth + 1)),
  );
}
