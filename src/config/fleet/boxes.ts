/** `fleet.boxes`: what is to be known of single boxes. */
import * as z from 'zod';
import { baseUrlField } from '../../fields/base-url.ts';
import { byteSizeField } from '../../fields/byte-size.ts';
import { holdsSecret } from '../../fields/secret.ts';

/** Hop-by-hop headers and those that Corral writes itself. */
const ownHeaders =
  /^(?:host|connection|content-length|content-encoding|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-connection|x-corral-.*)$/;

/** Output: names in lower case. */
const boxHeadersField = z
  .record(z.string(), holdsSecret(z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'expected the value of a header, on one line')))
  .transform((given, context) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(given)) {
      const lower = name.toLowerCase();
      const message = !/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(lower)
        ? 'expected the name of a header'
        : lower === 'host'
          ? 'the Host is set with the policy urlRewrite.authority of the backend'
          : ownHeaders.test(lower)
            ? 'this header belongs to the connection or to Corral and cannot be set'
            : Object.hasOwn(headers, lower)
              ? 'this header stands here twice'
              : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', message, path: [name] });
      headers[lower] = value.trim();
    }
    return headers;
  });

export const boxField = z
  .strictObject({
    url: baseUrlField
      .refine(({ path }) => path === '', 'expected scheme, host and port alone, such as "http://box.lan:11434", without a path')
      .describe('Scheme, host and port of the box, as a backend of this file reaches it.'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'expected letters, digits, ".", "_" and "-", 63 at most')
      .optional()
      .describe('What the box is called in headers, logs and commands. Left out: as its backend is called.'),
    headers: boxHeadersField
      .prefault({})
      .describe("Sent with every request to the box, probes included: a tunnel's credential, for instance."),
    access: z
      .boolean()
      .default(false)
      .describe(
        'Whether Cloudflare Access stands before it: then every request to it, probes included, shows the service token of `fleet.relay`. No other box gets to see that. https only.',
      ),
    binding: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'expected the name of a binding, such as DESK')
      .optional()
      .describe(
        'Workers only: the binding through which the box is reached, such as a Workers VPC service. The `url` then says the Host alone.',
      ),
    weight: z
      .number()
      .positive()
      .max(1_000)
      .default(1)
      .describe('Of two boxes that are alike, one of twice the weight gets twice the calls.'),
    slots: z
      .number()
      .int()
      .min(1)
      .max(1_024)
      .optional()
      .describe('Requests that one model serves at once there: what OLLAMA_NUM_PARALLEL says. Left out: learnt.'),
    vram: byteSizeField
      .optional()
      .describe('Memory for models. Left out: learnt from what is pushed out.')
      .meta({ examples: ['24GiB'] }),
    reserve: byteSizeField
      .optional()
      .describe("Of `vram`, which must be there too, what stays free for other things: for boxes that are people's desktops.")
      .meta({ examples: ['4GiB'] }),
    maxLoaded: z
      .number()
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('Models in memory at once: what OLLAMA_MAX_LOADED_MODELS says. Left out: learnt.'),
  })
  .refine(({ vram, reserve }) => vram === undefined || reserve === undefined || reserve < vram, {
    error: 'the reserve takes all of vram',
    path: ['reserve'],
  })
  .refine(({ access, url }) => !access || url.scheme === 'https', {
    error: 'the service token goes over https alone: write the url with https, or leave access out',
    path: ['access'],
  });

/** Each address and each name once: a box is found by either. */
export function checkBoxes(boxes: readonly z.output<typeof boxField>[], context: z.RefinementCtx): void {
  const owners = new Map<string, number>();
  const claim = (what: 'url' | 'name', value: string, index: number) => {
    const other = owners.get(`${what} ${value}`);
    if (other === undefined) owners.set(`${what} ${value}`, index);
    else context.addIssue({ code: 'custom', path: [index, what], message: `boxes[${other}] has this ${what} already` });
  };
  for (const [index, { url, name }] of boxes.entries()) {
    claim('url', `${url.scheme}://${url.authority}`, index);
    if (name !== undefined) claim('name', name, index);
  }
}
